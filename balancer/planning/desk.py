"""Event-driven list scheduling of moves, in a given order of urgency, so that every state on the way is legal.

A move starts when both ends have a free slot and every pool has room for it with all that is in flight counted at both
ends. What a move has to wait for becomes its dependencies: enough earlier departures that the pools of its target hold
it *together with every arrival that was started before it*. So any executor that honours the dependencies stays legal,
whatever else it does sooner or later: in each state the latest-ordered arrival at a pool has brought its departures
with it, and all other arrivals there were counted when those departures were chosen.

A deadlock (two guests that want each other's place) is broken by a hop over a third host; where there is none the move
is dropped, and the plan says so.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from balancer.domain.cluster import Cluster
from balancer.domain.host import MEMORY
from balancer.domain.placement import Move
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.vm import Movable
from balancer.planning.least_time import MOST_WAYS, Room, by_slots
from balancer.planning.pools import Demand, PoolId, Pools

SecondsOf = Callable[[Move], float]
Unit = tuple[Move, ...]
"""Moves that start one right after the other: a guest alone, or a group that has to stay together."""


@dataclass(frozen=True)
class Timed:
    """A move in the schedule. `after` are places in the schedule's list that have to have ended before."""

    move: Move
    start: float
    end: float
    after: tuple[int, ...]
    unit: str  # equal for the members of a group that has to stay together
    is_hop: bool = False


@dataclass(frozen=True)
class Schedule:
    """Moves in the order of their start; what found no safe order; how long it takes and how short it could be."""

    timed: tuple[Timed, ...] = ()
    dropped: tuple[Move, ...] = ()
    seconds: float = 0.0
    seconds_at_least: float = 0.0


