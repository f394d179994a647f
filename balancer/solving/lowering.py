"""From names to numbers: the shapes of a problem become its arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from balancer.domain.host import Resource
from balancer.domain.shapes import (
    AllowedHosts,
    CapacityShare,
    HostMust,
    HostOn,
    HostsOn,
    LoadCurve,
    LoadTable,
    Losses,
    MoveCost,
    Shape,
)
from balancer.domain.vm import Vm
from balancer.solving.arrays import Arrays, Bools, Floats, HostCount, Ints
from balancer.solving.families import Family, companies_of, families_of
from balancer.solving.losses import losses_of
from balancer.solving.problem import Problem
from balancer.solving.tables import Tables, tables_of
from balancer.solving.units import Units, units_of


def arrays_of(problem: Problem) -> Arrays:
    """Turn a problem into arrays."""
    cluster = problem.cluster
    units = units_of(problem)
    places = {host.name: place for place, host in enumerate(cluster.hosts)}
    unit_of_vm = {vm.name: place for place, unit in enumerate(units.members) for vm in unit}
    resources = resources_of(problem)
    need = _needs(units, resources)
    home = np.array([places[unit[0].host] for unit in units.members], dtype=np.int64)
    usable = _table([[host.usable(r) for r in resources] for host in cluster.hosts], len(resources))
    used = _table([[cluster.used(host, r) for r in resources] for host in cluster.hosts], len(resources))
    np.subtract.at(used, home, need)
    may_sleep = _may_sleep(problem, unit_of_vm)
    may_wake = np.array(
        [h.name in problem.may_wake and not h.is_on and not cluster.is_doubted(h) for h in cluster.hosts], dtype=bool
    )
    fixed = np.maximum(used, 0.0)
    limits = _limits(problem, places, resources, usable)
    crowded = tuple(_second_wish(over, usable, need, fixed) for over in limits.further)
    targets = np.array([h.takes_guests and not cluster.is_doubted(h) for h in cluster.hosts], dtype=bool) | may_wake
    able = np.repeat(targets[None, :], len(units.members), axis=0)
    places_of_units = _places(problem, units, places, unit_of_vm, able)
    return Arrays(
        hosts=tuple(places),
        resources=resources,
        units=tuple(tuple(vm.name for vm in unit) for unit in units.members),
        need=np.asfortranarray(need),
        home=home,
        guests=np.array([len(unit) for unit in units.members], dtype=np.int64),
        mib=np.array([sum(vm.memory_mib for vm in unit) for unit in units.members], dtype=np.float64),
        place_cost=np.asfortranarray(places_of_units.cost + _move_costs(problem, units, home, len(places))),
        allowed=np.asfortranarray(places_of_units.allowed),
        held=np.isin(np.arange(len(units.members)), [u for split in units.splits for u in split]),
        splits=units.splits,
        fixed=fixed,
        usable=usable,
        limit=limits.hard,
        curve=_curves(problem, places, resources, usable),
        tables=tuple(_tables(problem, places, resources, fixed.sum(axis=0) + need.sum(axis=0))),
        soft_limit=limits.soft,
        soft_price=limits.price,
        on_cost=_on_costs(problem, places),
        on_today=np.array([host.is_on for host in cluster.hosts], dtype=bool),
        may_sleep=may_sleep,
        may_wake=may_wake,
        must=_musts(problem, places),
        families=(*families_of(problem.shapes, cluster, resources, places, unit_of_vm), *crowded),
        companies=companies_of(problem.shapes, cluster, places, unit_of_vm),
        losses=losses_of(problem.shapes, cluster, resources, targets, unit_of_vm),
        counts=tuple(_host_counts(problem.shapes, places)),
        stray=places_of_units.stray,
        stuck=places_of_units.stuck + units.stuck,
        stuck_cost=places_of_units.stuck_cost,
        max_guests=np.inf if problem.max_moves is None else problem.max_moves,
        max_mib=np.inf if problem.max_mib is None else problem.max_mib,
    )


def resources_of(problem: Problem) -> tuple[Resource, ...]:
    """Return every resource that some shape or cost speaks of."""
    spoken: set[Resource] = {s.resource for s in (*problem.shapes, *problem.costs) if hasattr(s, "resource")}
    spoken |= {resource for s in problem.shapes if isinstance(s, Losses) for resource, _ in s.shares}
    return tuple(sorted(spoken))


def _host_counts(shapes: Iterable[Shape], places: dict[str, int]) -> Iterator[HostCount]:
    for shape in shapes:
        if isinstance(shape, HostsOn):
            hosts = np.array(sorted(places[name] for name in shape.hosts if name in places), dtype=np.int64)
            most = len(hosts) if shape.at_most is None else shape.at_most
            price = None if shape.price is None else shape.price / max(1, len(hosts))
            yield HostCount(hosts, shape.at_least, most, price)


def _table(rows: Sequence[Sequence[float]], columns: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)


def _needs(units: Units, resources: Sequence[Resource]) -> Floats:
    """What the guests of each unit need together."""
    need = np.zeros((len(units.members), len(resources)))
    rows = [row for row, unit in enumerate(units.members) for _ in unit]
    for column, resource in enumerate(resources):
        np.add.at(need[:, column], rows, [vm.need(resource) for unit in units.members for vm in unit])
    return need


def _may_sleep(problem: Problem, unit_of_vm: dict[str, int]) -> Bools:
    """A host may be switched off only where every guest defined on it can leave, those shut off too."""
    cluster = problem.cluster
    return np.array(
        [
            host.name in problem.may_sleep
            and host.is_on
            and not cluster.is_doubted(host)
            and all(vm.name in unit_of_vm for vm in cluster.guests_of(host.name))
            for host in cluster.hosts
        ],
        dtype=bool,
    )


@dataclass(frozen=True)
class _Over:
    """A wish about the load of one host and resource: above `limit` each unit of it costs `price`."""

    at: tuple[int, int]
    limit: float
    price: float


@dataclass(frozen=True)
class _Limits:
    """Limits of loads: hard ones, the first wish for each load, and the wishes that come on top of it."""

    hard: Floats
    soft: Floats
    price: Floats
    further: tuple[_Over, ...]


def _limits(problem: Problem, places: dict[str, int], resources: tuple[Resource, ...], usable: Floats) -> _Limits:
    hard, soft, price = np.full(usable.shape, np.inf), np.full(usable.shape, np.inf), np.zeros(usable.shape)
    further: list[_Over] = []
    for shape in problem.shapes:
        if not isinstance(shape, CapacityShare) or shape.host not in places:
            continue
        at = places[shape.host], resources.index(shape.resource)
        limit = shape.share * float(usable[at])
        if shape.price is None:
            hard[at] = min(hard[at], limit)
        elif usable[at] > 0:
            # A host that is full is as far over its share as it can sensibly be; one that may be overbooked, twice so.
            most = max(1.0 - shape.share, 0.01) if shape.share < 1.0 else shape.share
            per_unit = shape.price / (most * float(usable[at]))
            if np.isinf(soft[at]):
                soft[at], price[at] = limit, per_unit
            else:
                further.append(_Over(at, limit, per_unit))
    return _Limits(hard, soft, price, tuple(further))


def _second_wish(over: _Over, usable: Floats, need: Floats, fixed: Floats) -> Family:
    """Count a load's second wish as a group of all guests on one host."""
    host, resource = over.at
    domain = np.full(len(usable), -1, dtype=np.int64)
    domain[host] = 0
    units = np.flatnonzero(need[:, resource] > 0)
    base, scale = fixed[[host], resource], 1.0 / float(usable[over.at])
    return Family(units, need[units, resource], domain, base, over.limit, over.price, scale, resource)


