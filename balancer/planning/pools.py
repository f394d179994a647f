"""Everything that can be too full while guests are on their way, in one kind of pool.

A pool is a host's resource, or the places that a group of guests has in a domain. A move takes from the pools of its
target when it starts, and gives back to those of its source only when it has ended: in flight it counts at both ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.shapes import AtMost, CapacityShare, Shape

ROUNDING = 1e-9

PoolId = int
Amounts = Mapping[PoolId, float]


@dataclass(frozen=True)
class Demand:
    """What a move takes when it starts and what it gives back when it has ended, by pool."""

    takes: Amounts
    gives: Amounts


class Pools:
    """How full every pool is, and how full it may be. A pool that is too full today may not become fuller."""

    def __init__(self, cluster: Cluster, shapes: Iterable[Shape]) -> None:
        self._cluster = cluster
        self.level: list[float] = []
        self.limit: list[float] = []
        self._of_host: dict[str, list[tuple[PoolId, str]]] = defaultdict(list)
        self._of_vm: dict[str, list[tuple[PoolId, frozenset[str]]]] = defaultdict(list)
        for shape in shapes:
            if isinstance(shape, CapacityShare) and shape.price is None:
                self._add_capacity(shape)
            elif isinstance(shape, AtMost) and shape.price is None:
                self._add_group(shape)

    def _add_capacity(self, shape: CapacityShare) -> None:
        host = self._cluster.host(shape.host)
        pool = self._new(self._cluster.used(host, shape.resource), shape.share * host.usable(shape.resource))
        self._of_host[shape.host].append((pool, shape.resource))

    def _add_group(self, shape: AtMost) -> None:
        inside = sum(1 for name in shape.vms if self._ends(name) & shape.hosts)
        pool = self._new(float(inside), float(shape.limit))
        for name in shape.vms:
            self._of_vm[name].append((pool, shape.hosts))

    def _ends(self, name: str) -> set[str]:
        vm = self._cluster.vm(name)
        return {vm.host, vm.moving_to or vm.host}

    def _new(self, level: float, limit: float) -> PoolId:
        self.level.append(level)
        self.limit.append(max(level, limit))
        return len(self.level) - 1

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
            for pool, hosts in self._of_vm[move.vm]:
                if (move.target in hosts) != (move.source in hosts):
                    (takes if move.target in hosts else gives)[pool] += 1.0
        return Demand(takes, gives)

    def have_room_for(self, demand: Demand) -> bool:
        return all(self.level[pool] + amount <= self._roof(pool) for pool, amount in demand.takes.items() if amount > 0)

    def room_if(self, leaving: Demand, coming: Demand) -> bool:
        """Whether `coming` would find room once `leaving` has left."""
        return all(
            self.level[pool] - leaving.gives.get(pool, 0.0) + amount <= self._roof(pool)
            for pool, amount in coming.takes.items()
            if amount > 0
        )

    def _roof(self, pool: PoolId) -> float:
        return self.limit[pool] + ROUNDING * max(1.0, abs(self.limit[pool]))

    def take(self, demand: Demand) -> None:
        for pool, amount in demand.takes.items():
            self.level[pool] += amount

    def give_back(self, demand: Demand) -> None:
        for pool, amount in demand.gives.items():
            self.level[pool] -= amount
