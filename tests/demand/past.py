"""Guests with a past, drawn by a function of the slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from balancer.demand.diary import SLOT_SECONDS, SLOTS, Diary, slot_of
from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.vm import Vm

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def diary(pasts: Mapping[str, Callable[[datetime], float]], now: datetime = MONDAY_NOON) -> Diary:
    """Return nine days, in which each guest needed in each slot what its function says; NaN is a gap."""
    last = slot_of(now)
    moments = [datetime.fromtimestamp((last - SLOTS + 1 + row) * SLOT_SECONDS, UTC) for row in range(SLOTS)]
    cores = [[past(moment) for moment in moments] for past in pasts.values()]
    return Diary(tuple(pasts), last, np.array(cores, dtype=np.float32).T)


def noisy(mean: float, spread: float, seed: int) -> Callable[[datetime], float]:
    """A guest that needs something by chance, each slot anew, never less than nothing."""
    chance = np.random.default_rng(seed)
    return lambda moment: max(0.0, chance.normal(mean, spread))


def guest(name: str, host: str = "h1", present: float | None = 1.0, vcpus: int = 8, wait: float | None = None) -> Vm:
    return Vm(name=name, host=host, vcpus=vcpus, memory_mib=1024.0, cpu_used_cores=present, cpu_wait_share=wait)


def cluster(*guests: Vm, now: datetime = MONDAY_NOON, cores: float = 64.0) -> Cluster:
    hosts = tuple(
        Host(name=name, cpu_cores=cores, memory_mib=1024.0 * 256)
        for name in sorted({vm.host for vm in guests} | {"h1"})
    )
    return Cluster(taken_at=now, cluster="lab", hosts=hosts, vms=guests)


def readings(*rows: tuple[float, str, float], now: datetime = MONDAY_NOON) -> pd.DataFrame:
    """Rows are minutes before now (negative: after), key and cores."""
    at = pd.to_datetime([now - timedelta(minutes=minutes) for minutes, _, _ in rows], utc=True)
    return pd.DataFrame({"at": at, "key": [key for _, key, _ in rows], "cpu_cores": [cores for _, _, cores in rows]})
