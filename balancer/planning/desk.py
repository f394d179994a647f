"""Event-driven list scheduling of moves, in a given order of urgency, so that every state on the way is legal.

A move starts when both ends have a free slot and every pool has room for it with all that is in flight counted at both
ends. What a move has to wait for becomes its dependencies: enough earlier departures that the pools of its target hold
it *together with every arrival that was started before it*. So any executor that honours the dependencies stays legal,
whatever else it does sooner or later: in each state the latest-ordered arrival at a pool has brought its departures
with it, and all other arrivals there were counted when those departures were chosen.

A deadlock (guests that want each other's places) is broken by a hop over a third host; where there is none the moves
that are stuck are dropped, and the plan says so.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from balancer.domain.placement import Move
from balancer.planning.ground import Ground, Unit
from balancer.planning.least_time import by_slots
from balancer.planning.pools import Amounts, Demand, PoolId

MOST_LOOKED_AT = 12  # of the line, for one that waits for room alone


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
    """Moves in the order of their start, what found no safe order, how long it takes and how short it could be."""

    timed: tuple[Timed, ...] = ()
    dropped: tuple[Move, ...] = ()
    seconds: float = 0.0
    seconds_at_least: float = 0.0


class Desk:
    """The scheduler's state while it works, for one schedule."""

    def __init__(self, ground: Ground, luck: Random | None = None, eagerness: float = 0.0) -> None:
        """Take luck to choose among hops that would do; without it the guest with the least memory hops.

        eagerness: how often guests hop to let others in although something still runs
        """
        self._ground, self._luck, self._eagerness = ground, luck, eagerness
        self._is_careless = luck is None or luck.random() < 0.5
        self._pools = ground.pools.anew()
        self._came: dict[PoolId, float] = defaultdict(float)  # all that was ever started towards a pool
        self._room = [limit - level for level, limit in zip(self._pools.level, self._pools.limit, strict=True)]
        self._left: dict[PoolId, list[tuple[int, float]]] = defaultdict(list)  # departures that have ended, in order
        self._timed: list[Timed] = []
        self._running: list[tuple[float, int, Demand]] = []
        self._busy: dict[str, int] = defaultdict(int)
        self._hopped: dict[str, int] = {}  # guest -> the place of its hop in the list
        self._dropped: list[Move] = []
        self._time = 0.0
        self._waking = sorted((moment, host) for host, moment in ground.ready_after.items() if moment > 0)
        self._waiting: dict[int, Unit] = {}  # by place in the line
        self._line: list[int] = []  # of those who wait, the most urgent first
        self._concerned: dict[str | PoolId, set[int]] = defaultdict(
            set
        )  # who needs a slot on a host, or room in a pool
        self._patience = 0

    def schedule(self, units: Sequence[Unit], patience: int = 0, detours: Mapping[str, str] | None = None) -> Schedule:
        """Start the first of the units that can, over and over.

        patience: so many of the first that cannot start keep others off their targets
        detours:  guests that go over another host first, to make room where they are
        """
        self._patience, detours = patience, detours or {}
        for place, unit in enumerate(units):
            self._queue(place, tuple(replace(move, target=detours.get(move.vm, move.target)) for move in unit))
        self._start_what_can(self._line)
        while self._waiting or self._running:
            if self._running or self._waking:
                self._start_what_can(self._next_event())
                self._make_room_early()
            elif not (hops := self._ways_out()):
                self._drop_all()
            else:
                self._start_hop(*hops[0])
        lost = set(self._dropped)
        kept = [[move for move in unit if move not in lost] for unit in units]
        at_least = by_slots(kept, self._ground.seconds_of, self._ground.slots)
        finish = max((timed.end for timed in self._timed), default=0.0)
        return Schedule(tuple(self._timed), tuple(self._dropped), finish, at_least)

    # -- the line of those who wait

    def _queue(self, place: int, unit: Unit) -> None:
        self._waiting[place] = unit
        insort(self._line, place)
        for need in self._needs(unit):
            self._concerned[need].add(place)

    def _unqueue(self, place: int) -> Unit:
        unit = self._waiting.pop(place)
        del self._line[bisect_left(self._line, place)]
        for need in self._needs(unit):
            self._concerned[need].discard(place)
        return unit

    def _needs(self, unit: Unit) -> Iterator[str | PoolId]:
        for move in unit:
            yield move.source
            yield move.target
        yield from self._ground.demand(unit).takes

    # -- starting and ending

    def _start_what_can(self, places: Iterable[int]) -> None:
        """Try those of the line for whom something has changed; where nothing runs, everybody without patience."""
        self._start_of(places, self._patience)
        if not self._running and self._patience:
            self._start_of(self._line, 0)

    def _start_of(self, places: Iterable[int], patience: int) -> None:
        ahead = sorted(places)
        while ahead:
            place = heapq.heappop(ahead)
            unit = self._waiting.get(place)
            if unit is None or not self._may_start(unit) or self._is_kept_off(place, unit, patience):
                continue
            was_first = patience > 0 and place in self._line[:patience]
            self._start_unit(place)
            if was_first:  # it keeps nobody off any more
                for target in {move.target for move in unit}:
                    for other in self._concerned[target]:
                        heapq.heappush(ahead, other)

    def _is_kept_off(self, place: int, unit: Unit, patience: int) -> bool:
        first = [other for other in self._line[:patience] if other < place]
        kept_free = {move.target for other in first for move in self._waiting[other]}
        return any(move.target in kept_free for move in unit)

    def _may_start(self, unit: Unit) -> bool:
        busy, slots, ready_after = self._busy, self._ground.slots, self._ground.ready_after
        if len(unit) == 1:  # most units, most of the time
            move = unit[0]
            if busy[move.source] >= slots or busy[move.target] >= slots:
                return False
        elif not self._have_slots_for(unit):
            return False
        if ready_after and any(self._time < ready_after.get(move.target, 0.0) for move in unit):
            return False
        return self._pools.have_room_for(self._ground.demand(unit))

    def _have_slots_for(self, unit: Unit) -> bool:
        hosts: dict[str, int] = defaultdict(int)
        for move in unit:
            hosts[move.source] += 1
            hosts[move.target] += 1
        # A group larger than the slots still has to start at once: it may overbook a host that is otherwise idle.
        return all(self._busy[host] + count <= max(self._ground.slots, count) for host, count in hosts.items())

    def _start_unit(self, place: int) -> None:
        unit = self._unqueue(place)
        for move in unit:
            self._start(move, unit[0].vm, move.target != self._ground.wanted[move.vm].target)

    def _start(self, move: Move, unit: str, is_hop: bool) -> None:
        demand = self._ground.demand((move,))
        place = len(self._timed)
        after = self._waits_for(move, demand)
        self._pools.take(demand)
        for pool, amount in demand.takes.items():
            self._came[pool] += amount
        end = self._time + self._ground.seconds_of(move)
        self._timed.append(Timed(move, self._time, end, after, f"hop of {move.vm}" if is_hop else unit, is_hop))
        if is_hop:
            self._hopped[move.vm] = place
        heapq.heappush(self._running, (end, place, demand))
        self._busy[move.source] += 1
        self._busy[move.target] += 1

    def _waits_for(self, move: Move, demand: Demand) -> tuple[int, ...]:
        """Choose enough ended departures that the move fits beside every arrival that was ever started before it."""
        needed = {self._hopped[move.vm]} if move.vm in self._hopped else set()
        for pool, amount in demand.takes.items():
            if amount <= 0:
                continue
            missing = self._came[pool] + amount - self._room[pool]
            if missing <= 1e-9 * max(1.0, abs(self._room[pool])):
                continue
            missing -= sum(given for place, given in self._left[pool] if place in needed)
            for place, given in self._left[pool]:
                if missing <= 1e-9 * max(1.0, abs(self._room[pool])):
                    break
                if place not in needed:
                    needed.add(place)
                    missing -= given
        return tuple(sorted(needed))

    def _next_event(self) -> set[int]:
        """Go on to where a move ends or a host is ready; return who in the line is concerned."""
        if self._waking and not (self._running and self._running[0][0] < self._waking[0][0]):
            self._time, host = self._waking.pop(0)
            return self._concerned[host]
        self._time, place, demand = heapq.heappop(self._running)
        self._pools.give_back(demand)
        move = self._timed[place].move
        concerned = self._concerned[move.source] | self._concerned[move.target]
        for pool, amount in demand.gives.items():
            if amount > 0:
                self._left[pool].append((place, amount))
                concerned |= self._concerned[pool]
        self._busy[move.source] -= 1
        self._busy[move.target] -= 1
        if self._timed[place].is_hop:
            first = min(self._line[0] if self._line else 0, 0) - 1
            self._queue(first, (replace(self._ground.wanted[move.vm], source=move.target),))
            concerned.add(first)
        return concerned

    # -- deadlocks

    def _ways_out(self) -> list[tuple[int, Move]]:
        """Return the hops that let others in, the best first: by who waits in the line, and the move.

        One guest whose leaving is enough comes before one of several that all have to leave.
        """
        alone = [place for place in self._line if len(self._waiting[place]) == 1]
        alone.sort(key=lambda place: self._ground.memory(self._waiting[place]))
        hops = [(place, move) for place in alone if (move := self._hop_of(place)) and self._lets_in(place)]
        if self._luck is not None:
            self._luck.shuffle(hops)
        return hops or self._several(alone)[:1]

    def _drop_all(self) -> None:
        """Nothing runs, nobody can step aside: what is still waiting would wait for ever."""
        for place in list(self._line):
            self._dropped += [self._ground.wanted[move.vm] for move in self._unqueue(place)]

    def _start_hop(self, place: int, move: Move) -> None:
        self._unqueue(place)
        self._start(move, move.vm, is_hop=True)

    def _hop_of(self, place: int) -> Move | None:
        move = self._waiting[place][0]
        if move.vm in self._hopped:
            return None
        hosts = self._ground.hosts_to_hop_over(move.vm, move.source)
        hops = (replace(move, target=host) for host in (hosts if self._is_careless else reversed(hosts)))
        return next((over for over in hops if self._pools.have_room_for(self._ground.demand((over,)))), None)

    def _lets_in(self, place: int) -> bool:
        gives = self._ground.demand(self._waiting[place]).gives
        others = {other for pool in gives for other in self._concerned[pool]} - {place}
        return any(_covers(gives, self._missing(other)) for other in others)

    def _missing(self, place: int) -> Amounts:
        return self._pools.missing(self._ground.demand(self._waiting[place]))

    def _several(self, alone: Sequence[int]) -> list[tuple[int, Move]]:
        """Return some guests that can all step aside, the largest first, and together let another one in."""
        for place in self._line:
            if found := self._hops_for(place, alone):
                return found
        return []

    def _hops_for(self, place: int, alone: Iterable[int]) -> list[tuple[int, Move]]:
        """Return the guests that could step aside so that this one gets in; none where that is not enough."""
        missing = self._missing(place)
        found: list[tuple[int, Move]] = []
        for other in sorted(alone, key=lambda each: self._ground.memory(self._waiting[each]), reverse=True):
            gives = self._ground.demand(self._waiting[other]).gives
            if other == place or not any(gives.get(pool, 0.0) > 0 for pool in missing):
                continue
            if (move := self._hop_of(other)) is not None:
                found.append((other, move))
                missing = {
                    pool: more for pool, amount in missing.items() if (more := amount - gives.get(pool, 0.0)) > 0
                }
                if not missing:
                    return found
        return []

    def _make_room_early(self) -> None:
        """Now and then let guests hop for the first in the line who waits for room, while there are slots."""
        if self._luck is None or not self._line or self._luck.random() >= self._eagerness:
            return
        place = self._luck.choice(self._line[:MOST_LOOKED_AT])
        there = {move.target for move in self._waiting[place]}
        alone = [o for o in self._line if len(self._waiting[o]) == 1 and self._waiting[o][0].source in there]
        for other, move in self._hops_for(place, alone):
            if max(self._busy[move.source], self._busy[move.target]) < self._ground.slots and self._pools.have_room_for(
                self._ground.demand((move,))
            ):
                self._start_hop(other, move)


def _covers(gives: Amounts, missing: Amounts) -> bool:
    return all(gives.get(pool, 0.0) >= amount for pool, amount in missing.items())
