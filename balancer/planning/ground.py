"""What all schedules of the same moves share: how full hosts are, how long each way takes, who may hop over which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from math import inf

from balancer.domain.cluster import Cluster
from balancer.domain.host import MEMORY
from balancer.domain.placement import Move
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.vm import Movable
from balancer.planning.least_time import MOST_WAYS, Room, slots_at
from balancer.planning.pools import Demand, Pools

SecondsOf = Callable[[Move], float]
Unit = tuple[Move, ...]
"""Moves that start one right after the other: a guest alone, or a group that has to stay together."""


class Ground:
    """Answers what a schedule asks over and over, and remembers it: schedules of the same moves ask alike."""

    def __init__(
        self,
        cluster: Cluster,
        shapes: Sequence[Shape],
        units: Sequence[Unit],
        seconds_of: SecondsOf,
        slots: int,
        ready_after: Mapping[str, float],
        leaving_hosts: frozenset[str],
    ) -> None:
        self.cluster, self.slots, self.ready_after = cluster, max(slots, 1), ready_after
        self.wanted = {move.vm: move for unit in units for move in unit}
        self.slots_at = slots_at(units, slots)
        self.pools = Pools(cluster, shapes)
        self.seconds_of: SecondsOf = cache(seconds_of)
        self.demand: Callable[[Unit], Demand] = cache(self.pools.demand)
        self.hosts_to_hop_over: Callable[[str, str], tuple[str, ...]] = cache(self._hosts_to_hop_over)
        self._at_least = cache(self._room)
        self._leaving_hosts = leaving_hosts
        self._allowed = _allowed(shapes)

    def memory(self, unit: Unit) -> tuple[float, str]:
        return sum(self.cluster.vm(move.vm).memory_mib for move in unit), unit[0].vm

    def at_least(self, dropped: Iterable[Move] = ()) -> float:
        """Return seconds that all moves but those that are dropped take in any order, as far as room says so."""
        return self._at_least(frozenset(dropped))

    def _room(self, dropped: frozenset[Move]) -> float:
        moves = [move for move in self.wanted.values() if move not in dropped]
        if len(moves) * len(self.cluster.hosts) > MOST_WAYS:
            return 0.0
        ways = {move.vm: self.hosts_to_hop_over(move.vm, move.source) for move in moves}
        return Room(self.pools, moves, self.seconds_of, self.slots_at, ways, self.ready_after).at_least()

    def _hosts_to_hop_over(self, name: str, source: str) -> tuple[str, ...]:
        """Return the hosts over which a guest may go from where it is, those with the most free memory first."""
        over = [host.name for host in self.cluster.hosts if self._may_hop_over(name, source, host.name)]
        return tuple(sorted(over, key=lambda host: (-self.pools.free_on(host).get(MEMORY, 0.0), host)))

    def _may_hop_over(self, name: str, source: str, host: str) -> bool:
        vm, over, goal = self.cluster.vm(name), self.cluster.host(host), self.wanted[name].target
        if host in {source, goal} | self._leaving_hosts or host in self.ready_after:
            return False
        if not over.takes_guests or self.cluster.is_doubted(over) or not vm.is_active or vm.movable is Movable.COLD:
            return False
        if host not in self._allowed.get(name, frozenset({host})) or self.cluster.why_cannot_run(vm, over):
            return False
        return self.seconds_of(Move(name, source, host)) + self.seconds_of(Move(name, host, goal)) < inf


def _allowed(shapes: Iterable[Shape]) -> dict[str, frozenset[str]]:
    allowed: dict[str, frozenset[str]] = {}
    for shape in shapes:
        if isinstance(shape, AllowedHosts) and shape.price is None:
            allowed[shape.vm] = shape.hosts & allowed.get(shape.vm, shape.hosts)
    return allowed
