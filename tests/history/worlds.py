"""Small clusters that were seen, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.host import Host
from balancer.domain.vm import Vm

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def seen(
    at: datetime, cpu_cores: float | None = 1.0, doubted: tuple[str, ...] = (), name: str = "db1", key: str = "u-1"
) -> Cluster:
    """One guest on one host; beside it a guest that is never measured."""
    doubts = tuple(Doubt(subject=subject, kind="stale") for subject in doubted)
    guest = Vm(
        name=name,
        id=key,
        host="h1",
        vcpus=4,
        memory_mib=1024.0,
        memory_used_mib=512.0,
        cpu_used_cores=cpu_cores,
        cpu_wait_share=0.02,
    )
    silent = Vm(name="silent", id="u-2", host="h1", vcpus=1, memory_mib=64.0)
    host = Host(name="h1", cpu_cores=32.0, memory_mib=65536.0, cpu_used_cores=9.0, memory_used_mib=4096.0)
    return Cluster(taken_at=at, cluster="lab", hosts=(host,), vms=(guest, silent), doubts=doubts)
