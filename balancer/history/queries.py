"""Ready queries for what is commonly running beside hypervisors, in PromQL and in InfluxQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Queries:
    """What to ask for each measure; empty is not asked. A rate forgives a counter that starts again.

    In PromQL `{w}` stands for the window of a rate; a guest that is on two hosts while it moves counts on both.

    In InfluxQL `{when}` stands for the time that is asked for, `{slots}` for the grouping by time, and `{cluster}` for
    the cluster's name. A label is a tag there. A guest that moves counts with the mean of both hosts.
    """

    guest_label: str = "domain"
    guest_cores: str = ""
    guest_wait_share: str = ""
    guest_memory_mib: str = ""
    host_label: str = "instance"
    host_cores: str = ""
    host_memory_mib: str = ""

    @property
    def of_guests(self) -> Mapping[str, str]:
        """What is asked of guests, by the measure that it answers."""
        return _asked(cpu_cores=self.guest_cores, wait_share=self.guest_wait_share, memory_mib=self.guest_memory_mib)

    @property
    def of_hosts(self) -> Mapping[str, str]:
        """What is asked of hosts, by the measure that it answers."""
        return _asked(cpu_cores=self.host_cores, memory_mib=self.host_memory_mib)


def _asked(**queries: str) -> Mapping[str, str]:
    return {measure: query for measure, query in queries.items() if query}


def _rate(counter: str) -> str:
    """Return the rate of a counter where it was read at least twice.

    Without that, VictoriaMetrics takes a counter that nobody has read for one that stands still: a gap would be idle.
    """
    return f"(rate({counter}[{{w}}]) and count_over_time({counter}[{{w}}]) > 1)"


_CPU_OF_NODE: Final = 'node_cpu_seconds_total{mode!~"idle|iowait|steal"}'

PROMQL: Final[Mapping[str, Queries]] = {
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


def _changes(source: str, *counters: str, group: str) -> str:
    """Return the cores that counters of nanoseconds have grown by since the sample before, added up.

    A counter that started again says nothing, and neither does one that was not read for longer than a slot.
    """
    first, *_ = counters
    grown = " + ".join(f'non_negative_derivative("{counter}", 1s)' for counter in counters)
    each = f'SELECT ({grown}) / 1000000000 AS "cores", elapsed("{first}", 1s) AS "since" FROM "{source}"'
    return f'({each} WHERE {{when}} GROUP BY {group}) WHERE "since" <= 300 AND {{when}}'


_OURS: Final = "\"cluster\" = '{cluster}' AND {when} GROUP BY {slots}"
_OF_DOMAIN: Final = '"domain_name", "host"'
_OF_VCPU: Final = '"domain_name", "host", "vcpu_id"'
_EACH_CORE: Final = (
    'SELECT 1 - mean("usage_idle") / 100 AS "busy" FROM "cpu" '
    'WHERE "cpu" != \'cpu-total\' AND {when} GROUP BY {slots}, "host", "cpu" fill(none)'
)

INFLUXQL: Final[Mapping[str, Queries]] = {
    "balancer": Queries(
        guest_label="key",
        guest_cores=f'SELECT mean("cpu_cores") FROM "balancer_guest" WHERE {_OURS}, "key" fill(none)',
        guest_wait_share=f'SELECT mean("wait_share") FROM "balancer_guest" WHERE {_OURS}, "key" fill(none)',
        guest_memory_mib=f'SELECT mean("memory_mib") FROM "balancer_guest" WHERE {_OURS}, "key" fill(none)',
        host_label="host",
        host_cores=f'SELECT mean("cpu_cores") FROM "balancer_host" WHERE {_OURS}, "host" fill(none)',
        host_memory_mib=f'SELECT mean("memory_mib") FROM "balancer_host" WHERE {_OURS}, "host" fill(none)',
    ),
    # InfluxDB drops a field that is called `time`, as the CPU time of a guest is there: user and system are left.
    "telegraf": Queries(
        guest_label="domain_name",
        guest_cores=f'SELECT mean("cores") FROM {_changes("libvirt_cpu", "user", "system", group=_OF_DOMAIN)} '
        'GROUP BY {slots}, "domain_name" fill(none)',
        guest_wait_share='SELECT mean("cores") FROM '
        f"{_changes('libvirt_vcpu', 'delay', group=_OF_VCPU)} "
        'GROUP BY {slots}, "domain_name" fill(none)',
        guest_memory_mib='SELECT max("rss") / 1024 FROM "libvirt_balloon" '
        'WHERE {when} GROUP BY {slots}, "domain_name" fill(none)',
        host_label="host",
        host_cores=f'SELECT sum("busy") FROM ({_EACH_CORE}) WHERE {{when}} GROUP BY {{slots}}, "host" fill(none)',
        host_memory_mib='SELECT mean("used") / 1048576 FROM "mem" WHERE {when} GROUP BY {slots}, "host" fill(none)',
    ),
}
