"""Guided search: the models say which hosts stay on, the search finds who goes where."""

from __future__ import annotations

import numpy as np

from balancer.solving.arrays import Arrays, Bools
from balancer.solving.descent import DEAR_FIRST, descend, descend_dearly
from balancer.solving.evacuation import empty_hosts
from balancer.solving.repair import bring_together, ease_faults, leave_hosts_too_many
from balancer.solving.score import Score, Solution, score
from balancer.solving.state import State
from balancer.solving.work import Work

HOSTS_UNDONE, MOVES_UNDONE = 3, 20  # with two hosts, thirty moves at 32 hosts leave a tenth more undone


def search(
    arrays: Arrays, wanted: Bools, work: Work, ways: tuple[bool, ...] = (False, True), is_brief: bool = False
) -> tuple[Solution, bool]:
    """Find a placement with these hosts on; say whether all the others could be switched off.

    Hosts are woken, faults eased, hosts emptied (in each of the ways: cheaply, tightly), and the best of that is made
    cheaper step by step. A brief search takes the first way by which all can be emptied, and leaves it at that where
    they cannot.
    """
    ready = _mended(arrays, wanted, work)
    sleepers = [int(host) for host in np.flatnonzero(~wanted & arrays.may_sleep & ready.on)]
    tries: list[tuple[State, bool]] = []
    for tightly in ways if sleepers else ways[:1]:
        tries.append(_emptied(ready, sleepers, work, tightly))
        if is_brief and tries[-1][1]:
            break
    state, emptied = min(tries, key=lambda one: (not one[1], score(arrays, one[0].solution())))
    if is_brief and not emptied:
        return state.solution(), False
    return descend_dearly(arrays, state.solution(), work, (1.0,) if is_brief else DEAR_FIRST), emptied


def _mended(arrays: Arrays, wanted: Bools, work: Work) -> State:
    state = State(arrays, Solution.today(arrays))
    for host in np.flatnonzero(wanted & arrays.may_wake & ~state.on):
        state.switch(int(host), True)
    bring_together(state)
    leave_hosts_too_many(state)
    ease_faults(state, work)
    return state


def _emptied(ready: State, sleepers: list[int], work: Work, tightly: bool) -> tuple[State, bool]:
    state = ready.copy()
    return state, empty_hosts(state, sleepers, work, tightly)


def shake(arrays: Arrays, start: Solution, work: Work, rng: np.random.Generator, restarts: int) -> Solution:
    """Shake a placement and descend again, keeping what is better."""
    best, best_score = start, score(arrays, start)
    best_state = State(arrays, start)
    for _ in range(restarts):
        state = best_state.copy()
        touched = _undo_some(state, rng, work)
        if not touched.any():
            touched = _kick(state, rng, work)
        if work.is_over or not touched.any():
            break
        descend(state, work, touched)
        found = state.solution()
        found_score = score(arrays, found)
        if found_score.beats(best_score):
            best, best_score, best_state = found, found_score, state
    return best


def _undo_some(state: State, rng: np.random.Generator, work: Work) -> Bools:
    """Send guests home that came to, or went from, a few hosts: what took their place may have been the better move."""
    arrays = state.arrays
    touched = np.zeros(len(state.on), dtype=bool)
    on = np.flatnonzero(state.on)
    hosts = rng.choice(on, min(HOSTS_UNDONE, len(on)), replace=False)
    near = np.isin(state.at, hosts) | np.isin(arrays.home, hosts)
    for unit in rng.permutation(np.flatnonzero(near & (state.at != arrays.home)))[:MOVES_UNDONE].tolist():
        home = int(arrays.home[unit])
        if np.isfinite(state.arriving[unit, home]) and work.one_more():
            touched[[state.at[unit], home]] = True
            state.relocate(unit, home)
    return touched


def _kick(state: State, rng: np.random.Generator, work: Work, guests: int = 4) -> Bools:
    """Put a few guests on other hosts where they may be, at random; return the hosts that were touched."""
    touched = np.zeros(len(state.on), dtype=bool)
    for _ in range(guests):
        legal = np.isfinite(state.changes())
        units = np.flatnonzero(legal.any(axis=1))
        if not len(units) or not work.one_more():
            return touched
        unit = int(rng.choice(units))
        host = int(rng.choice(np.flatnonzero(legal[unit])))
        touched[[state.at[unit], host]] = True
        state.relocate(unit, host)
    return touched


def better(first: tuple[Score, Solution], second: tuple[Score, Solution]) -> tuple[Score, Solution]:
    """Return the better of two scored placements, the first where they are equal."""
    return second if second[0].beats(first[0]) else first
