"""What exporters would have written about one guest and its host, counters and all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.request import Request, urlopen

EVERY = timedelta(seconds=60)  # a scrape
UNSEEN = 4.0  # cores that a guest uses while its exporter is down


@dataclass(frozen=True)
class Exporter:
    """Series by what they count: each grows by this much in a second while the guest uses one core."""

    guest_counters: Mapping[str, float]
    guest_waits: Mapping[str, float]
    gauges: Mapping[str, float]
    host_counters: Mapping[str, float]


LIBVIRT_EXPORTER = Exporter(
    guest_counters={'libvirt_domain_info_cpu_time_seconds_total{domain="u-1",instance="h1:9177"}': 1.0},
    guest_waits={
        f'libvirt_domain_vcpu_delay_seconds_total{{domain="u-1",instance="h1:9177",vcpu="{vcpu}"}}': 0.02
        for vcpu in range(4)
    },
    gauges={'libvirt_domain_memory_stats_rss_bytes{domain="u-1",instance="h1:9177"}': 512 * 1024**2},
    host_counters={},
)
NODE_EXPORTER = Exporter(
    guest_counters={},
    guest_waits={},
    gauges={
        'node_memory_MemTotal_bytes{instance="h1:9100"}': 64 * 1024**3,
        'node_memory_MemAvailable_bytes{instance="h1:9100"}': 60 * 1024**3,
    },
    host_counters={
        **{f'node_cpu_seconds_total{{cpu="{cpu}",mode="user",instance="h1:9100"}}': 0.5 for cpu in range(18)},
        **{f'node_cpu_seconds_total{{cpu="{cpu}",mode="idle",instance="h1:9100"}}': 0.5 for cpu in range(18)},
    },
)
TELEGRAF = Exporter(
    guest_counters={'libvirt_cpu_time{domain_name="u-1",host="h1"}': 1e9},
    guest_waits={f'libvirt_vcpu_delay{{domain_name="u-1",host="h1",vcpu_id="{vcpu}"}}': 0.02e9 for vcpu in range(4)},
    gauges={
        'libvirt_balloon_rss{domain_name="u-1",host="h1"}': 512 * 1024,
        'cpu_usage_idle{cpu="cpu-total",host="h1"}': 75.0,
        'system_n_cpus{host="h1"}': 36,
        'mem_used{host="h1"}': 4 * 1024**3,
    },
    host_counters={},
)


def load(url: str, exporter: Exporter, used: Mapping[datetime, float | None]) -> None:
    """Write five minutes of scrapes before each moment into a server; None is a gap in what is known of guests."""
    text = "\n".join(_lines(exporter, used)) + "\n"
    with urlopen(Request(f"{url}/api/v1/import/prometheus", text.encode()), timeout=10):
        pass
    with urlopen(f"{url}/internal/force_flush", timeout=10):
        pass


def _lines(exporter: Exporter, used: Mapping[datetime, float | None]) -> Iterator[str]:
    counted = dict.fromkeys((*exporter.guest_counters, *exporter.guest_waits, *exporter.host_counters), 1000.0)
    for until, cores in sorted(used.items()):
        # A guest goes on while nobody looks.
        speeds = {name: (UNSEEN if cores is None else cores) * each for name, each in exporter.guest_counters.items()}
        speeds |= {**exporter.guest_waits, **exporter.host_counters}
        for scrape in range(5):
            at = round((until - 4 * EVERY + scrape * EVERY).timestamp() * 1000)
            for name, speed in speeds.items():
                counted[name] += speed * EVERY.total_seconds()
            shown = {**counted, **exporter.gauges}
            yield from (
                f"{name} {value} {at}" for name, value in shown.items() if cores is not None or _is_of_host(name)
            )


def _is_of_host(name: str) -> bool:
    return "libvirt" not in name