def _curves(problem: Problem, places: dict[str, int], resources: tuple[Resource, ...], usable: Floats) -> Floats:
    curve = np.zeros(usable.shape)
    for cost in problem.costs:
        if isinstance(cost, LoadCurve):
            at = places[cost.host], resources.index(cost.resource)
            curve[at] += cost.factor / usable[at] ** 2 if usable[at] > 0 else 0.0
    return curve


def _tables(
    problem: Problem, places: dict[str, int], resources: tuple[Resource, ...], whole: Floats
) -> Iterator[Tables]:
    listed = [cost for cost in problem.costs if isinstance(cost, LoadTable)]
    for place, resource in enumerate(resources):
        own = [table for table in listed if table.resource == resource]
        if own:
            yield tables_of(own, places, place, float(whole[place]))


def _on_costs(problem: Problem, places: dict[str, int]) -> Floats:
    costs = np.zeros(len(places))
    for cost in problem.costs:
        if isinstance(cost, HostOn):
            costs[places[cost.host]] += cost.cost
    return costs


def _musts(problem: Problem, places: dict[str, int]) -> Ints:
    must = np.zeros(len(places), dtype=np.int64)
    for shape in problem.shapes:
        if isinstance(shape, HostMust) and shape.host in places:
            must[places[shape.host]] = 1 if shape.on else -1
    return must


@dataclass
class _Places:
    """Where units may be and like to be; filled shape by shape."""

    allowed: Bools
    cost: Floats
    stray: Floats
    stuck: float = 0.0
    stuck_cost: float = 0.0


def _places(problem: Problem, units: Units, places: dict[str, int], unit_of_vm: dict[str, int], able: Bools) -> _Places:
    home = np.array([places[unit[0].host] for unit in units.members], dtype=np.int64)
    able[np.arange(len(home)), home] = True
    found = _Places(able, np.zeros(able.shape), np.zeros(len(home)))
    masks: dict[frozenset[str], Bools] = {}
    for shape in problem.shapes:
        if isinstance(shape, AllowedHosts) and problem.cluster.has_vm(shape.vm):
            if shape.vm in unit_of_vm:
                if shape.hosts not in masks:
                    masks[shape.hosts] = np.array([host in shape.hosts for host in places], dtype=bool)
                unit = unit_of_vm[shape.vm]
                _place_unit(found, shape, unit, masks[shape.hosts], int(home[unit]))
            else:
                _place_stuck(found, shape, problem.cluster.vm(shape.vm))
    return found


def _place_unit(found: _Places, shape: AllowedHosts, unit: int, inside: Bools, home: int) -> None:
    if shape.price is None:
        found.allowed[unit] &= inside
        found.stray[unit] += not inside[home]
    else:
        found.cost[unit] += shape.price * ~inside


def _place_stuck(found: _Places, shape: AllowedHosts, vm: Vm) -> None:
    outside = not {vm.host, vm.moving_to or vm.host} <= shape.hosts
    found.stuck += outside * (shape.price is None)
    found.stuck_cost += outside * (shape.price or 0.0)


def _move_costs(problem: Problem, units: Units, home: Ints, host_count: int) -> Floats:
    cost_by_vm: dict[str, float] = defaultdict(float)
    for cost in problem.costs:
        if isinstance(cost, MoveCost):
            cost_by_vm[cost.vm] += cost.cost
    away = np.array([sum(cost_by_vm[vm.name] for vm in unit) for unit in units.members], dtype=np.float64)
    costs = np.repeat(away[:, None], host_count, axis=1)
    costs[np.arange(len(home)), home] = 0.0
    return costs
