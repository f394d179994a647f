"""Where groups let units go while a placement is being searched, and what soft groups make of each host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from balancer.solving.arrays import Arrays, Bools, Floats, Ints
from balancer.solving.families import Family
from balancer.solving.score import count_in, members_on

NOBODY: Ints = np.zeros(0, dtype=np.int64)


class Groups:
    """Counts of every group, and what follows from them for each unit and host.

    blocked[u, h]: a hard group of u forbids h
    cost[u, h]:    what the soft groups of u cost more with u on h than with u where it is
    """

    def __init__(self, arrays: Arrays, at: Ints) -> None:
        self._families, self._companies = arrays.families, arrays.companies
        self._families_of = _groups_of_units(family.units for family in arrays.families)
        self._companies_of = _groups_of_units(company.units for company in arrays.companies)
        self.counts = [count_in(family, at) for family in arrays.families]
        self.members = [members_on(company, at) for company in arrays.companies]
        self.blocked = np.zeros(arrays.allowed.shape, dtype=bool, order="F")
        self.cost = np.zeros(arrays.allowed.shape, order="F")
        self._forbidding = np.zeros(arrays.allowed.shape, dtype=np.int16, order="F")  # by how many groups
        # What each group last said of its units; taken back before it says something new.
        sizes = [len(f.units) for f in arrays.families] + [len(c.units) for c in arrays.companies]
        hosts = arrays.allowed.shape[1]
        self._said_no: list[Bools] = [np.zeros((size, hosts), dtype=bool) for size in sizes]
        self._said_cost: list[Floats] = [np.zeros((size, hosts)) for size in sizes]
        every_host = np.arange(hosts)
        for place in range(len(arrays.families)):
            self._refresh_family(place, at, every_host)
        for place in range(len(arrays.companies)):
            self._refresh_company(place, at)

    def copy(self) -> Groups:
        """Return a second one that can be changed freely."""
        twin = object.__new__(Groups)
        twin.__dict__.update(self.__dict__)
        for name in ("blocked", "cost", "_forbidding"):
            setattr(twin, name, getattr(self, name).copy(order="K"))
        for name in ("counts", "members", "_said_no", "_said_cost"):
            setattr(twin, name, [each.copy() for each in getattr(self, name)])
        return twin

    @cached_property
    def has_any(self) -> bool:
        return bool(self._families or self._companies)

    @cached_property
    def has_soft(self) -> bool:
        return any(f.price is not None for f in self._families) or any(c.price is not None for c in self._companies)

    def soft_mates(self, unit: int) -> list[Ints]:
        """Return the units of each soft group that a unit is in: what two of them cost is not the sum of each alone."""
        families = (self._families[place] for place in self._families_of.get(unit, ()))
        companies = (self._companies[place] for place in self._companies_of.get(unit, ()))
        soft = [family.units for family in families if family.price is not None]
        return soft + [company.units for company in companies if company.price is not None]

    def hard_mates(self, unit: int) -> list[int]:
        """Return the units that a unit shares a hard group with."""
        families = (self._families[place] for place in self._families_of.get(unit, ()))
        companies = (self._companies[place] for place in self._companies_of.get(unit, ()))
        hard = [family.units.tolist() for family in families if family.price is None]
        hard += [company.units.tolist() for company in companies if company.price is None]
        return sorted({mate for mates in hard for mate in mates})

    def relocated(self, unit: int, source: int, host: int, at: Ints) -> Ints:
        """Note that a unit went from one host to another; return the units for which more than these two changed."""
        if unit not in self._families_of and unit not in self._companies_of:
            return NOBODY
        mates = [NOBODY]
        for place in self._families_of.get(unit, ()):
            mates.append(self._family_moved(place, unit, source, host, at))
        for place in self._companies_of.get(unit, ()):
            self.members[place][source] -= 1
            self.members[place][host] += 1
            self._refresh_company(place, at)
            mates.append(self._companies[place].units)
        return np.unique(np.concatenate(mates))

    def _family_moved(self, place: int, unit: int, source: int, host: int, at: Ints) -> Ints:
        family, counts = self._families[place], self.counts[place]
        weight = family.weights[np.searchsorted(family.units, unit)]
        ends = [int(family.domain[end]) for end in (source, host)]
        if ends[0] == ends[1]:
            return NOBODY
        for domain, sign in zip(ends, (-1, 1), strict=True):
            if domain >= 0:
                counts[domain] += sign * weight
        touched = np.flatnonzero(np.isin(family.domain, [domain for domain in ends if domain >= 0]))
        self._refresh_family(place, at, touched)
        reaches_further = family.price is not None or not np.isin(touched, (source, host)).all()
        return family.units if reaches_further else NOBODY

    def _refresh_family(self, place: int, at: Ints, hosts: Ints) -> None:
        """Work out anew what a group says of some hosts; a soft one compares with where each unit is: of all hosts."""
        family, counts = self._families[place], self.counts[place]
        weights, own = family.weights[:, None], family.domain[at[family.units]]
        if family.price is not None:
            hosts = np.arange(len(family.domain))
        domain = family.domain[hosts]
        after = counts[domain] + weights * (own[:, None] != domain)
        counted = (domain >= 0) & (weights > 0)
        if family.price is None:
            self._say_no(place, family.units, hosts, counted & (after > family.roof))
            return
        added = np.where(counted, _over(after, family) - _over(after - weights, family), 0.0)
        here = added[np.arange(len(own)), at[family.units]]
        self._say_cost(place, family.units, family.price * (added - here[:, None]))

    def _refresh_company(self, place: int, at: Ints) -> None:
        """A further host counts as soon as one of them goes there; a hard limit counts the hosts of today too."""
        company, said = self._companies[place], len(self._families) + place
        rows = np.arange(len(company.units))
        others = np.repeat(self.members[place][None, :], len(rows), axis=0)
        others[rows, at[company.units]] -= 1
        if company.price is None:
            today = (company.homes > 0) | (company.base > 0)
            ever = (others > 0) | today
            never = ~ever & (ever.sum(axis=1) >= max(company.limit, int(today.sum())))[:, None]
            again = (others == 0) & ((others > 0).sum(axis=1) >= company.limit)[:, None]
            self._say_no(said, company.units, np.arange(len(company.base)), never | again)
            return
        added = (others == 0) & ((others > 0).sum(axis=1) >= company.limit)[:, None]
        here = added[rows, at[company.units]]
        self._say_cost(said, company.units, company.price * (added.astype(np.float64) - here[:, None]))

    def _say_no(self, said: int, units: Ints, hosts: Ints, forbids: Bools) -> None:
        at = np.ix_(units, hosts)
        self._forbidding[at] += forbids.astype(np.int16) - self._said_no[said][:, hosts]
        self._said_no[said][:, hosts] = forbids
        self.blocked[at] = self._forbidding[at] > 0

    def _say_cost(self, said: int, units: Ints, cost: Floats) -> None:
        self.cost[units] += cost - self._said_cost[said]
        self._said_cost[said] = cost


def _over(amounts: Floats, family: Family) -> Floats:
    return np.maximum(amounts - family.limit, 0.0)


def _groups_of_units(groups: Iterable[Ints]) -> dict[int, list[int]]:
    of_unit: dict[int, list[int]] = defaultdict(list)
    for place, units in enumerate(groups):
        for unit in units.tolist():
            of_unit[unit].append(place)
    return dict(of_unit)
