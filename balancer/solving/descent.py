"""Better step by step: relocations and swaps, each legal at its target and within the budget."""

from __future__ import annotations

import numpy as np

from balancer.solving.arrays import Bools, Floats, Ints
from balancer.solving.score import load_cost
from balancer.solving.state import NEVER, State

GAIN = 1e-10  # smaller gains are rounding


class Work:
    """Counts relocations and swaps, so that a search ends by effort and not by the clock."""

    def __init__(self, limit: int) -> None:
        self.limit, self.done = limit, 0

    def one_more(self) -> bool:
        self.done += 1
        return self.done <= self.limit


def descend(state: State, work: Work) -> None:
    """Relocate and swap until neither gains anything."""
    dirty = np.ones(len(state.on), dtype=bool)
    while dirty.any():
        dirty |= relocate_steepest(state, work)
        dirty = swap_sweep(state, work, dirty)


def relocate_steepest(state: State, work: Work) -> Bools:
    """Relocate whichever unit gains most, again and again; return the hosts that were touched."""
    touched = np.zeros(len(state.on), dtype=bool)
    while True:
        changes = state.changes()
        if changes.size == 0:
            return touched
        unit, host = (int(i) for i in np.unravel_index(int(changes.argmin()), changes.shape))
        if changes[unit, host] >= -GAIN or not work.one_more():
            return touched
        touched[[state.at[unit], host]] = True
        state.relocate(unit, host)


def swap_sweep(state: State, work: Work, dirty: Bools) -> Bools:
    """Offer each unit of a touched host the best partner to swap places with; return the hosts touched by that."""
    touched = np.zeros(len(state.on), dtype=bool)
    for unit in np.flatnonzero(dirty[state.at]):
        changes = swap_changes(state, int(unit))
        other = int(changes.argmin())
        if changes[other] < -GAIN and work.one_more():
            touched[[state.at[unit], state.at[other]]] = True
            swap(state, int(unit), other)
    return touched


def swap(state: State, unit: int, other: int) -> None:
    """Let two units change places."""
    first, second = int(state.at[unit]), int(state.at[other])
    state.relocate(unit, second)
    state.relocate(other, first)


def swap_changes(state: State, unit: int) -> Floats:
    """Return the change of J by swapping a unit with each other one, infinite where it is not legal."""
    arrays, here, there = state.arrays, int(state.at[unit]), state.at
    extra = arrays.need - arrays.need[unit]
    here_after, there_after = state.load[here] + extra, state.load[there] - extra
    legal = (here_after <= arrays.limit[here] + arrays.slack[here]).all(axis=1)
    legal &= (there_after <= (arrays.limit + arrays.slack)[there]).all(axis=1)
    legal &= _may_change_places(state, unit, here, there)
    if not legal.any():
        return np.full(len(there), NEVER)
    now = load_cost(arrays, state.load)
    changes = load_cost(arrays, here_after, here) - now[here] + load_cost(arrays, there_after, there) - now[there]
    others = np.arange(len(there))
    changes += arrays.place_cost[unit, there] - arrays.place_cost[unit, here] + state.grouping[unit, there]
    changes += arrays.place_cost[:, here] - arrays.place_cost[others, there] + state.grouping[:, here]
    return np.where(legal, changes, NEVER)


def _may_change_places(state: State, unit: int, here: int, there: Ints) -> Bools:
    """Which units may go where this one is, and it where they are, as far as hosts, groups and budget go."""
    arrays = state.arrays
    opens = state.on & ~state.closing
    legal = arrays.allowed[unit, there] & ~state.blocked[unit, there] & opens[there] & (there != here)
    legal &= arrays.allowed[:, here] & ~state.blocked[:, here] & ~arrays.held
    # Two members of one soft group change its price together in a way that neither sees alone.
    legal &= ~(state.grouping.any(axis=1) & bool(state.grouping[unit].any()))
    if arrays.held[unit] or not opens[here]:
        legal[:] = False
    unit_step = np.not_equal(there, arrays.home[unit]).astype(np.int64) - int(here != arrays.home[unit])
    other_step = np.not_equal(here, arrays.home).astype(np.int64) - np.not_equal(there, arrays.home)
    guests = unit_step * arrays.guests[unit] + other_step * arrays.guests
    mib = unit_step * arrays.mib[unit] + other_step * arrays.mib
    legal &= ((guests <= state.guests_left) | (guests <= 0)) & ((mib <= state.mib_left + 1e-6) | (mib <= 0))
    return np.asarray(legal, dtype=bool)
