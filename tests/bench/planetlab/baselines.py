"""What the literature does: find hosts that are too full, move the quickest guests off them, empty the emptiest.

After A. Beloglazov and R. Buyya, "Optimal online deterministic algorithms and adaptive heuristics for energy and
performance efficient dynamic consolidation of virtual machines in cloud data centers" (2012). A host is too full

    THR  above 80 % of its MIPS
    IQR  above 1 - 1.5 * interquartile range of its utilisation
    MAD  above 1 - 2.5 * median absolute deviation of it
    LR   where 1.2 * what local regression expects of it in the next step is 1 or more

and its guests leave by minimum migration time: the smallest first. Each goes where it adds fewest watts
(power-aware best fit decreasing). Until an hour is known a host is too full above 70 %. Here memory counts as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from balancer.simulation.laying import Laid
from balancer.simulation.meter import NO_WATTS, Bools, Doubles, Places

ENOUGH_STEPS: Final = 12
UNTIL_THEN: Final = 0.70
HISTORY: Final = 30  # steps
REGRESSED: Final = 10  # steps
FULL: Final = 0.80
SAFETY: Final[Mapping[str, float]] = {"IQR": 1.5, "MAD": 2.5, "LR": 1.2}

Fullness = Callable[[Doubles], tuple[Doubles, Doubles]]
"""From the utilisation of hosts by step: what is expected of each, and above what it is too full."""


def by_threshold(use: Doubles) -> tuple[Doubles, Doubles]:
    return use[:, -1], np.full(len(use), FULL)


def by_quartiles(use: Doubles) -> tuple[Doubles, Doubles]:
    low, high = np.quantile(use, (0.25, 0.75), axis=1)
    return use[:, -1], np.asarray(1 - SAFETY["IQR"] * (high - low))


def by_deviation(use: Doubles) -> tuple[Doubles, Doubles]:
    off = np.abs(use - np.median(use, axis=1, keepdims=True))
    return use[:, -1], np.asarray(1 - SAFETY["MAD"] * np.median(off, axis=1))


def by_regression(use: Doubles) -> tuple[Doubles, Doubles]:
    """Fit a line to the last steps, the newest of which count most (tricube weights), and go one step on."""
    known = use[:, -REGRESSED:]
    if known.shape[1] < 2:
        return use[:, -1], np.full(len(use), 1 / SAFETY["LR"])
    x = np.arange(1, known.shape[1] + 1, dtype=float)
    weight = (1 - ((x[-1] - x) / x[-1]) ** 3) ** 3
    mean_x = (weight * x).sum() / weight.sum()
    mean_y = (known * weight).sum(axis=1) / weight.sum()
    slope = (weight * (x - mean_x) * (known - mean_y[:, None])).sum(axis=1) / (weight * (x - mean_x) ** 2).sum()
    expected = mean_y + slope * (x[-1] + 1 - mean_x)
    return np.asarray(np.maximum(expected, 0.0)), np.full(len(use), 1 / SAFETY["LR"])


BASELINES: Final[Mapping[str, Fullness]] = {
    "THR": by_threshold,
    "IQR": by_quartiles,
    "MAD": by_deviation,
    "LR": by_regression,
}


@dataclass(frozen=True)
class Wanted:
    """The moves that are wanted, as guest and host, and the hosts that have to wake for them."""

    moves: tuple[tuple[int, int], ...]
    wake: tuple[int, ...]


class Floor:
    """The hosts and guests of a day, as arrays."""

    def __init__(self, laid: Laid) -> None:
        self.cores = np.array([host.cores for host in laid.hosts])
        self.mib = np.array([host.memory_mib for host in laid.hosts])
        self.guest_mib = np.array([guest.memory_mib for guest in laid.guests])
        self._watts = np.array([(host.power or NO_WATTS).table for host in laid.hosts])

    def watts(self, hosts: Places, share: Doubles) -> Doubles:
        """Return what hosts draw at shares of their cores, straight between the points of their tables."""
        steps = self._watts.shape[1] - 1
        place = np.clip(share, 0.0, 1.0) * steps
        low = np.minimum(place.astype(int), steps - 1)
        part = place - low
        return np.asarray(self._watts[hosts, low] * (1 - part) + self._watts[hosts, low + 1] * part)


@dataclass
class _Table:
    """Where guests would be, while moves are being chosen."""

    floor: Floor
    needs: Doubles
    homes: Places
    on: Places
    expected: Doubles
    limit: Doubles
    moves: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hosts = len(self.floor.cores)
        self.load = np.bincount(self.homes, self.needs, hosts)
        self.mib = np.bincount(self.homes, self.floor.guest_mib, hosts)

    def move(self, guest: int, target: int) -> None:
        for host, sign in ((self.homes[guest], -1), (target, 1)):
            self.load[host] += sign * self.needs[guest]
            self.mib[host] += sign * self.floor.guest_mib[guest]
            self.expected[host] += sign * self.needs[guest] / self.floor.cores[host]
        self.homes[guest] = target
        self.moves[guest] = target

    def cheapest_for(self, guest: int, hosts: Places, awake: Bools) -> int | None:
        """Return the host on which a guest adds fewest watts, of those that it does not make too full."""
        cores = self.floor.cores[hosts]
        share, now = self.needs[guest] / cores, self.load[hosts] / cores
        fits = self.mib[hosts] + self.floor.guest_mib[guest] <= self.floor.mib[hosts]
        fits &= (self.expected[hosts] + share <= self.limit[hosts]) & (now + share <= 1.0)
        if not fits.any():
            return None
        more = self.floor.watts(hosts, now + share) - np.where(awake[hosts], self.floor.watts(hosts, now), 0.0)
        return int(hosts[np.argmin(np.where(fits, more, np.inf))])


def decide(floor: Floor, seen: Doubles, homes: Places, is_on: Bools, fullness: Fullness) -> Wanted:
    """Return what a baseline does; `seen` is what guests needed so far, a row a guest."""
    table = _table_at(floor, seen, homes, is_on, fullness)
    too_full = [int(host) for host in table.on if table.expected[host] > table.limit[host]]
    woken = _relieve(table, too_full, is_on.copy())
    _empty_the_emptiest(table, set(too_full) | set(woken))
    moves = tuple((guest, host) for guest, host in table.moves.items() if host != homes[guest])
    used = {host for _, host in moves}
    return Wanted(moves, tuple(host for host in woken if host in used))


def _table_at(floor: Floor, seen: Doubles, homes: Places, is_on: Bools, fullness: Fullness) -> _Table:
    lately = seen[:, -HISTORY:]
    use = np.zeros((len(floor.cores), lately.shape[1]))
    np.add.at(use, homes, lately)
    use /= floor.cores[:, None]
    expected, limit = fullness(use)
    if seen.shape[1] < ENOUGH_STEPS:
        expected, limit = use[:, -1], np.full(len(use), UNTIL_THEN)
    return _Table(floor, lately[:, -1], homes.copy(), np.flatnonzero(is_on), expected.copy(), limit)


def _relieve(table: _Table, too_full: Sequence[int], awake: Bools) -> list[int]:
    """Take the smallest guests off hosts that are too full, and place the busiest of them first."""
    leaving: list[int] = []
    for host in too_full:
        expected = float(table.expected[host])
        guests = np.flatnonzero(table.homes == host)
        for guest in guests[np.lexsort((-table.needs[guests], table.floor.guest_mib[guests]))].tolist():
            if expected <= table.limit[host]:
                break
            expected -= table.needs[guest] / table.floor.cores[host]
            leaving.append(guest)
    woken: list[int] = []
    may = np.setdiff1d(np.arange(len(table.floor.cores)), too_full)
    for guest in sorted(leaving, key=lambda each: -table.needs[each]):
        target = table.cheapest_for(guest, may, awake)
        if target is None:
            continue
        if not awake[target]:
            awake[target] = True
            woken.append(target)
        table.move(guest, target)
    return woken


def _empty_the_emptiest(table: _Table, left_alone: set[int]) -> None:
    """Empty host after host, the least used first, into those that stay on; those that took guests in stay."""
    awake = np.zeros(len(table.floor.cores), dtype=bool)
    awake[table.on] = True
    kept, emptied = set(left_alone), set[int]()
    kept |= set(table.moves.values())
    while rest := [int(host) for host in table.on if host not in kept and host not in emptied]:
        host = min(rest, key=lambda each: table.load[each] / table.floor.cores[each])
        guests = np.flatnonzero(table.homes == host)
        others = np.array([int(h) for h in table.on if h != host and h not in emptied and h not in left_alone])
        placed = _all_placed(table, guests, others, awake)
        if placed is None:
            kept.add(host)
            continue
        kept |= set(placed.values())
        emptied.add(host)


def _all_placed(table: _Table, guests: Places, others: Places, awake: Bools) -> Mapping[int, int] | None:
    """Place all guests of a host, or none."""
    if not len(others):
        return None
    before = {name: getattr(table, name).copy() for name in ("load", "mib", "expected", "homes")}
    moved = dict(table.moves)
    placed: dict[int, int] = {}
    for guest in sorted(guests.tolist(), key=lambda each: -table.needs[each]):
        target = table.cheapest_for(guest, others, awake)
        if target is None:
            for name, value in before.items():
                setattr(table, name, value)
            table.moves = moved
            return None
        table.move(guest, target)
        placed[guest] = target
    return placed
