"""Where guests are before anything is balanced: skewed, and legal."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tests.bench.rules import CPU_SHARE, MEMORY_SHARE, Rules

Floats = npt.NDArray[np.float64]

DRAWS = 4  # hosts that a guest tries before it takes the emptiest that fits


def skewed_start(
    rng: np.random.Generator, load: Floats, capacity: Floats, skew: float, rules: Rules
) -> tuple[int, ...]:
    """Return the host of each guest: some hosts are liked much better than others, and no rule is broken.

    load, capacity: a row for each guest, or host; cores and MiB
    """
    liked = np.exp(rng.normal(0, skew, len(capacity))) * capacity[:, 1]
    draws = rng.choice(len(capacity), (len(load), DRAWS), p=liked / liked.sum())
    filling = _Filling(load, capacity, rules)
    for unit in _units(load, rules):
        filling.put(unit, draws[unit[0]].tolist())
    return tuple(filling.at)


def _units(load: Floats, rules: Rules) -> list[tuple[int, ...]]:
    """Return what is placed as one: pairs first, as they are the hardest to fit, then guests, the largest first."""
    mate = dict(rules.together)
    followers = set(mate.values())
    firsts = (vm for vm in range(len(load)) if vm not in followers)
    order = sorted(firsts, key=lambda vm: (vm not in mate, -load[vm, 1]))
    return [(vm, mate[vm]) if vm in mate else (vm,) for vm in order]


class _Filling:
    """Hosts that fill up, guest by guest."""

    def __init__(self, load: Floats, capacity: Floats, rules: Rules) -> None:
        self.at = [-1] * len(load)
        self._load, self._capacity, self._allowed = load, capacity, rules.allowed
        self._limit = capacity * [CPU_SHARE, MEMORY_SHARE]
        self._used = np.zeros_like(capacity)
        self._group_of = {vm: group for group, members in enumerate(rules.apart) for vm in members}
        self._taken: list[set[int]] = [set() for _ in rules.apart]

    def put(self, unit: tuple[int, ...], draws: Iterable[int]) -> None:
        """Place guests on the first of these hosts that takes them all, else on the emptiest one."""
        need = self._load[list(unit)].sum(axis=0)
        host = self._first_that_fits(unit, need, draws)
        if host is None:
            emptiest_first = np.argsort((self._used / self._capacity).max(axis=1)).tolist()
            host = self._first_that_fits(unit, need, emptiest_first)
        if host is None:
            raise ValueError("no legal start: ask for fewer rules or a lower fill")
        self._used[host] += need
        for vm in unit:
            self.at[vm] = host
            if vm in self._group_of:
                self._taken[self._group_of[vm]].add(host)

    def _first_that_fits(self, unit: tuple[int, ...], need: Floats, hosts: Iterable[int]) -> int | None:
        return next((host for host in hosts if self._fits(unit, need, host)), None)

    def _fits(self, unit: tuple[int, ...], need: Floats, host: int) -> bool:
        if not (self._used[host] + need <= self._limit[host]).all():
            return False
        return all(self._may_be_on(vm, host) for vm in unit)

    def _may_be_on(self, vm: int, host: int) -> bool:
        if vm in self._allowed and host not in self._allowed[vm]:
            return False
        return vm not in self._group_of or host not in self._taken[self._group_of[vm]]
