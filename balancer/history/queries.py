"""Ready queries for what is commonly running beside hypervisors, in PromQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Queries:
    """What to ask for each measure; empty is not asked. `{w}` stands for the window of a rate.

    A rate forgives a counter that starts again; a guest that is on two hosts while it moves counts on both.
    """

    guest_label: str = "domain"
    guest_cores: str = ""
    guest_wait_share: str = ""
    guest_memory_mib: str = ""
    host_label: str = "instance"
    host_cores: str = ""
    host_memory_mib: str = ""


def _rate(counter: str) -> str:
    """Return the rate of a counter where it was read at least twice.

    Without that, VictoriaMetrics takes a counter that nobody has read for one that stands still: a gap would be idle.
    """
    return f"(rate({counter}[{{w}}]) and count_over_time({counter}[{{w}}]) > 1)"


_CPU_OF_NODE: Final = 'node_cpu_seconds_total{mode!~"idle|iowait|steal"}'

READY: Final[Mapping[str, Queries]] = {
    "node-exporter": Queries(
        host_cores=f"sum by (instance) ({_rate(_CPU_OF_NODE)})",
        host_memory_mib="(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes) / 1048576",
    ),
    "libvirt-exporter": Queries(
        guest_cores=f"sum by (domain) ({_rate('libvirt_domain_info_cpu_time_seconds_total')})",
        guest_wait_share=f"avg by (domain) ({_rate('libvirt_domain_vcpu_delay_seconds_total')})",
        guest_memory_mib="max by (domain) (libvirt_domain_memory_stats_rss_bytes) / 1048576",
    ),
    "telegraf": Queries(
        guest_label="domain_name",
        guest_cores=f"sum by (domain_name) ({_rate('libvirt_cpu_time')}) / 1e9",
        guest_wait_share=f"avg by (domain_name) ({_rate('libvirt_vcpu_delay')}) / 1e9",
        guest_memory_mib="max by (domain_name) (libvirt_balloon_rss) / 1024",
        host_label="host",
        host_cores='(1 - avg_over_time(cpu_usage_idle{cpu="cpu-total"}[{w}]) / 100) * on (host) system_n_cpus',
        host_memory_mib="mem_used / 1048576",
    ),
}
