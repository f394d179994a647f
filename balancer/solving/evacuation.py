"""Empty hosts, so that they may sleep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balancer.solving.arrays import Floats, every
from balancer.solving.chains import place_by_chain
from balancer.solving.state import NEVER, State
from balancer.solving.work import Work

CHANCES = 3  # units for which no chain is found before none is looked for any more


def empty_hosts(state: State, hosts: Sequence[int], work: Work, tightly: bool) -> bool:
    """Empty hosts and switch them off, big guests first; those that cannot be emptied stay on. Say whether all went.

    tightly: choose the target with the least room left rather than the cheapest
    """
    for host in hosts:
        state.close(host)
    if tightly:
        gone = [_empty(state, [host], work, tightly) for host in _lightest_first(state, hosts)]
    else:
        gone = [_empty(state, hosts, work, tightly)]
    for host in hosts:
        if state.on[host]:
            state.close(host, False)
    return all(gone)


def _empty(state: State, hosts: Sequence[int], work: Work, tightly: bool) -> bool:
    leaving = [unit for host in hosts for unit in state.units_on(host)]
    sizes, chances = size_of_units(state), CHANCES
    for unit in sorted(leaving, key=lambda u: (-sizes[u], u)):
        target = _target(state, unit, tightly)
        if target is None and make_room(state, unit, work):
            target = _target(state, unit, tightly)
        if target is not None and work.one_more():
            state.relocate(unit, target)
        elif target is None and chances and not place_by_chain(state, unit, work):
            chances -= 1
    emptied = [host for host in hosts if not (state.at == host).any()]
    for host in emptied:
        state.switch(host, False)
        state.close(host, False)
    return len(emptied) == len(hosts)


def _lightest_first(state: State, hosts: Sequence[int]) -> list[int]:
    sizes = size_of_units(state)
    return sorted(hosts, key=lambda host: (sizes[state.at == host].sum(), host))


def size_of_units(state: State) -> Floats:
    """Return how big each unit is beside the room that all hosts have, in its scarcest resource."""
    usable = state.arrays.usable.sum(axis=0)
    return np.asarray(
        (state.arrays.need / np.where(usable > 0, usable, np.inf)).max(axis=1, initial=0.0), dtype=np.float64
    )


def _target(state: State, unit: int, tightly: bool) -> int | None:
    if not state.affordable()[unit]:
        return None
    costs = state.arriving[unit]
    if not np.isfinite(costs).any():
        return None
    room = _room_left(state, unit)
    if tightly:
        return int(np.where(np.isfinite(costs), room, NEVER).argmin())
    return int((costs + 1e-9 * room).argmin())


def _room_left(state: State, unit: int) -> Floats:
    """Return the share of each host that would still be free, in its scarcest resource."""
    arrays = state.arrays
    top = np.where(np.isfinite(arrays.limit), arrays.limit, arrays.usable)
    share = (top - state.load - arrays.need[unit]) / np.maximum(arrays.usable, 1e-9)
    share[np.isinf(arrays.limit) & (arrays.usable <= 0)] = 1.0  # nobody said what there is of it
    return np.asarray(share.min(axis=1, initial=1.0), dtype=np.float64)


def make_room(state: State, unit: int, work: Work) -> bool:
    """Move one other unit out of the way, so that a unit fits where it left."""
    arrays = state.arrays
    welcome = arrays.allowed[unit] & state.on & ~state.closing & ~state.blocked[unit]
    lacking = state.load + arrays.need[unit] - arrays.ceiling
    movable = state.affordable() & ~arrays.held & welcome[state.at]
    movable &= every((arrays.need >= lacking[state.at]) | arrays.idle_need[unit])
    candidates = np.flatnonzero(movable & np.isfinite(state.arriving).any(axis=1))
    if not len(candidates):
        return False
    costs = state.arriving[candidates] + state.leaving[candidates][:, None]
    # Among equals the smallest guest goes, to where it leaves the least room idle.
    costs = costs + 1e-6 * size_of_units(state)[candidates][:, None]
    row, host = (int(i) for i in np.unravel_index(int(costs.argmin()), costs.shape))
    if not work.one_more():
        return False
    state.relocate(int(candidates[row]), host)
    return True
