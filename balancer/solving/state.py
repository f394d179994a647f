"""A placement while it is being searched: what each relocation would change is kept up to date, not worked out anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from balancer.solving.arrays import Arrays, Bools, Floats, every
from balancer.solving.families import Family
from balancer.solving.score import Solution, count_in, load_cost, load_of

NEVER = np.inf


class State:
    """A placement, its loads, and for each unit and host the cost of going there.

    arriving[u, h]: what u costs on h more than h costs without it; infinite where u may not go now
    leaving[u]:     what its host costs less without u, negative
    The change of J by a relocation is arriving[u, h] + leaving[u].
    """

    def __init__(self, arrays: Arrays, start: Solution) -> None:
        self.arrays = arrays
        self.at, self.on = start.at.copy(), start.on.copy()
        self.closing = np.zeros(len(self.on), dtype=bool)  # hosts being emptied take nothing
        self.load = load_of(arrays, self.at)
        self.counts = [count_in(family, self.at) for family in arrays.families]
        self._families_of = _members(family.units.tolist() for family in arrays.families)
        self._companies_of = _members(company.units.tolist() for company in arrays.companies)
        away = self.at != arrays.home
        self.guests_left = arrays.max_guests - float(arrays.guests[away].sum())
        self.mib_left = arrays.max_mib - float(arrays.mib[away].sum())
        self.blocked = np.zeros(arrays.allowed.shape, dtype=bool)
        self.grouping = np.zeros(arrays.allowed.shape)
        for unit in set(self._families_of) | set(self._companies_of):
            self._refresh_groups_of(unit)
        self.arriving = np.empty(arrays.allowed.shape)
        self.leaving = np.empty(len(self.at))
        for host in range(len(self.on)):
            self.refresh_host(host)

    def solution(self) -> Solution:
        """Return the placement as it stands."""
        return Solution(self.at.copy(), self.on.copy())

    def copy(self) -> State:
        """Return a second one that can be changed freely."""
        twin = object.__new__(State)
        twin.__dict__.update(self.__dict__)
        for name in ("at", "on", "closing", "load", "blocked", "grouping", "arriving", "leaving"):
            setattr(twin, name, getattr(self, name).copy())
        twin.counts = [counts.copy() for counts in self.counts]
        return twin

    # -- asking

    def affordable(self) -> Bools:
        """Which units may leave their place: those away from home already, and those the budget still covers."""
        arrays = self.arrays
        within = (arrays.guests <= self.guests_left) & (arrays.mib <= self.mib_left + 1e-6)
        return np.asarray(within | (self.at != arrays.home), dtype=bool)

    def changes(self) -> Floats:
        """Return the change of J by each relocation, infinite where it is not legal."""
        out = np.where(self.affordable(), self.leaving, NEVER)
        return np.asarray(self.arriving + out[:, None], dtype=np.float64)

    def has_room(self, unit: int, host: int) -> bool:
        """Whether a unit fits on a host, by its limits and its groups; a host over its limit takes nothing."""
        arrays = self.arrays
        fits = self.load[host] + arrays.need[unit] <= arrays.ceiling[host]
        return bool((fits | arrays.idle_need[unit]).all() and not self.blocked[unit, host])

    def units_on(self, host: int) -> list[int]:
        return [int(unit) for unit in np.flatnonzero(self.at == host)]

    # -- changing

    def relocate(self, unit: int, host: int) -> None:
        """Put a unit on another host."""
        source = int(self.at[unit])
        self._spend(unit, host)
        self.at[unit] = host
        self.load[source] -= self.arrays.need[unit]
        self.load[host] += self.arrays.need[unit]
        mates = self._count_in_groups(unit, source, host)
        for mate in mates:
            self._refresh_groups_of(mate)
        self.refresh_host(source)
        self.refresh_host(host)
        for mate in mates | {unit}:
            self._refresh_unit(mate)

    def switch(self, host: int, on: bool) -> None:
        """Switch a host on or off."""
        self.on[host] = on
        self.refresh_host(host)

    def close(self, host: int, closing: bool = True) -> None:
        """Let a host take nothing from now on, or open it again."""
        self.closing[host] = closing
        self.refresh_host(host)

    def _spend(self, unit: int, host: int) -> None:
        arrays, home = self.arrays, self.arrays.home[unit]
        step = int(host != home) - int(self.at[unit] != home)
        self.guests_left -= step * float(arrays.guests[unit])
        self.mib_left -= step * float(arrays.mib[unit])

    def _count_in_groups(self, unit: int, source: int, host: int) -> set[int]:
        """Move a unit from domain to domain in its groups; return everybody whom that concerns."""
        mates: set[int] = set()
        for place in self._families_of.get(unit, ()):
            family = self.arrays.families[place]
            weight = _weight(family, unit)
            for end, sign in ((source, -1), (host, 1)):
                if family.domain[end] >= 0:
                    self.counts[place][family.domain[end]] += sign * weight
            mates |= set(family.units.tolist())
        for place in self._companies_of.get(unit, ()):
            mates |= set(self.arrays.companies[place].units.tolist())
        return mates

    # -- keeping up to date

    def refresh_host(self, host: int) -> None:
        """Work out anew what arriving at a host and leaving it costs."""
        arrays, load = self.arrays, self.load[host]
        with_unit = load + arrays.need
        fits = every((with_unit <= arrays.ceiling[host]) | arrays.idle_need)
        opens = self.on[host] and not self.closing[host]
        legal = fits & arrays.allowed[:, host] & ~self.blocked[:, host] & (self.at != host) & ~arrays.held & opens
        now = load_cost(arrays, load, host)
        costs = load_cost(arrays, with_unit, host) - now + arrays.place_cost[:, host] + self.grouping[:, host]
        self.arriving[:, host] = np.where(legal, costs, NEVER)
        here = np.flatnonzero(self.at == host)
        without = load_cost(arrays, load - arrays.need[here], host) - now
        self.leaving[here] = without - arrays.place_cost[here, host]

    def _refresh_unit(self, unit: int) -> None:
        arrays, need = self.arrays, self.arrays.need[unit]
        with_unit = self.load + need
        fits = every((with_unit <= arrays.ceiling) | arrays.idle_need[unit])
        legal = fits & arrays.allowed[unit] & ~self.blocked[unit] & self.on & ~self.closing & ~arrays.held[unit]
        legal[self.at[unit]] = False
        costs = load_cost(arrays, with_unit) - load_cost(arrays, self.load)
        self.arriving[unit] = np.where(legal, costs + arrays.place_cost[unit] + self.grouping[unit], NEVER)

    def _refresh_groups_of(self, unit: int) -> None:
        """Work out where a unit's groups let it go, and what its soft groups make of each host."""
        self.blocked[unit] = False
        self.grouping[unit] = 0.0
        for place in self._families_of.get(unit, ()):
            self._apply_family(unit, place)
        for place in self._companies_of.get(unit, ()):
            self._apply_company(unit, place)

    def _apply_family(self, unit: int, place: int) -> None:
        family, weight = self.arrays.families[place], _weight(self.arrays.families[place], unit)
        others = self.counts[place].copy()
        own = family.domain[self.at[unit]]
        if own >= 0:
            others[own] -= weight
        inside = family.domain >= 0
        after = np.where(inside, others[family.domain] + weight, 0)
        if family.price is None:
            self.blocked[unit] |= inside & (after > family.limit)
            return
        added = np.maximum(after - family.limit, 0) - np.maximum(after - weight - family.limit, 0)
        added = np.where(inside, added, 0)
        self.grouping[unit] += family.price * (added - added[self.at[unit]])

    def _apply_company(self, unit: int, place: int) -> None:
        company = self.arrays.companies[place]
        others = company.base.copy()
        np.add.at(others, self.at[company.units], 1)
        others[self.at[unit]] -= 1
        opened = (others == 0) & bool(others.any())
        self.grouping[unit] += company.price * (opened.astype(np.float64) - float(opened[self.at[unit]]))


def _weight(family: Family, unit: int) -> int:
    return int(family.weights[np.searchsorted(family.units, unit)])


def _members(groups: Iterable[list[int]]) -> dict[int, list[int]]:
    of_unit: dict[int, list[int]] = defaultdict(list)
    for place, units in enumerate(groups):
        for unit in units:
            of_unit[unit].append(place)
    return dict(of_unit)
