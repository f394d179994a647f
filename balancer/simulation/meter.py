"""What a stretch of a rehearsal has cost: watts, and what guests lacked. Nothing here decides anything."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from balancer.domain.host import Power
from balancer.simulation.machines import HostSpec, Phase

Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
TINY = 1e-6  # cores, MiB: below it is rounding
NO_WATTS = Power(idle_watts=0.0, peak_watts=0.0, off_watts=0.0)


@dataclass(frozen=True)
class Reading:
    """What a step has cost."""

    seconds: float
    joules: float
    host_seconds_on: float
    needed_core_seconds: float
    unmet_core_seconds: float
    active: int
    short_of_cpu: int
    short_of_memory: int
    unmet_memory_mib: float


@dataclass(frozen=True)
class Stretch:
    """The world while nothing begins or ends: the need and host of each guest, what copies, what state hosts are in."""

    needs: Doubles
    memory_mib: Doubles
    homes: Places
    leaving: Places  # guests on their way, and where to
    targets: Places
    phases: Sequence[Phase]


def watts_with_every_host_on(hosts: Sequence[HostSpec], needed_cores: Doubles) -> Doubles:
    """Return what hosts draw that are all on and equally full, by what is needed: no policy changes it."""
    room = sum(host.cores - host.hypervisor_cores for host in hosts)
    share = np.minimum(needed_cores / room, 1.0)
    watts = np.zeros(len(needed_cores))
    kinds = Counter((host.cores, host.hypervisor_cores, tuple((host.power or NO_WATTS).table)) for host in hosts)
    for (cores, own, table), count in kinds.items():
        load = own + share * (cores - own)
        watts += count * np.interp(load / cores, np.linspace(0, 1, len(table)), table)
    return watts


class Meter:
    """Adds stretches up to steps. A step counts as short if any part of it was."""

    def __init__(self, hosts: Sequence[HostSpec], copying_share: float) -> None:
        self._copying_share = copying_share
        self._cores = np.array([host.cores for host in hosts])
        self._own = np.array([host.hypervisor_cores for host in hosts])
        self._memory_mib = np.array([host.memory_mib - host.hypervisor_memory_mib for host in hosts])
        power = [host.power or NO_WATTS for host in hosts]
        self._off = np.array([each.off_watts for each in power])
        self._peak = np.array([each.at(1.0) for each in power])
        tables: dict[tuple[float, ...], list[int]] = defaultdict(list)
        for place, each in enumerate(power):
            tables[tuple(each.table)].append(place)
        self._tables = [(np.array(table), np.array(places)) for table, places in tables.items()]
        self._restart()

    def _restart(self) -> None:
        self._sums = np.zeros(5)
        self._active, self._short, self._crowded = (np.zeros(len(self._cores), dtype=bool) for _ in range(3))
        self._unmet_mib = 0.0

    def add(self, seconds: float, stretch: Stretch) -> None:
        """Add a stretch of the step that runs."""
        is_on = np.array([phase is not Phase.OFF for phase in stretch.phases])
        is_up = np.array([phase is Phase.UP for phase in stretch.phases])
        asked, room = self._asked(stretch), self._cores - self._own
        load = np.minimum(asked, room)
        watts = self._watts((load + self._own) / self._cores)
        now = np.where(is_up, watts, np.where(is_on, self._peak, self._off))
        taken = self._taken_mib(stretch)
        unmet = np.where(is_up, asked - load, asked)
        self._sums += seconds * np.array([1.0, now.sum(), is_on.sum(), stretch.needs.sum(), unmet.sum()])
        self._active |= is_on
        self._short |= is_on & (asked > room + TINY)
        over = np.where(is_on, taken - self._memory_mib, 0.0)
        self._crowded |= over > TINY
        self._unmet_mib = max(self._unmet_mib, float(over[over > TINY].sum()))

    def take(self) -> Reading:
        """Return what the step that is over has cost, and begin another."""
        active, short, crowded = (int(flags.sum()) for flags in (self._active, self._short, self._crowded))
        seconds, joules, on, needed, unmet = self._sums.tolist()
        reading = Reading(seconds, joules, on, needed, unmet, active, short, crowded, self._unmet_mib)
        self._restart()
        return reading

    def _asked(self, stretch: Stretch) -> Doubles:
        """Return what is asked of each host: what its guests need, and what copying those that leave costs."""
        hosts = len(self._cores)
        asked = np.bincount(stretch.homes, weights=stretch.needs, minlength=hosts)
        if len(stretch.leaving) and self._copying_share:
            extra = self._copying_share * stretch.needs[stretch.leaving]
            asked = asked + np.bincount(stretch.homes[stretch.leaving], weights=extra, minlength=hosts)
        return np.asarray(asked, dtype=float)

    def _taken_mib(self, stretch: Stretch) -> Doubles:
        hosts = len(self._cores)
        taken = np.bincount(stretch.homes, weights=stretch.memory_mib, minlength=hosts)
        if len(stretch.leaving):
            taken = taken + np.bincount(stretch.targets, weights=stretch.memory_mib[stretch.leaving], minlength=hosts)
        return np.asarray(taken, dtype=float)

    def _watts(self, shares: Doubles) -> Doubles:
        watts = np.zeros(len(shares))
        for table, places in self._tables:
            watts[places] = np.interp(np.clip(shares[places], 0, 1), np.linspace(0, 1, len(table)), table)
        return watts
