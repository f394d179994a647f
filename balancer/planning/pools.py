"""Everything that can be too full while guests are on their way, in one kind of pool.

A pool is a host's resource, or the places that a group of guests has in a domain. A move takes from the pools of its
target when it starts, and gives back to those of its source only when it has ended: in flight it counts at both ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.host import Resource
from balancer.domain.placement import Move
from balancer.domain.shapes import AtMost, CapacityShare, GroupLoad, Shape
from balancer.domain.vm import Vm

ROUNDING = 1e-9

PoolId = int
Amounts = Mapping[PoolId, float]


@dataclass(frozen=True)
class Demand:
    """What a move takes when it starts and what it gives back when it has ended, by pool."""

    takes: Amounts
    gives: Amounts


@dataclass(frozen=True)
class _Place:
    """Hosts on which guests are counted: each as one, or by what it needs of a resource."""

    pool: PoolId
    hosts: frozenset[str]
    resource: Resource | None


class Pools:
    """How full every pool is, and how full it may be. A pool that is too full today may not become fuller."""

    def __init__(self, cluster: Cluster, shapes: Iterable[Shape]) -> None:
        self._cluster = cluster
        self.level: list[float] = []
        self.limit: list[float] = []
        self._roof: list[float] = []  # the limit, and what sums in another order may differ by
        self._of_host: dict[str, list[tuple[PoolId, str]]] = defaultdict(list)
        self._of_vm: dict[str, list[_Place]] = defaultdict(list)
        self._of_all: list[_Place] = []
        self._resources: dict[Resource, None] = {}
        for shape in shapes:
            if isinstance(shape, CapacityShare) and shape.price is None:
                self._add_capacity(shape)
            elif isinstance(shape, AtMost) and shape.price is None:
                self._add_group(shape)
            elif isinstance(shape, GroupLoad) and shape.price is None:
                self._add_load(shape)

    def _add_capacity(self, shape: CapacityShare) -> None:
        host = self._cluster.host(shape.host)
        pool = self._new(self._cluster.used(host, shape.resource), shape.share * host.usable(shape.resource))
        self._of_host[shape.host].append((pool, shape.resource))
        self._resources[shape.resource] = None

    def _add_group(self, shape: AtMost) -> None:
        inside = sum(1 for name in shape.vms if self._ends(name) & shape.hosts)
        pool = self._new(float(inside), float(shape.limit))
        for name in shape.vms:
            self._of_vm[name].append(_Place(pool, shape.hosts, None))

    def _add_load(self, shape: GroupLoad) -> None:
        """Everything in use on some hosts, or what some guests use there."""
        cluster = self._cluster
        if shape.vms is None:
            hosts = [cluster.host(name) for name in sorted(shape.hosts)]
            level = sum(cluster.used(host, shape.resource) for host in hosts)
        else:
            guests = [cluster.vm(name) for name in sorted(shape.vms)]
            level = sum(len(self._ends(vm.name) & shape.hosts) * vm.need(shape.resource) for vm in guests)
        place = _Place(self._new(level, shape.limit), shape.hosts, shape.resource)
        if shape.vms is None:
            self._of_all.append(place)
        for name in shape.vms or ():
            self._of_vm[name].append(place)

    def _ends(self, name: str) -> set[str]:
        vm = self._cluster.vm(name)
        return {vm.host, vm.moving_to or vm.host}

    def _new(self, level: float, limit: float) -> PoolId:
        self.level.append(level)
        limit = max(level, limit)
        self.limit.append(limit)
        self._roof.append(limit + ROUNDING * max(1.0, abs(limit)))
        return len(self.level) - 1

    def anew(self) -> Pools:
        """Return the same pools, as full as these are now, that fill and empty by themselves."""
        other = copy(self)
        other.level = list(self.level)
        return other

    def demand(self, moves: Iterable[Move]) -> Demand:
        """Return what moves that start together take and give."""
        takes: dict[PoolId, float] = defaultdict(float)
        gives: dict[PoolId, float] = defaultdict(float)
        for move in moves:
            vm = self._cluster.vm(move.vm)
            for pool, resource in self._of_host[move.target]:
                takes[pool] += vm.need(resource)
            for pool, resource in self._of_host[move.source]:
                gives[pool] += vm.need(resource)
            for place in (*self._of_vm[move.vm], *self._of_all):
                self._count(place, move, vm, takes, gives)
        return Demand(takes, gives)

    @staticmethod
    def _count(place: _Place, move: Move, vm: Vm, takes: dict[PoolId, float], gives: dict[PoolId, float]) -> None:
        """A guest within a place is one guest; its load is there at both ends while it is on its way."""
        arrives, leaves = move.target in place.hosts, move.source in place.hosts
        amount = 1.0 if place.resource is None else vm.need(place.resource)
        if arrives and (place.resource is not None or not leaves):
            takes[place.pool] += amount
        if leaves and (place.resource is not None or not arrives):
            gives[place.pool] += amount

    def needs(self, vm: str) -> Mapping[Resource, float]:
        """Return what a guest takes on any host that counts it."""
        guest = self._cluster.vm(vm)
        return {resource: guest.need(resource) for resource in self._resources}

    def free_on(self, host: str) -> Mapping[Resource, float]:
        """Return what is free on a host now, by the tightest of its limits."""
        free: dict[Resource, float] = {}
        for pool, resource in self._of_host[host]:
            left = self._roof[pool] - self.level[pool]
            free[resource] = min(left, free.get(resource, left))
        return free

    def have_room_for(self, demand: Demand) -> bool:
        level, roof = self.level, self._roof
        return not any(amount > 0 and level[pool] + amount > roof[pool] for pool, amount in demand.takes.items())

    def missing(self, demand: Demand) -> Amounts:
        """Return what is missing for it, by pool."""
        return {
            pool: self.level[pool] + amount - self._roof[pool]
            for pool, amount in demand.takes.items()
            if amount > 0 and self.level[pool] + amount > self._roof[pool]
        }

    def take(self, demand: Demand) -> None:
        for pool, amount in demand.takes.items():
            self.level[pool] += amount

    def give_back(self, demand: Demand) -> None:
        for pool, amount in demand.gives.items():
            self.level[pool] -= amount
