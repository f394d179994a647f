"""Ejection chains: who finds no room takes the place of another, that one of a third, until the last finds room.

fits on a host = load - need of who leaves + need of who comes <= ceiling        for every resource that is needed

Who is displaced still stands where it stood, over the limit, until its own step is made: only a whole chain is legal,
and keeps to limits, groups and budget as one relocation does.
"""

from __future__ import annotations

import numpy as np

from balancer.solving.arrays import Floats, Ints, every
from balancer.solving.score import added_cost, cost_of_more, weighted
from balancer.solving.state import NEVER, State
from balancer.solving.work import Work

DISPLACED = 3  # units at most: four moves for one; with a fourth nothing more was found
WIDTH = 8  # displacements that are followed at each step: with half of them 3 of 5 chains are found
STEPS = 64  # that are tried for one unit; four times as many find nothing more


def place_by_chain(state: State, unit: int, work: Work) -> bool:
    """Find a unit a place that no host has room for, with as few displaced as can be; or leave all as it was."""
    chain = _Chain(state, work)
    return any(_placed(chain, unit, displaced) for displaced in range(1, DISPLACED + 1))


class _Chain:
    """Steps that are made one after the other, and can be taken back."""

    def __init__(self, state: State, work: Work) -> None:
        self.state, self._work = state, work
        self._sources: dict[int, int] = {}  # where each unit came from, in order
        self._steps_left = STEPS
        self._least_left = min(0.0, state.guests_left), min(0.0, state.mib_left) - 1e-6

    @property
    def units(self) -> list[int]:
        return list(self._sources)

    @property
    def targets(self) -> list[int]:
        """The hosts that units have come to; where the first came from is open again."""
        return self.state.at[self.units].tolist() if self._sources else []

    def may_go_on(self) -> bool:
        self._steps_left -= 1
        return self._steps_left >= 0 and self._work.one_more()

    def make(self, unit: int, host: int) -> None:
        self._sources[unit] = int(self.state.at[unit])
        self.state.relocate(unit, host)

    def take_back(self) -> None:
        self.state.relocate(*self._sources.popitem())

    def is_legal(self) -> bool:
        """Whether there is room for everybody where they now are, their groups let them, and the budget covers it."""
        state, units, hosts = self.state, self.units, self.targets
        fits = every((state.load[hosts] <= state.arrays.ceiling[hosts]) | state.arrays.idle_need[units])
        is_paid = state.guests_left >= self._least_left[0] and state.mib_left >= self._least_left[1]
        return bool(fits.all() and not state.blocked[units, hosts].any() and is_paid)


def _placed(chain: _Chain, unit: int, displaced: int) -> bool:
    """Put a unit where there is room for it, or in the place of another that is put somewhere in turn."""
    host = int(chain.state.arriving[unit].argmin())
    if chain.units and np.isfinite(chain.state.arriving[unit, host]) and chain.may_go_on():
        chain.make(unit, host)
        if chain.is_legal():
            return True
        chain.take_back()
    for other in _to_displace(chain, unit, displaced == 1) if displaced else []:
        if not chain.may_go_on():
            return False
        chain.make(unit, int(chain.state.at[other]))
        if _placed(chain, other, displaced - 1):
            return True
        chain.take_back()
    return False


def _to_displace(chain: _Chain, unit: int, is_last: bool) -> list[int]:
    """Return who had best make room for a unit; the last of a chain has to find room itself."""
    state, arrays = chain.state, chain.state.arrays
    welcome = arrays.allowed[unit] & state.on & ~state.closing
    welcome[[*chain.targets, int(state.at[unit])]] = False
    lacking = state.load + arrays.need[unit] - arrays.ceiling
    may_leave = welcome[state.at] & ~arrays.held & state.affordable()
    may_leave &= every((arrays.need >= lacking[state.at]) | arrays.idle_need[unit])
    # A mate that leaves may open its host to a unit that its group keeps out: the end of the chain shows.
    mates = np.isin(np.arange(len(may_leave)), state.groups.hard_mates(unit))
    may_leave &= mates | ~state.blocked[unit, state.at]
    may_leave[chain.units] = False
    others = np.flatnonzero(may_leave)
    later = _cost_where_room(state, unit, others) if is_last else _guessed_cost(state, others)
    costs = _cost_in_place_of(state, unit, others) + later
    open_to = np.flatnonzero(np.isfinite(costs))
    return [int(other) for other in others[open_to[np.argsort(costs[open_to], kind="stable")[:WIDTH]]]]


def _cost_in_place_of(state: State, unit: int, others: Ints) -> Floats:
    """Return what the host of each other unit costs more with this unit in its place."""
    arrays, hosts = state.arrays, state.at[others]
    costs = arrays.place_cost[unit, hosts] + state.grouping[unit, hosts] - arrays.place_cost[others, hosts]
    load = state.load[hosts]
    more = arrays.need[unit] - arrays.need[others]
    return np.asarray(costs + cost_of_more(arrays, hosts, load, more), dtype=np.float64)


def _cost_where_room(state: State, unit: int, others: Ints) -> Floats:
    """Return what others cost where they find room: on any host as things stand, or where this unit leaves."""
    arrays, host = state.arrays, int(state.at[unit])
    anywhere = state.arriving[others].min(axis=1, initial=NEVER)
    if state.closing[host] or not state.on[host]:
        return np.asarray(anywhere, dtype=np.float64)
    load, need = state.load[host] - arrays.need[unit], arrays.need[others]
    costs = added_cost(arrays, host, load, need, np.square(need))
    costs += arrays.place_cost[others, host] + state.grouping[others, host]
    fits = every((load + need <= arrays.ceiling[host]) | arrays.idle_need[others])
    costs[~fits | arrays.closed_to[others, host]] = NEVER
    return np.asarray(np.minimum(anywhere, costs), dtype=np.float64)


def _guessed_cost(state: State, units: Ints) -> Floats:
    """Guess what units will cost wherever they end: a mean host's price; the smaller, the easier to place."""
    arrays, on = state.arrays, state.on
    price = (2.0 * arrays.curve * state.load)[on].sum(axis=0) / max(1, int(on.sum()))
    share = arrays.need[units] / np.maximum(arrays.usable.sum(axis=0), 1e-9)
    return np.asarray(weighted(arrays.need[units], price) + 1e-6 * share.max(axis=1, initial=0.0), dtype=np.float64)
