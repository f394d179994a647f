"""Order moves so that every state on the way is legal: event-driven list scheduling.

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
from random import Random

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.shapes import AllowedHosts, Shape, Together
from balancer.planning.least_time import Room, by_slots, slots_at
from balancer.planning.pools import Demand, PoolId, Pools

SecondsOf = Callable[[Move], float]
Rule = Callable[["_Work", Move, float], float]
"""How urgent a move is, by the work at its ends and how long it takes."""

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


def order(
    cluster: Cluster,
    moves: Sequence[Move],
    shapes: Sequence[Shape],
    seconds_of: SecondsOf,
    slots_per_host: int = 2,
    ready_after: Mapping[str, float] | None = None,
    leaving_hosts: frozenset[str] = frozenset(),
) -> Schedule:
    """Return a legal schedule. `ready_after`: seconds until a host that is being woken takes guests.

    `leaving_hosts` are about to be switched off, so no guest hops over them.
    """
    units = _units(moves, shapes)
    best: Schedule | None = None
    slots = slots_at(units, slots_per_host)

    def desk() -> _Desk:
        return _Desk(cluster, shapes, seconds_of, slots_per_host, slots, ready_after or {}, leaving_hosts)

    for rule in _RULES[: max(1, MOST_STARTED // max(1, len(moves)))]:
        found = desk().schedule(units, rule)
        if best is None or _worth(found) < _worth(best):
            best = desk().with_room(units, found)
        if _is_good_enough(best):
            return best
    return _tried_again(best, units, desk) if best else Schedule()


def _tried_again(best: Schedule, units: Sequence[Unit], desk: Callable[[], _Desk]) -> Schedule:
    """Schedule anew, what the end of the best schedule hangs on first, each time with a little luck."""
    luck, fruitless, started = Random(1), 0, 0
    while fruitless < MOST_FRUITLESS and started < MOST_STARTED_AGAIN and not _is_good_enough(best):
        hurry, patience = _hurry(best), luck.randrange(4)
        weight = {_name(unit): luck.uniform(0.7, 1.3) for unit in units}
        urgent = sorted(units, key=lambda unit: (-hurry.get(_name(unit), inf) * weight[_name(unit)], _name(unit)))
        found = desk().schedule_in_order(urgent, patience)
        started += len(found.timed)
        fruitless += 1
        if _worth(found) < _worth(best):
            best, fruitless = desk().with_room(units, found), 0
    return best


def _hurry(schedule: Schedule) -> Mapping[str, float]:
    """Return how long what waits for each unit takes, itself included: for its room, or for a slot at its hosts."""
    timed = schedule.timed
    tail = [item.end - item.start for item in timed]
    next_at: dict[tuple[str, float], float] = defaultdict(float)  # the longest tail that starts at a host at a moment
    for place in reversed(range(len(timed))):
        item = timed[place]
        ends = (item.move.source, item.move.target)
        tail[place] = max(tail[place], (item.end - item.start) + max(next_at[host, item.end] for host in ends))
        for host in ends:
            next_at[host, item.start] = max(next_at[host, item.start], tail[place])
        for need in item.after:
            tail[need] = max(tail[need], timed[need].end - timed[need].start + tail[place])
    hurry: dict[str, float] = defaultdict(float)
    for item, seconds in zip(timed, tail, strict=True):
        guest = item.move.vm if item.is_hop else item.unit
        hurry[guest] = max(hurry[guest], seconds)
    return hurry


def _name(unit: Unit) -> str:
    return unit[0].vm


def _is_good_enough(schedule: Schedule) -> bool:
    return not schedule.dropped and schedule.seconds <= GOOD_ENOUGH * schedule.seconds_at_least


def _worth(schedule: Schedule) -> tuple[int, float, int]:
    """Schedules compare by what found no order, then by how long they take, then by the moves they add."""
    return len(schedule.dropped), schedule.seconds, len(schedule.timed)


def _units(moves: Sequence[Move], shapes: Sequence[Shape]) -> list[Unit]:
    leader: dict[str, str] = {}
    for shape in shapes:
        if isinstance(shape, Together) and shape.price is None:
            first = min(leader.get(vm, vm) for vm in shape.vms)
            joined = {leader.get(vm, vm) for vm in shape.vms}
            leader |= {vm: first for vm in {*leader, *shape.vms} if leader.get(vm, vm) in joined}
    units: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        units[leader.get(move.vm, move.vm)].append(move)
    return [tuple(unit) for unit in units.values()]


@dataclass(frozen=True)
class _Work:
    """How long all moves from a host, and to a host, take together."""

    leaving: Mapping[str, float]
    arriving: Mapping[str, float]

    def at(self, host: str) -> float:
        return self.leaving[host] + self.arriving[host]


def _busiest_end(work: _Work, move: Move, seconds: float) -> float:
    return max(work.at(move.source), work.at(move.target))


def _both_ends(work: _Work, move: Move, seconds: float) -> float:
    return work.at(move.source) + work.at(move.target)


def _awaited(work: _Work, move: Move, seconds: float) -> float:
    """What wants to come to where it leaves waits for it."""
    return work.arriving[move.source] - work.arriving[move.target]


def _awaited_and_busy(work: _Work, move: Move, seconds: float) -> float:
    return _busiest_end(work, move, seconds) + work.arriving[move.source]


def _longest(work: _Work, move: Move, seconds: float) -> float:
    return seconds


def _shortest(work: _Work, move: Move, seconds: float) -> float:
    return -seconds


_RULES: tuple[Rule, ...] = (_busiest_end, _both_ends, _awaited_and_busy, _awaited, _longest, _shortest)
MOST_STARTED = 6000  # moves, over all rules that are tried
GOOD_ENOUGH = 1.02  # of the lower bound
MOST_FRUITLESS = 60  # schedules in a row that are no better
MOST_STARTED_AGAIN = 6000  # moves, over all schedules that are tried with luck


class _Desk:
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

    def schedule(self, units: Sequence[Unit], rule: Rule) -> Schedule:
        return self.schedule_in_order(self._most_urgent_first(units, rule))

    def schedule_in_order(self, units: Sequence[Unit], patience: int = 0) -> Schedule:
        """Start the first that can, over and over; the `patience` first that cannot keep others off their targets."""
        wanted = [move for unit in units for move in unit]
        waiting = list(units)
        self.patience = patience
        while waiting or self.running:
            waiting = self._start_what_can(waiting)
            if self.running:
                self._end_next()
            elif waiting and not self._wait_for_a_host(waiting):
                waiting = self._break_deadlock(waiting)
        lost = set(self.dropped)
        kept = [move for move in wanted if move not in lost]
        at_least = by_slots(kept, self.seconds_of, self.slots_at) if kept else 0.0
        finish = max((timed.end for timed in self.timed), default=0.0)
        return Schedule(tuple(self.timed), tuple(self.dropped), finish, at_least)

    def with_room(self, units: Sequence[Unit], schedule: Schedule) -> Schedule:
        """Return a schedule whose bound knows room, asked at a desk at which nothing was scheduled yet."""
        lost = set(schedule.dropped)
        kept = [move for unit in units for move in unit if move not in lost]
        ways = {m.vm: [h.name for h in self.cluster.hosts if self._may_hop_over(m, h.name)] for m in kept}
        room = Room(self.pools, kept, self.seconds_of, self.slots_at, ways, self.ready_after)
        return replace(schedule, seconds_at_least=max(schedule.seconds_at_least, room.at_least()))

    def _most_urgent_first(self, units: Sequence[Unit], rule: Rule) -> list[Unit]:
        leaving: dict[str, float] = defaultdict(float)
        arriving: dict[str, float] = defaultdict(float)
        for move in (move for unit in units for move in unit):
            leaving[move.source] += self.seconds_of(move)
            arriving[move.target] += self.seconds_of(move)
        work = _Work(leaving, arriving)

        def urgency(unit: Unit) -> tuple[float, float, str]:
            seconds = sum(self.seconds_of(move) for move in unit)
            return -max(rule(work, move, seconds) for move in unit), -seconds, unit[0].vm

        return sorted(units, key=urgency)

    def _start_what_can(self, waiting: list[Unit]) -> list[Unit]:
        still = self._start_but(waiting, self.patience)
        return still if self.running or not self.patience else self._start_but(still, 0)

    def _start_but(self, waiting: list[Unit], patience: int) -> list[Unit]:
        still: list[Unit] = []
        kept_free: set[str] = set()
        for unit in waiting:
            targets = {move.target for move in unit}
            if targets.isdisjoint(kept_free) and self._may_start(unit):
                for move in unit:
                    self._start(move, unit[0].vm)
                continue
            if len(still) < patience:
                kept_free |= targets
            still.append(unit)
        return still

    def _may_start(self, unit: Unit) -> bool:
        hosts: dict[str, int] = defaultdict(int)
        for move in unit:
            hosts[move.source] += 1
            hosts[move.target] += 1
        # A group larger than the slots still has to start at once: it may overbook a host that is otherwise idle.
        free = all(self.busy[host] + count <= max(self.slots, count) for host, count in hosts.items())
        ready = all(self.time >= self.ready_after.get(move.target, 0.0) for move in unit)
        return free and ready and self.pools.have_room_for(self.pools.demand(unit))

    def _start(self, move: Move, unit: str, is_hop: bool = False) -> None:
        demand = self.pools.demand([move])
        place = len(self.timed)
        after = self._waits_for(move, demand)
        self.pools.take(demand)
        for pool, amount in demand.takes.items():
            self.came[pool] += amount
        end = self.time + self.seconds_of(move)
        self.timed.append(Timed(move, self.time, end, after, unit, is_hop))
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

    def _end_next(self) -> None:
        self.time, place, demand = heapq.heappop(self.running)
        self.pools.give_back(demand)
        for pool, amount in demand.gives.items():
            if amount > 0:
                self.left[pool].append((place, amount))
        move = self.timed[place].move
        self.busy[move.source] -= 1
        self.busy[move.target] -= 1

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
                self._start(hop, f"hop of {hop.vm}", is_hop=True)
                self.hopped[hop.vm] = len(self.timed) - 1
                onward = replace(unit[0], source=hop.target)
                return [(onward,) if other is unit else other for other in waiting]
        victim = min(waiting, key=self._memory)
        self.dropped += [self._first_wanted(move) for move in victim]
        return [unit for unit in waiting if unit is not victim]

    def _first_wanted(self, move: Move) -> Move:
        if move.vm not in self.hopped:
            return move
        return replace(move, source=self.timed[self.hopped[move.vm]].move.source)

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
        if host in {move.source, move.target} | self.leaving_hosts or host in self.ready_after:
            return False
        if not over.takes_guests or self.cluster.is_doubted(over) or not vm.is_active:
            return False
        return host in self.allowed.get(move.vm, frozenset({host})) and not self.cluster.why_cannot_run(vm, over)


def _allowed(shapes: Iterable[Shape]) -> dict[str, frozenset[str]]:
    allowed: dict[str, frozenset[str]] = {}
    for shape in shapes:
        if isinstance(shape, AllowedHosts) and shape.price is None:
            allowed[shape.vm] = shape.hosts & allowed.get(shape.vm, shape.hosts)
    return allowed
