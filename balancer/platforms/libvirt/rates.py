"""How busy a host and its guests are, from what was counted earlier and what is counted now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from balancer.platforms.libvirt.samples import (
    AbsurdReading,
    Counters,
    GuestSample,
    RunKey,
    are_comparable,
    guest_cores,
    host_cores,
    wait_share,
)


@dataclass(frozen=True)
class GuestRate:
    """What a guest uses, where that is known and can be believed."""

    cores: float | None = None
    wait_share: float | None = None
    absurd: str = ""


@dataclass(frozen=True)
class Rates:
    """What a host and its guests use."""

    cores: float | None = None
    absurd: str = ""
    guests: Mapping[RunKey, GuestRate] = field(default_factory=dict)


def needs_another_look(earlier: Counters | None, now: Counters) -> bool:
    """Whether something is counted that has nothing earlier to compare with: at a first look, after a restart."""
    if earlier is None:
        return True
    if now.host is not None and not are_comparable(earlier.host, now.host):
        return True
    return any(not are_comparable(earlier.guests.get(run), sample) for run, sample in now.guests.items())


def earliest_comparable(earlier: Counters | None, first: Counters, now: Counters) -> Counters:
    """Return what to compare with: the earlier look where it serves, the first one of this time for newcomers."""
    if earlier is None:
        return first
    host_serves = now.host is not None and are_comparable(earlier.host, now.host)
    serving = {
        run: sample
        for run, sample in earlier.guests.items()
        if run in now.guests and are_comparable(sample, now.guests[run])
    }
    return Counters(earlier.host if host_serves else first.host, {**first.guests, **serving})


def rates(before: Counters, now: Counters, host_cpus: float, vcpus: Mapping[RunKey, int]) -> Rates:
    """Return what is used, of each guest in `vcpus`."""
    cores, absurd = None, ""
    if before.host is not None and now.host is not None and are_comparable(before.host, now.host):
        try:
            cores = host_cores(before.host, now.host, host_cpus)
        except AbsurdReading as reading:
            absurd = str(reading)
    pairs = {run: (before.guests[run], now.guests[run]) for run in vcpus if run in before.guests and run in now.guests}
    guests = {run: _guest_rate(*pair, host_cpus, vcpus[run]) for run, pair in pairs.items()}
    return Rates(cores, absurd, guests)


def _guest_rate(before: GuestSample, now: GuestSample, host_cpus: float, vcpus: int) -> GuestRate:
    if not are_comparable(before, now):
        return GuestRate()
    try:
        return GuestRate(guest_cores(before, now, host_cpus), wait_share(before, now, vcpus))
    except AbsurdReading as reading:
        return GuestRate(absurd=str(reading))
