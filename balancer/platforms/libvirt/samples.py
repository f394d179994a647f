"""From counters to readings: two looks at what only ever grows make one rate.

cores in use = CPU seconds used between two looks / seconds between them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NANOSECONDS = 1e9
LEAST_SECONDS = 0.5  # counters that tick 100 times a second say nothing exact about less
MOST_SECONDS = 900.0  # an average over more hides what the guest does now
TOLERANCE = 1.1  # counters are read one after the other, so a busy guest may seem to use a little more than all


class AbsurdReading(Exception):
    """Counters that cannot be true; its text says why."""


@dataclass(frozen=True)
class GuestSample:
    """A guest's counters at one moment, in nanoseconds."""

    at: float  # on the monotonic clock, in seconds
    cpu_ns: int | None
    wait_ns: int | None


@dataclass(frozen=True)
class HostSample:
    """A host's counters at one moment, in any unit of time; only their proportion counts."""

    at: float
    busy: int
    idle: int


RunKey = tuple[str, int]
"""A guest's UUID and the hypervisor's number of this run of it: counters begin anew with each run."""


@dataclass(frozen=True)
class Counters:
    """All that only grows on a host, at one moment."""

    host: HostSample | None
    guests: Mapping[RunKey, GuestSample]


def guest_sample(at: float, stats: Mapping[str, Any]) -> GuestSample:
    """Read a guest's counters from libvirt's bulk statistics."""
    cpu_ns = stats.get("cpu.time")
    return GuestSample(at, _sum_of(stats, "time") if cpu_ns is None else cpu_ns, _waiting(stats))


def _waiting(stats: Mapping[str, Any]) -> int | None:
    """`delay` is what the guest itself would call steal time; where it is missing, `wait` comes close."""
    delay = _sum_of(stats, "delay")
    return _sum_of(stats, "wait") if delay is None else delay


def _sum_of(stats: Mapping[str, Any], counter: str) -> int | None:
    counted = [v for key, v in stats.items() if key.startswith("vcpu.") and key.endswith(f".{counter}")]
    return sum(counted) if counted else None


def host_sample(at: float, stats: Mapping[str, int]) -> HostSample:
    """Read a host's counters; time spent waiting for disks is idle time."""
    idle = sum(stats[part] for part in ("idle", "iowait") if part in stats)
    return HostSample(at, sum(stats.values()) - idle, idle)


def are_comparable(before: GuestSample | HostSample | None, now: GuestSample | HostSample) -> bool:
    """Whether two samples lie so far apart, and no further, that their difference says something about now."""
    return before is not None and LEAST_SECONDS <= now.at - before.at <= MOST_SECONDS


def guest_cores(before: GuestSample, now: GuestSample, host_cpus: float) -> float | None:
    """Return the cores that a guest has in use; None where its hypervisor does not count them."""
    if before.cpu_ns is None or now.cpu_ns is None:
        return None
    return _believable((now.cpu_ns - before.cpu_ns) / NANOSECONDS / (now.at - before.at), host_cpus)


def host_cores(before: HostSample, now: HostSample, host_cpus: float) -> float | None:
    """Return the cores that a host has in use."""
    busy, idle = now.busy - before.busy, now.idle - before.idle
    if busy < 0 or idle < 0:
        raise AbsurdReading("its CPU counters went backwards")
    return _believable(host_cpus * busy / (busy + idle), host_cpus) if busy + idle else None


def _believable(cores: float, host_cpus: float) -> float:
    if cores < 0:
        raise AbsurdReading("its CPU counter went backwards")
    if cores > host_cpus * TOLERANCE:
        raise AbsurdReading(f"it seems to use {cores:.1f} cores on a host that has {host_cpus:g}")
    return min(cores, host_cpus)


def wait_share(before: GuestSample, now: GuestSample, vcpus: int) -> float | None:
    """Return the share of its time in which a vCPU could have run and did not get to."""
    if before.wait_ns is None or now.wait_ns is None or now.wait_ns < before.wait_ns or vcpus < 1:
        return None
    return min(1.0, (now.wait_ns - before.wait_ns) / NANOSECONDS / (now.at - before.at) / vcpus)
