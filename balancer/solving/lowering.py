"""From names to numbers: the shapes of a problem become its arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from balancer.domain.host import Host, Resource
from balancer.domain.shapes import AllowedHosts, CapacityShare, HostMust, HostOn, LoadCurve, MoveCost
from balancer.domain.vm import Vm
from balancer.solving.arrays import Arrays, Bools, Floats, Ints
from balancer.solving.families import companies_of, families_of
from balancer.solving.problem import Problem
from balancer.solving.units import Units, units_of


def arrays_of(problem: Problem) -> Arrays:
    """Turn a problem into arrays."""
    cluster = problem.cluster
    units = units_of(problem)
    places = {host.name: place for place, host in enumerate(cluster.hosts)}
    unit_of_vm = {vm.name: place for place, unit in enumerate(units.members) for vm in unit}
    resources = tuple(sorted({s.resource for s in (*problem.shapes, *problem.costs) if hasattr(s, "resource")}))
    need = _table([[sum(vm.need(r) for vm in unit) for r in resources] for unit in units.members], len(resources))
    home = np.array([places[unit[0].host] for unit in units.members], dtype=np.int64)
    usable = _table([[host.usable(r) for r in resources] for host in cluster.hosts], len(resources))
    used = _table([[cluster.used(host, r) for r in resources] for host in cluster.hosts], len(resources))
    np.subtract.at(used, home, need)
    may_sleep = _may_sleep(problem, unit_of_vm)
    may_wake = np.array(
        [h.name in problem.may_wake and not h.is_on and not cluster.is_doubted(h) for h in cluster.hosts], dtype=bool
    )
    limit, soft_limit, soft_price = _limits(problem, places, resources, usable)
    targets = np.array([h.takes_guests and not cluster.is_doubted(h) for h in cluster.hosts], dtype=bool) | may_wake
    places_of_units = _places(problem, units, places, unit_of_vm, _able(units, cluster.hosts) & targets)
    return Arrays(
        hosts=tuple(places),
        resources=resources,
        units=tuple(tuple(vm.name for vm in unit) for unit in units.members),
        need=need,
        home=home,
        guests=np.array([len(unit) for unit in units.members], dtype=np.int64),
        mib=np.array([sum(vm.memory_mib for vm in unit) for unit in units.members], dtype=np.float64),
        place_cost=places_of_units.cost + _move_costs(problem, units, home, len(places)),
        allowed=places_of_units.allowed,
        held=np.isin(np.arange(len(units.members)), [u for split in units.splits for u in split]),
        splits=units.splits,
        fixed=np.maximum(used, 0.0),
        usable=usable,
        limit=limit,
        curve=_curves(problem, places, resources, usable),
        soft_limit=soft_limit,
        soft_price=soft_price,
        on_cost=_on_costs(problem, places),
        on_today=np.array([host.is_on for host in cluster.hosts], dtype=bool),
        may_sleep=may_sleep,
        may_wake=may_wake,
        must=_musts(problem, places),
        families=families_of(problem.shapes, cluster, places, unit_of_vm),
        companies=companies_of(problem.shapes, cluster, places, unit_of_vm),
        stray=places_of_units.stray,
        stuck=places_of_units.stuck + units.stuck,
        stuck_cost=places_of_units.stuck_cost,
        max_guests=np.inf if problem.max_moves is None else problem.max_moves,
        max_mib=np.inf if problem.max_mib is None else problem.max_mib,
    )


def _table(rows: Sequence[Sequence[float]], columns: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)


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


def _limits(
    problem: Problem, places: dict[str, int], resources: tuple[Resource, ...], usable: Floats
) -> tuple[Floats, Floats, Floats]:
    limit = np.full(usable.shape, np.inf)
    soft_limit, soft_price = np.full(usable.shape, np.inf), np.zeros(usable.shape)
    for shape in problem.shapes:
        if not isinstance(shape, CapacityShare) or shape.host not in places:
            continue
        at = places[shape.host], resources.index(shape.resource)
        if shape.price is None:
            limit[at] = min(limit[at], shape.share * usable[at])
        elif usable[at] > 0:
            soft_limit[at] = min(soft_limit[at], shape.share * usable[at])
            # A host that is full is as far over its share as it can sensibly be.
            soft_price[at] += shape.price / (max(1.0 - shape.share, 0.01) * usable[at])
    return limit, soft_limit, soft_price


def _curves(problem: Problem, places: dict[str, int], resources: tuple[Resource, ...], usable: Floats) -> Floats:
    curve = np.zeros(usable.shape)
    for cost in problem.costs:
        if isinstance(cost, LoadCurve):
            at = places[cost.host], resources.index(cost.resource)
            curve[at] += cost.factor / usable[at] ** 2 if usable[at] > 0 else 0.0
    return curve


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
    for shape in problem.shapes:
        if isinstance(shape, AllowedHosts) and problem.cluster.has_vm(shape.vm):
            if shape.vm in unit_of_vm:
                _place_unit(found, shape, unit_of_vm[shape.vm], places, int(home[unit_of_vm[shape.vm]]))
            else:
                _place_stuck(found, shape, problem.cluster.vm(shape.vm))
    return found


def _place_unit(found: _Places, shape: AllowedHosts, unit: int, places: dict[str, int], home: int) -> None:
    inside = np.array([host in shape.hosts for host in places], dtype=bool)
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


def _able(units: Units, hosts: tuple[Host, ...]) -> Bools:
    """Which hosts could run each unit at all; asked once for guests that cannot differ."""
    answers: dict[tuple[object, ...], Bools] = {}

    def ask(vm: Vm) -> Bools:
        kind = (vm.cpu_mode, vm.cpu_models, vm.networks, vm.pools, vm.host)
        if kind not in answers:
            answers[kind] = np.array([vm.why_not_on(host) == "" for host in hosts], dtype=bool)
        return answers[kind]

    rows = [np.logical_and.reduce([ask(vm) for vm in unit]) for unit in units.members]
    return np.array(rows, dtype=bool).reshape(len(rows), len(hosts))
