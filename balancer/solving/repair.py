"""Ease what is broken, before anything is made cheaper."""

from __future__ import annotations

import numpy as np

from balancer.solving.arrays import Arrays, Floats, Ints
from balancer.solving.chains import place_by_chain
from balancer.solving.score import members_on
from balancer.solving.state import NEVER, State
from balancer.solving.work import Work

CHANCES = 8  # units, those that ease most, for which a chain is looked for at a time


def bring_together(state: State) -> None:
    """Bring groups that are split and should share a host together, where the least memory has to move."""
    for split in state.arrays.splits:
        targets = sorted({int(state.at[unit]) for unit in split}, key=lambda host: _mib_to(state.arrays, split, host))
        next((host for host in targets if _gathered(state, split, host)), None)


def _mib_to(arrays: Arrays, split: tuple[int, ...], host: int) -> tuple[float, int]:
    return float(sum(arrays.mib[unit] for unit in split if arrays.home[unit] != host)), host


def _gathered(state: State, split: tuple[int, ...], host: int) -> bool:
    """Bring a group to one host if that is legal for each of them; otherwise leave everything as it was."""
    done: list[tuple[int, int]] = []
    for unit in (unit for unit in split if state.at[unit] != host):
        may = state.arrays.allowed[unit, host] and state.on[host] and state.affordable()[unit]
        if not (may and state.has_room(unit, host)):
            for back, home in reversed(done):
                state.relocate(back, home)
            return False
        done.append((unit, int(state.at[unit])))
        state.relocate(unit, host)
    return True


def leave_hosts_too_many(state: State) -> None:
    """Take groups that are on more hosts than they may off the hosts that carry the fewest of them."""
    for company in (company for company in state.arrays.companies if company.price is None):
        members = members_on(company, state.at)
        for host in sorted(np.flatnonzero(members).tolist(), key=lambda h: (members[h], h)):
            members = members_on(company, state.at)
            if int((members > 0).sum()) <= company.limit:
                break
            if not company.base[host]:
                targets = [h for h in np.flatnonzero(members).tolist() if h != host]
                _spread(state, [u for u in company.units.tolist() if state.at[u] == host], targets)


def _spread(state: State, units: list[int], targets: list[int]) -> bool:
    """Put units on some of these hosts if that is legal for each of them; otherwise leave everything as it was."""
    done: list[tuple[int, int]] = []
    for unit in units:
        costs = {host: state.arriving[unit, host] for host in targets if np.isfinite(state.arriving[unit, host])}
        if not costs or not state.affordable()[unit]:
            for back, home in reversed(done):
                state.relocate(back, home)
            return False
        done.append((unit, int(state.at[unit])))
        state.relocate(unit, min(costs, key=lambda host: (costs[host], host)))
    return True


def ease_faults(state: State, work: Work) -> None:
    """Move guests away from what they break, whichever eases most, until nothing more can be eased."""
    while True:
        eased = eased_by_leaving(state)
        guilty = np.flatnonzero(eased > 1e-9)
        if not len(guilty):
            return
        changes = state.changes()[guilty]
        eased_by = np.where(np.isfinite(changes), eased[guilty][:, None], 0.0)
        if work.is_over:
            return
        if eased_by.max(initial=0.0) <= 0:
            if not _eased_by_chain(state, guilty, eased, work):
                return
            continue
        work.one_more()
        best = np.where(eased_by >= eased_by.max() - 1e-12, changes, NEVER)
        row, host = (int(i) for i in np.unravel_index(int(best.argmin()), best.shape))
        state.relocate(int(guilty[row]), host)


def _eased_by_chain(state: State, guilty: Ints, eased: Floats, work: Work) -> bool:
    """Find a place by displacing others for whoever eases most, where nobody finds room who would ease anything."""
    worst_first = guilty[np.argsort(-eased[guilty], kind="stable")]
    return any(place_by_chain(state, unit, work) for unit in worst_first[:CHANCES].tolist())


def eased_by_leaving(state: State) -> Floats:
    """Return how much hard excess each unit takes along when it leaves its host for a legal place."""
    arrays = state.arrays
    usable = np.where(arrays.usable > 0, arrays.usable, 1.0)
    over = state.load - arrays.limit
    over = np.where(over > arrays.slack, over, 0.0) * state.on[:, None]
    eased = (np.minimum(over[state.at], arrays.need) / usable[state.at]).sum(axis=1)
    eased += np.where(state.at == arrays.home, arrays.stray, 0.0)
    for family, counts in zip(arrays.families, state.groups.counts, strict=True):
        if family.price is None and (counts > family.roof).any():
            domain = family.domain[state.at[family.units]]
            excess = np.where(domain >= 0, np.maximum(counts - family.limit, 0.0)[domain], 0.0)
            eased[family.units] += np.minimum(excess, family.weights) * family.scale
    return np.asarray(eased, dtype=np.float64)
