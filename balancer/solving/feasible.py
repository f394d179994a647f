"""Is there any placement at all that keeps these shapes? A small model, of the guests that they speak of.

n[c, h]   how many guests of class c are on host h, whole numbers; a class is guests that the shapes cannot tell apart
on[h]     whether a host is on
z[c, h]   what the guests of a class bring to a host where they bring different amounts (large clusters only)

No cost, no budget, no order: hosts that sleep may be woken, guests may go wherever nothing forbids it. A "no" is
proven. A "yes" comes with a placement, which the promises' own checkers should see before it is believed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pulp

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState, Resource
from balancer.domain.placement import Move, Placement
from balancer.domain.reach import reach_of
from balancer.domain.shapes import (
    AllowedHosts,
    AtMost,
    CapacityShare,
    GroupLoad,
    HostMust,
    HostsOn,
    HostsTouched,
    Losses,
    Shape,
    Together,
)
from balancer.domain.vm import Vm
from balancer.solving import highs

Key = tuple[Any, ...]

LEEWAY = 4e-6  # of what is usable: more than the checkers' tolerance, so that a "no" is never a matter of rounding
EXACT_CELLS = 4000  # places of classes up to which each guest counts by its own size
LOSS_CELLS = 6000  # places of lost guests up to which each loss is packed exactly
MOST_LOSSES = 60


@dataclass(frozen=True)
class Feasibility:
    """Whether there is a placement: True, False, or None where effort ran out."""

    is_possible: bool | None
    placement: Placement | None = None
    work: int = 0  # places of classes of guests in the model, which is what solving it costs


@dataclass(frozen=True)
class _Unit:
    """Guests that are to share a host, or a single one; and where they may be."""

    vms: tuple[Vm, ...]
    hosts: frozenset[str]

    @property
    def is_active(self) -> bool:
        return any(vm.is_active for vm in self.vms)


def settled(cluster: Cluster) -> Cluster:
    """Return the cluster once each guest in flight has arrived."""
    flying = [Move(vm.name, vm.host, vm.moving_to) for vm in cluster.vms if vm.moving_to is not None]
    return cluster.after(*flying) if flying else cluster


def facts_of(cluster: Cluster, bound: Collection[str]) -> tuple[Shape, ...]:
    """Say in shapes what is so, whatever rules say: who is bound, which hosts take nobody, which stay on."""
    open_hosts = frozenset(host.name for host in cluster.hosts if _is_open(host))
    names = frozenset(cluster.host_by_name)
    fixed = [AllowedHosts(vm.name, frozenset({vm.host})) for vm in cluster.vms if vm.name in bound]
    closed = [AllowedHosts(vm.name, open_hosts | {vm.host}) for vm in cluster.vms if open_hosts | {vm.host} != names]
    reach = [
        AllowedHosts(vm.name, hosts) for vm, hosts in reach_of(cluster.vms, cluster.hosts) if len(hosts) < len(names)
    ]
    awake = [HostMust(host.name, on=True) for host in cluster.hosts if host.is_on and host.may_sleep is False]
    return (*fixed, *closed, *reach, *awake)


def _is_open(host: Host) -> bool:
    if host.drained:
        return False
    if host.state is HostState.UP:
        return not host.cordoned
    return not host.is_on or host.state is HostState.WAKING


def find_any(
    cluster: Cluster, shapes: Sequence[Shape], facts: Sequence[Shape] = (), nodes: int = 500, seed: int = 1
) -> Feasibility:
    """Look for a placement that keeps all hard shapes of a settled cluster, and prove it where there is none.

    facts: what is so beside them; of guests that no shape speaks of it says nothing
    """
    hard = [shape for shape in shapes if getattr(shape, "price", None) is None]
    units = _units(cluster, hard, facts)
    if any(not unit.hosts for unit in units):
        return Feasibility(False)
    model = _Model(cluster, [*hard, *facts], units)
    outcome = highs.solve(model.lp, seed=seed, nodes=nodes)
    if outcome.infeasible:
        return Feasibility(False, work=model.cells)
    if not (outcome.found and model.is_exact):
        return Feasibility(None, work=model.cells)
    return Feasibility(True, model.placement(), work=model.cells)


def _units(cluster: Cluster, shapes: Sequence[Shape], facts: Sequence[Shape]) -> list[_Unit]:
    """Return the guests that the shapes speak of, those that have to be together as one."""
    names = _spoken_of(cluster, shapes)
    every = frozenset(cluster.host_by_name)
    hosts: dict[str, frozenset[str]] = dict.fromkeys(names, every)
    for shape in (*shapes, *facts):
        if isinstance(shape, AllowedHosts) and shape.vm in hosts:
            hosts[shape.vm] &= shape.hosts
    leader = {name: name for name in names}
    for shape in shapes:
        if isinstance(shape, Together):
            members = sorted(shape.vms & leader.keys())
            old = {leader[name] for name in members}
            leader = {name: members[0] if led in old else led for name, led in leader.items()} if members else leader
    grouped: dict[str, list[Vm]] = defaultdict(list)
    for name in sorted(names):
        grouped[leader[name]].append(cluster.vm(name))
    return [_Unit(tuple(vms), frozenset.intersection(*(hosts[vm.name] for vm in vms))) for vms in grouped.values()]


def _spoken_of(cluster: Cluster, shapes: Iterable[Shape]) -> set[str]:
    named: set[str] = set()
    for shape in shapes:
        if isinstance(shape, CapacityShare | Losses) or (isinstance(shape, GroupLoad) and shape.vms is None):
            return {vm.name for vm in cluster.vms}
        if isinstance(shape, HostsOn) and shape.at_most is not None:
            return {vm.name for vm in cluster.vms}  # whoever is left needs a host that is on
        if isinstance(shape, AllowedHosts):
            named.add(shape.vm)
        elif isinstance(shape, AtMost | Together | HostsTouched | GroupLoad):
            named |= shape.vms or set()
    return {name for name in named if cluster.has_vm(name)}


@dataclass(frozen=True)
class _Class:
    """Units that the shapes cannot tell apart, or hardly: with where they may be."""

    units: tuple[_Unit, ...]
    hosts: tuple[str, ...]


class _Model:
    """The model in PuLP. `is_exact` where its answers are placements and no mere sums."""

    def __init__(self, cluster: Cluster, shapes: Sequence[Shape], units: Sequence[_Unit]) -> None:
        self._cluster, self._shapes = cluster, shapes
        self.lp: Any = pulp.LpProblem("feasible", pulp.LpMinimize)
        self.lp.setObjective(pulp.LpAffineExpression())
        self._names = 0
        self._measures = _Measures(shapes)
        self._kinds = {id(s): _Kinds(cluster, s) for s in shapes if isinstance(s, Losses)}
        self.is_exact = True
        self._classes = self._classed(units)
        self._on = {host.name: self._var(0, 1) for host in cluster.hosts}
        self._n = [{host: self._var(0, len(c.units)) for host in c.hosts} for c in self._classes]
        self.cells = len(self._on) + sum(map(len, self._n))
        self._z: dict[tuple[int, Key], dict[str, Any]] = {}
        self._ranges: dict[tuple[int, Key], tuple[float, float, float]] = {}
        self._counting: dict[Key, list[int]] = {}  # the classes that count in a sum at all
        self._place_everybody()
        for shape in shapes:
            self._add(shape)

    # -- classes

    def _classed(self, units: Sequence[_Unit]) -> list[_Class]:
        """Tell guests apart by size as long as that is affordable, else by what is promised of them alone."""
        measures, kinds = self._measures, tuple(self._kinds.values())

        def alike(unit: _Unit) -> Key:
            again = tuple(sorted(each.of(vm.name) for vm in unit.vms) for each in kinds)
            return unit.hosts, measures.all_of(unit.vms), str(again), unit.is_active

        fine = self._by(units, alike)
        if sum(len(c.hosts) for c in fine) <= EXACT_CELLS:
            return fine
        coarse = self._by(units, lambda unit: (unit.hosts, measures.memberships(unit.vms), unit.is_active))
        self.is_exact = len(coarse) == len(fine)
        return coarse

    @staticmethod
    def _by(units: Sequence[_Unit], key: Any) -> list[_Class]:
        found: dict[Any, list[_Unit]] = defaultdict(list)
        for unit in units:
            found[key(unit)].append(unit)
        return [_Class(tuple(same), tuple(sorted(same[0].hosts))) for same in found.values()]

    def _place_everybody(self) -> None:
        for c, places in zip(self._classes, self._n, strict=True):
            self._row(pulp.lpSum(places.values()) == len(c.units))
            for host, count in places.items():
                # A guest that is shut off needs nothing that is on; the host that defines it may be off.
                if c.units[0].is_active:
                    self._row(count <= len(c.units) * self._on[host])

    # -- shapes

    def _add(self, shape: Shape) -> None:
        match shape:
            case CapacityShare():
                self._capacity(shape)
            case AtMost():
                inside = [self._amount(("members", shape.vms), host) for host in shape.hosts]
                self._row(pulp.lpSum(inside) <= shape.limit + 1e-6)
            case GroupLoad():
                self._group_load(shape)
            case HostsTouched():
                self._touched(shape)
            case HostsOn():
                self._count_on(shape)
            case HostMust():
                if shape.host in self._on:
                    self._row(self._on[shape.host] == int(shape.on))
            case Losses():
                self._losses(shape)

    def _capacity(self, shape: CapacityShare) -> None:
        if not self._cluster.has_host(shape.host):
            return
        host = self._cluster.host(shape.host)
        usable, fixed = host.usable(shape.resource), self._fixed(host, shape.resource)
        limit = shape.share * usable + LEEWAY * max(usable, 1.0)
        self._row(self._amount(("need", shape.resource), host.name) <= (limit - fixed) * self._on[host.name])

    def _group_load(self, shape: GroupLoad) -> None:
        hosts = [self._cluster.host(name) for name in sorted(shape.hosts) if self._cluster.has_host(name)]
        if shape.vms is None:
            fixed = [self._fixed(host, shape.resource) * self._on[host.name] for host in hosts]
            load = [self._amount(("need", shape.resource), host.name) for host in hosts] + fixed
        else:
            load = [self._amount(("part", shape.vms, shape.resource), host.name) for host in hosts]
        self._row(pulp.lpSum(load) <= shape.limit + LEEWAY * max(shape.whole, 1.0))

    def _touched(self, shape: HostsTouched) -> None:
        touched = {host: self._var(0, 1) for host in self._on}
        for c, places in zip(self._classes, self._n, strict=True):
            if any(vm.name in shape.vms for unit in c.units for vm in unit.vms):
                for host, count in places.items():
                    self._row(count <= len(c.units) * touched[host])
        self._row(pulp.lpSum(touched.values()) <= shape.limit)

    def _count_on(self, shape: HostsOn) -> None:
        on = pulp.lpSum(self._on[name] for name in shape.hosts if name in self._on)
        self._row(on >= min(shape.at_least, len(shape.hosts)))
        if shape.at_most is not None:
            self._row(on <= shape.at_most)

    # -- losses

    def _losses(self, shape: Losses) -> None:
        hosts = [h for h in self._cluster.hosts if _is_open(h)]
        lost = list(combinations(shape.domains, min(shape.failures, len(shape.domains))))
        kinds = self._kinds[id(shape)]
        cells = len(lost) * len(kinds.all) * len(hosts)
        exact = len(lost) <= MOST_LOSSES and cells <= LOSS_CELLS and self.is_exact
        if len(lost) > MOST_LOSSES:
            self.is_exact = False
            return
        room = {host.name: {r: self._room(host, r, share) for r, share in shape.shares} for host in hosts}
        for domains in lost:
            gone = frozenset[str]().union(*domains)
            left = [host for host in hosts if host.name not in gone]
            if exact:
                self._pack(kinds, gone, left, room)
            else:
                self.is_exact = False
                self._sum_up(shape, gone, left, room)

    def _room(self, host: Host, resource: Resource, share: float) -> Any:
        """What a host still takes after a loss: its room, where it has any, and nothing where it is off or too full."""
        usable = host.usable(resource)
        limit = share * usable + LEEWAY * max(usable, 1.0)
        room, has_room = self._var(0, max(limit, 0.0), whole=False), self._var(0, 1)
        load = self._amount(("need", resource), host.name) + self._fixed(host, resource) * self._on[host.name]
        most = sum(vm.need(resource) for vm in self._cluster.vms) + self._fixed(host, resource)
        self._row(room <= max(limit, 0.0) * has_room)
        self._row(has_room <= self._on[host.name])
        self._row(room <= limit - load + most * (1 - has_room))
        return room

    def _pack(self, kinds: _Kinds, gone: frozenset[str], left: Sequence[Host], room: Mapping[str, Any]) -> None:
        """Give each guest of the lost hosts a host that is left and has room for it."""
        used: dict[tuple[str, Resource], list[Any]] = defaultdict(list)
        for place, kind in enumerate(kinds.all):
            homeless = [
                kinds.members(c.units[0].vms, place) * count
                for c, places in zip(self._classes, self._n, strict=True)
                for host, count in places.items()
                if host in gone
            ]
            found = []
            for host in left:
                if host.name in kind.hosts:
                    again = self._var(0, kind.count)
                    found.append(again)
                    for resource, need in kind.needs:
                        used[host.name, resource].append(need * again)
            self._row(pulp.lpSum(found) == pulp.lpSum(homeless))
        for (host_name, resource), needs in used.items():
            self._row(pulp.lpSum(needs) <= room[host_name][resource])

    def _sum_up(self, shape: Losses, gone: frozenset[str], left: Sequence[Host], room: Mapping[str, Any]) -> None:
        for resource, _ in shape.shares:
            homeless = [self._amount(("part", shape.vms, resource), host) for host in gone]
            self._row(pulp.lpSum(homeless) <= pulp.lpSum(room[host.name][resource] for host in left))

    # -- amounts

    def _fixed(self, host: Host, resource: Resource) -> float:
        guests = sum(vm.need(resource) for vm in self._cluster.guests_of(host.name))
        return max(0.0, self._cluster.used(host, resource) - guests)

    def _amount(self, measure: Key, host: str) -> Any:
        """What is on a host, by some measure."""
        if measure not in self._counting:
            ranges = enumerate(self._range(place, measure) for place in range(len(self._classes)))
            self._counting[measure] = [place for place, (_, most, _) in ranges if most > 0]
        return pulp.lpSum(
            self._of_class(place, measure, host) for place in self._counting[measure] if host in self._n[place]
        )

    def _range(self, place: int, measure: Key) -> tuple[float, float, float]:
        """The least and the most that a unit of a class counts, and all of them together."""
        if (place, measure) not in self._ranges:
            weights = [self._measures.of(measure, unit.vms) for unit in self._classes[place].units]
            self._ranges[place, measure] = min(weights), max(weights), sum(weights)
        return self._ranges[place, measure]

    def _of_class(self, place: int, measure: Key, host: str) -> Any:
        least, most, whole = self._range(place, measure)
        if most - least <= 1e-12 * max(1.0, most):
            return most * self._n[place][host]
        if (place, measure) not in self._z:
            self.is_exact = False
            shares = {each: self._var(0, whole, whole=False) for each in self._n[place]}
            self._row(pulp.lpSum(shares.values()) == whole)
            for each, share in shares.items():
                self._row(share <= most * self._n[place][each])
                self._row(share >= least * self._n[place][each])
            self._z[place, measure] = shares
        return self._z[place, measure][host]

    # -- answers

    def placement(self) -> Placement:
        """Return the placement that the last run found."""
        homes: dict[str, str] = {}
        for c, places in zip(self._classes, self._n, strict=True):
            left = list(c.units)
            for host, count in places.items():
                for _ in range(round(count.varValue or 0)):
                    homes.update({vm.name: host for vm in left.pop().vms})
        on = {name for name, is_on in self._on.items() if (is_on.varValue or 0) > 0.5}
        # Where no shape speaks of all guests, those that are not in the model need the hosts that they are on.
        awake = {host.name for host in self._cluster.hosts if host.is_on}
        is_whole = len(homes) == len(self._cluster.vms)
        return Placement(homes, frozenset(on if is_whole else on | awake))

    def _var(self, low: float, high: float, whole: bool = True) -> Any:
        self._names += 1
        category = pulp.LpInteger if whole else pulp.LpContinuous
        return self.lp.add_variable(f"v{self._names}", low, high, category)

    def _row(self, row: Any) -> None:
        if isinstance(row, bool):  # a sum over nothing compares to a plain truth
            row = pulp.LpConstraint(pulp.LpAffineExpression(constant=0 if row else 1), pulp.LpConstraintEQ, rhs=0)
        self.lp += row


class _Measures:
    """How much a unit counts in each of the sums that the shapes speak of."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._all = tuple(dict.fromkeys(key for shape in shapes for key in self._asked(shape)))
        self._groups = tuple(dict.fromkeys(key for key in self._all if key[0] != "need"))

    @staticmethod
    def _asked(shape: Shape) -> Iterator[Key]:
        match shape:
            case CapacityShare():
                yield "need", shape.resource
            case GroupLoad():
                yield ("need", shape.resource) if shape.vms is None else ("part", shape.vms, shape.resource)
            case AtMost() | HostsTouched():
                yield "members", shape.vms
            case Losses():
                for resource, _ in shape.shares:
                    yield "need", resource
                    yield "part", shape.vms, resource

    @staticmethod
    def of(measure: Key, vms: Iterable[Vm]) -> float:
        if measure[0] == "members":
            return float(sum(vm.name in measure[1] for vm in vms))
        if measure[0] == "part":
            return sum(vm.need(measure[2]) for vm in vms if vm.name in measure[1])
        return sum(vm.need(measure[1]) for vm in vms)

    def all_of(self, vms: tuple[Vm, ...]) -> Key:
        return tuple(self.of(measure, vms) for measure in self._all)

    def memberships(self, vms: tuple[Vm, ...]) -> Key:
        return tuple(sum(vm.name in measure[1] for vm in vms) for measure in self._groups)


@dataclass(frozen=True)
class _Kind:
    """Guests that are started again in the same places and need the same."""

    needs: tuple[tuple[Resource, float], ...]
    hosts: frozenset[str]
    count: int


class _Kinds:
    """The kinds of guests that a loss speaks of."""

    def __init__(self, cluster: Cluster, shape: Losses) -> None:
        vms = [vm for vm in cluster.vms if vm.name in shape.vms and vm.is_active]
        found: dict[Key, list[str]] = defaultdict(list)
        for vm, hosts in reach_of(vms, cluster.hosts, anew=True):
            found[tuple((r, vm.need(r)) for r, _ in shape.shares), hosts].append(vm.name)
        self.all = [_Kind(needs, hosts, len(names)) for (needs, hosts), names in found.items()]
        self._kind = {name: place for place, names in enumerate(found.values()) for name in names}

    def of(self, vm: str) -> int:
        return self._kind.get(vm, -1)

    def members(self, vms: Iterable[Vm], kind: int) -> int:
        return sum(self.of(vm.name) == kind for vm in vms)
