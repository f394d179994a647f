"""Two units change places: which pairs may, and what it changes.

With d = need of the one - need of the other, and curve c of each host's load L:

change = sum over resources of (c_here + c_there) * d^2 - 2 * (c_here * L_here - c_there * L_there) * d  +  places

and what tables say of the loads before and after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancer.solving.arrays import Bools, Floats, Ints
from balancer.solving.state import NEVER, State
from balancer.solving.tables import Tables

PARTNERS = 4, 6  # hosts at least and at most, those with which most could be gained, that a host's units go to
PAIRS = 100_000  # that are weighed at once
PARTS = 0.02, 0.05, 0.1, 0.2, 0.4  # of a load, tried where costs follow tables


@dataclass(frozen=True)
class Swap:
    """The best swap that was found, what it changes, and how many were tried."""

    unit: int = -1
    other: int = -1
    change: float = NEVER
    tried: int = 1


def swap(state: State, unit: int, other: int) -> None:
    """Let two units change places."""
    first, second = int(state.at[unit]), int(state.at[other])
    state.relocate(unit, second)
    state.relocate(other, first)


def best_swap(state: State, here: int) -> Swap:
    """Return the best swap of a unit on a host with one on another."""
    units = np.flatnonzero((state.at == here) & ~state.arrays.held)
    a_host = len(state.at) / max(1, int(state.on.sum()))
    partners = _promising(state, here, int(np.clip(PAIRS / max(1.0, len(units) * a_host), *PARTNERS)))
    others = np.flatnonzero(partners[state.at] & ~state.arrays.held)
    if state.arrays.has_budget:
        units, others = _worth_weighing(state, here, units, others)
    if not len(units) or not len(others):
        return Swap()
    changes = swap_changes(state, here, units, others)
    place = int(changes.argmin())
    row, column = divmod(place, len(others))
    return Swap(int(units[row]), int(others[column]), float(changes[row, column]), len(units))


def _promising(state: State, here: int, most_hosts: int) -> Bools:
    """Choose the hosts with which most could be gained if units could be cut to measure."""
    open_hosts = state.on & ~state.closing
    open_hosts[here] = False
    if open_hosts.sum() <= most_hosts:
        return open_hosts
    potential = np.where(open_hosts, pair_potential(state, here), -NEVER)
    chosen = np.zeros(len(open_hosts), dtype=bool)
    chosen[np.argpartition(-potential, most_hosts)[:most_hosts]] = True
    return chosen & open_hosts


def pair_potential(state: State, here: int) -> Floats:
    """Return the most that load could gain between a host and each other, in whatever amounts it were moved."""
    arrays = state.arrays
    slope = arrays.curve[here] * state.load[here] - arrays.curve * state.load
    steepness = arrays.curve[here] + arrays.curve
    gain = np.divide(slope**2, steepness, out=np.zeros_like(slope), where=steepness > 0)
    for tables in arrays.tables:
        gain[:, tables.resource] += _table_potential(tables, state.load[:, tables.resource], here)
    if arrays.has_soft_limits:
        over = arrays.soft_price * np.maximum(state.load - np.minimum(arrays.soft_limit, 1e300), 0.0)
        gain = gain + over + over[here]
    return np.asarray(gain.sum(axis=1), dtype=np.float64)


def _table_potential(tables: Tables, load: Floats, here: int) -> Floats:
    """Try a few parts of either load on the other host: tables bend as they like."""
    now = tables.on_all(load)
    part = np.outer((*PARTS, *PARTS), load)
    part[: len(PARTS)] = np.array(PARTS)[:, None] * -load[here]
    less = now[here] - tables.on_host(here, load[here] + part) + now - tables.on_all(load - part)
    return np.asarray(np.maximum(less.max(axis=0), 0.0), dtype=np.float64)


def swap_changes(state: State, here: int, units: Ints, others: Ints) -> Floats:
    """Return what J changes by when each of these units, all on one host, changes places with each of those.

    Infinite where that is not legal.
    """
    arrays, there = state.arrays, state.at[others]
    changes = _place_changes(state, here, units, others)
    for resource in range(arrays.need.shape[1]):
        need = arrays.need[:, resource]
        more_there = need[units][:, None] - need[others]
        room = arrays.ceiling[:, resource] - state.load[:, resource]
        too_much = (more_there > room[there]) & (need[units] > 0)[:, None]
        too_much |= (more_there < -room[here]) & (need[others] > 0)
        changes += _load_changes(state, here, there, more_there, resource)
        changes[too_much] = NEVER
    if state.groups.has_soft:
        changes[_share_a_price(state, units, others)] = NEVER
    if arrays.has_budget:
        changes[~_within_budget(state, here, units, others)] = NEVER
    return changes


def _place_changes(state: State, here: int, units: Ints, others: Ints) -> Floats:
    """What hosts and groups make of it; a unit that needs nothing fits where a limit is passed, another does not."""
    arrays, there = state.arrays, state.at[others]
    back = _places(state, others, here) - arrays.place_cost[others, there]
    hosts, column = np.unique(there, return_inverse=True)
    away = _places(state, units[:, None], hosts) - arrays.place_cost[units, here][:, None]
    return np.asarray(away.take(column, axis=1) + back, dtype=np.float64)


def _places(state: State, units: Ints, hosts: Ints | int) -> Floats:
    """What units cost on hosts beside the load they are; infinite where they may not go."""
    costs = state.arrays.place_cost[units, hosts] + state.grouping[units, hosts]
    return np.where(state.arrays.closed_to[units, hosts] | state.blocked[units, hosts], NEVER, costs)


def _load_changes(state: State, here: int, there: Ints, more_there: Floats, resource: int) -> Floats:
    arrays = state.arrays
    curve, load = arrays.curve[:, resource], state.load[:, resource]
    slope = 2.0 * (curve[there] * load[there] - curve[here] * load[here])
    changes = ((curve[here] + curve[there]) * more_there + slope) * more_there
    for tables in (each for each in arrays.tables if each.resource == resource):
        changes += tables.on_host(here, load[here] - more_there) - tables.on_host(here, load[here])
        for host in np.unique(there).tolist():
            column = there == host
            more = load[host] + more_there[:, column]
            changes[:, column] += tables.on_host(host, more) - tables.on_host(host, load[host])
    price = arrays.soft_price[:, resource]
    if price.any():
        over = load - np.minimum(arrays.soft_limit[:, resource], 1e300)
        changes += price[here] * (np.maximum(over[here] - more_there, 0.0) - max(over[here], 0.0))
        changes += price[there] * (np.maximum(over[there] + more_there, 0.0) - np.maximum(over[there], 0.0))
    return np.asarray(changes, dtype=np.float64)


def _share_a_price(state: State, units: Ints, others: Ints) -> Bools:
    """Two members of one soft group change its price together in a way that neither sees alone."""
    shared = np.zeros((len(units), len(others)), dtype=bool)
    column = {other: place for place, other in enumerate(others.tolist())}
    for row, unit in enumerate(units.tolist()):
        for mates in state.groups.soft_mates(unit):
            is_priced = state.grouping[unit].any() | state.grouping[mates].any(axis=1)
            shared[row, [column[mate] for mate in mates[is_priced].tolist() if mate in column]] = True
    return shared


def _worth_weighing(state: State, here: int, units: Ints, others: Ints) -> tuple[Ints, Ints]:
    """Leave out who may not leave home for want of a budget, unless somebody goes home for them."""
    homes, may_leave = state.arrays.home, state.affordable()
    if not may_leave[units].all() and not (homes[others] == here).any():
        units = units[may_leave[units]]
    if not may_leave[others].all():
        others = others[may_leave[others] | np.isin(state.at[others], homes[units])]
    return units, others


def _within_budget(state: State, here: int, units: Ints, others: Ints) -> Bools:
    arrays, there = state.arrays, state.at[others]
    unit_step = np.not_equal(there, arrays.home[units][:, None]).astype(np.int64)
    unit_step -= np.not_equal(here, arrays.home[units]).astype(np.int64)[:, None]
    other_step = np.not_equal(here, arrays.home[others]).astype(np.int64) - np.not_equal(there, arrays.home[others])
    guests = unit_step * arrays.guests[units][:, None] + other_step * arrays.guests[others]
    mib = unit_step * arrays.mib[units][:, None] + other_step * arrays.mib[others]
    within = (guests <= max(state.guests_left, 0)) & (mib <= max(state.mib_left, 0) + 1e-6)
    return np.asarray(within, dtype=bool)