class Desk:
    """The scheduler's state while it works."""

    def __init__(
        self,
        cluster: Cluster,
        shapes: Sequence[Shape],
        seconds_of: SecondsOf,
        slots: int,
        slots_at: Mapping[str, int],
        ready_after: Mapping[str, float],
        leaving_hosts: frozenset[str],
    ) -> None:
        self.cluster, self.seconds_of, self.ready_after = cluster, seconds_of, ready_after
        self.slots, self.slots_at = slots, slots_at
        self.pools = Pools(cluster, shapes)
        self.came: dict[PoolId, float] = defaultdict(float)  # all that was ever started towards a pool
        self.room = [limit - level for level, limit in zip(self.pools.level, self.pools.limit, strict=True)]
        self.left: dict[PoolId, list[tuple[int, float]]] = defaultdict(list)  # departures that have ended, in order
        self.allowed = _allowed(shapes)
        self.leaving_hosts = leaving_hosts
        self.timed: list[Timed] = []
        self.running: list[tuple[float, int, Demand]] = []
        self.busy: dict[str, int] = defaultdict(int)
        self.hopped: dict[str, int] = {}  # guest -> the place of its hop in the list
        self.dropped: list[Move] = []
        self.time = 0.0
        self.patience = 0
        self.detours: Mapping[str, str] = {}
        self.wanted: dict[str, Move] = {}

    def schedule(self, units: Sequence[Unit], patience: int = 0, detours: Mapping[str, str] | None = None) -> Schedule:
        """Start the first of the units that can, over and over.

        patience: so many of the first that cannot start keep others off their targets
        detours:  guests that go over another host first, to make room where they are
        """
        self.patience, self.detours = patience, detours or {}
        wanted = [move for unit in units for move in unit]
        self.wanted = {move.vm: move for move in wanted}
        waiting = [tuple(self._first_leg(move) for move in unit) for unit in units]
        while waiting or self.running:
            waiting = self._start_what_can(waiting)
            if self.running:
                waiting = [*self._end_next(), *waiting]
            elif waiting and not self._wait_for_a_host(waiting):
                waiting = self._break_deadlock(waiting)
        lost = set(self.dropped)
        kept = [[move for move in unit if move not in lost] for unit in units]
        at_least = by_slots(kept, self.seconds_of, self.slots)
        finish = max((timed.end for timed in self.timed), default=0.0)
        return Schedule(tuple(self.timed), tuple(self.dropped), finish, at_least)

    def with_room(self, units: Sequence[Unit], schedule: Schedule) -> Schedule:
        """Return a schedule whose bound knows room, asked at a desk at which nothing was scheduled yet."""
        lost = set(schedule.dropped)
        kept = [move for unit in units for move in unit if move not in lost]
        if len(kept) * len(self.cluster.hosts) > MOST_WAYS:
            return schedule
        ways = {m.vm: [h.name for h in self.cluster.hosts if self._may_hop_over(m, h.name)] for m in kept}
        room = Room(self.pools, kept, self.seconds_of, self.slots_at, ways, self.ready_after)
        return replace(schedule, seconds_at_least=max(schedule.seconds_at_least, room.at_least()))

    def hosts_to_hop_over(self, move: Move) -> list[str]:
        """Return the hosts over which a guest may go, those with the most free memory first."""
        over = [host.name for host in self.cluster.hosts if self._may_hop_over(move, host.name)]
        return sorted(over, key=lambda host: (-self.pools.free_on(host).get(MEMORY, 0.0), host))

    def _first_leg(self, move: Move) -> Move:
        return replace(move, target=self.detours.get(move.vm, move.target))

    def _start_what_can(self, waiting: list[Unit]) -> list[Unit]:
        still = self._start_but(waiting, self.patience)
        return still if self.running or not self.patience else self._start_but(still, 0)

    def _start_but(self, waiting: list[Unit], patience: int) -> list[Unit]:
        still: list[Unit] = []
        kept_free: set[str] = set()
        full = self._full()
        for unit in waiting:
            if len(unit) == 1 and (unit[0].source in full or unit[0].target in full):  # most units, most of the time
                starts = False
            else:
                starts = kept_free.isdisjoint(move.target for move in unit) and self._may_start(unit)
            if starts:
                for move in unit:
                    self._start(move, unit[0].vm, move.target != self.wanted[move.vm].target)
                full = self._full()
                continue
            if len(still) < patience:
                kept_free |= {move.target for move in unit}
            still.append(unit)
        return still

    def _full(self) -> set[str]:
        """Return the hosts that have no slot left for one more."""
        return {host for host, busy in self.busy.items() if busy >= max(self.slots, 1)}

    def _may_start(self, unit: Unit) -> bool:
        hosts: dict[str, int] = defaultdict(int)
        for move in unit:
            hosts[move.source] += 1
            hosts[move.target] += 1
        # A group larger than the slots still has to start at once: it may overbook a host that is otherwise idle.
        free = all(self.busy[host] + count <= max(self.slots, count) for host, count in hosts.items())
        ready = all(self.time >= self.ready_after.get(move.target, 0.0) for move in unit)
        return free and ready and self.pools.have_room_for(self.pools.demand(unit))

    def _start(self, move: Move, unit: str, is_hop: bool) -> None:
        demand = self.pools.demand([move])
        place = len(self.timed)
        after = self._waits_for(move, demand)
        self.pools.take(demand)
        for pool, amount in demand.takes.items():
            self.came[pool] += amount
        end = self.time + self.seconds_of(move)
        self.timed.append(Timed(move, self.time, end, after, f"hop of {move.vm}" if is_hop else unit, is_hop))
        if is_hop:
            self.hopped[move.vm] = place
        heapq.heappush(self.running, (end, place, demand))
        self.busy[move.source] += 1
        self.busy[move.target] += 1

    def _waits_for(self, move: Move, demand: Demand) -> tuple[int, ...]:
        """Choose enough ended departures that the move fits beside every arrival that was ever started before it."""
        needed = {self.hopped[move.vm]} if move.vm in self.hopped else set()
        for pool, amount in demand.takes.items():
            if amount <= 0:
                continue
            missing = self.came[pool] + amount - self.room[pool]
            missing -= sum(given for place, given in self.left[pool] if place in needed)
            for place, given in self.left[pool]:
                if missing <= 1e-9 * max(1.0, abs(self.room[pool])):
                    break
                if place not in needed:
                    needed.add(place)
                    missing -= given
        return tuple(sorted(needed))

    def _end_next(self) -> list[Unit]:
        """End what ends first; return what may go on then."""
        self.time, place, demand = heapq.heappop(self.running)
        self.pools.give_back(demand)
        for pool, amount in demand.gives.items():
            if amount > 0:
                self.left[pool].append((place, amount))
        move = self.timed[place].move
        self.busy[move.source] -= 1
        self.busy[move.target] -= 1
        return [(replace(self.wanted[move.vm], source=move.target),)] if self.timed[place].is_hop else []

    def _wait_for_a_host(self, waiting: list[Unit]) -> bool:
        later = [self.ready_after.get(move.target, 0.0) for unit in waiting for move in unit]
        ahead = [moment for moment in later if moment > self.time]
        if ahead:
            self.time = min(ahead)
        return bool(ahead)

    def _break_deadlock(self, waiting: list[Unit]) -> list[Unit]:
        """Let one guest step aside over a third host; where nobody can, drop the smallest move that is stuck."""
        singles = sorted((unit for unit in waiting if len(unit) == 1), key=self._memory)
        for unit in singles:
            hop = self._hop_for(unit[0], [other for other in waiting if other is not unit])
            if hop is not None:
                self._start(hop, hop.vm, is_hop=True)
                return [other for other in waiting if other is not unit]
        victim = min(waiting, key=self._memory)
        self.dropped += [self.wanted[move.vm] for move in victim]
        return [unit for unit in waiting if unit is not victim]

    def _memory(self, unit: Unit) -> tuple[float, str]:
        return sum(self.cluster.vm(move.vm).memory_mib for move in unit), unit[0].vm

    def _hop_for(self, move: Move, others: list[Unit]) -> Move | None:
        if move.vm in self.hopped:
            return None
        leaving = self.pools.demand([move])
        if not any(self.pools.room_if(leaving, self.pools.demand(other)) for other in others):
            return None
        for host in self.cluster.hosts:
            hop = replace(move, target=host.name)
            if self._may_hop_over(move, host.name) and self.pools.have_room_for(self.pools.demand([hop])):
                return hop
        return None

    def _may_hop_over(self, move: Move, host: str) -> bool:
        vm, over = self.cluster.vm(move.vm), self.cluster.host(host)
        ends = {move.source, move.target, self.wanted[move.vm].target if move.vm in self.wanted else move.target}
        if host in ends | self.leaving_hosts or host in self.ready_after:
            return False
        if not over.takes_guests or self.cluster.is_doubted(over) or not vm.is_active or vm.movable is Movable.COLD:
            return False
        if host not in self.allowed.get(move.vm, frozenset({host})) or self.cluster.why_cannot_run(vm, over):
            return False
        goal = self.wanted.get(move.vm, move).target
        return self.seconds_of(Move(vm.name, move.source, host)) + self.seconds_of(Move(vm.name, host, goal)) < inf


def _allowed(shapes: Iterable[Shape]) -> dict[str, frozenset[str]]:
    allowed: dict[str, frozenset[str]] = {}
    for shape in shapes:
        if isinstance(shape, AllowedHosts) and shape.price is None:
            allowed[shape.vm] = shape.hosts & allowed.get(shape.vm, shape.hosts)
    return allowed
