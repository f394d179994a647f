"""How long moves take at least, whatever their order: a bound that knows slots and room.

1. No move is quicker than itself, and a host's moves share its slots.
2. A guest starts towards a host when the room there, with all that may have left by then, is enough for it. What may
   have left by then is found in rounds: at first every guest leaves at once, then each leaves no earlier than the first
   host has room for it, and so on; each round only adds time that no order can save.
3. Of guests that all come to a host, the last one starts when there is room for all of them.
4. A guest in flight counts at both ends, so all that are in flight share what is free; and what is free is in pieces:
   a guest of 32 GiB needs a whole piece of 32. However guests are rearranged, pieces of a size are no more than

       sum over hosts of floor((free + what may leave) / size)  -  sum over guests of floor(need / size)

Guests may go directly or over any hosts, but nobody moves who is not asked to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

import numpy as np
import numpy.typing as npt

from balancer.domain.host import Resource
from balancer.domain.placement import Move
from balancer.planning.pools import Pools

SecondsOf = Callable[[Move], float]
Floats = npt.NDArray[np.float64]

MOST_ROUNDS = 40
ROUNDING = 1e-6  # MiB and cores: sums in another order differ by less
MOST_WAYS = 8_000  # of guests to hosts; with more of them only slots are counted


def by_slots(units: Sequence[Sequence[Move]], seconds_of: SecondsOf, slots_per_host: int) -> float:
    """Return how long the busiest host needs for its own moves, or the longest move.

    A unit larger than the slots starts at once, and takes no more than all slots: its longest members count. One that
    takes all slots has the host for itself until its first slot is free: any other move comes before or after that.
    """
    busy: dict[str, list[float]] = defaultdict(list)
    alone: dict[str, float] = defaultdict(float)  # how long some unit has all slots
    beside: dict[str, float] = defaultdict(float)  # the longest that may share the host
    longest = 0.0
    for unit in units:
        at: dict[str, list[float]] = defaultdict(list)
        for move in unit:
            seconds = seconds_of(move)
            longest = max(longest, seconds)
            at[move.source].append(seconds)
            at[move.target].append(seconds)
        for host, taken in at.items():
            taken.sort(reverse=True)
            busy[host] += taken[:slots_per_host]
            exclusive = taken[slots_per_host - 1] if len(taken) >= slots_per_host else 0.0
            alone[host] += exclusive
            beside[host] = max(beside[host], taken[0] - exclusive)
    shared = (shared_out(taken, slots_per_host) for taken in busy.values())
    return max([longest, *shared, *(alone[host] + beside[host] for host in busy)])


def shared_out(seconds: Sequence[float], slots: int) -> float:
    """Return how long moves that are not divided take at least on the slots of one host.

        max( sum / slots,  the n + 1 shortest of the n * slots + 1 longest, for each n )

    Of so many more than n to a slot, one slot has n + 1 at least.
    """
    longest_first = sorted(seconds, reverse=True)
    rounds = range(1, (len(longest_first) - 1) // slots + 1)
    in_one_slot = (sum(longest_first[n * slots - n : n * slots + 1]) for n in rounds)
    return max([sum(seconds) / slots, *in_one_slot])


def slots_at(units: Sequence[Sequence[Move]], slots_per_host: int) -> Mapping[str, int]:
    """Return how many moves may touch each host at a time: a group that starts at once may be larger than the slots."""
    slots: dict[str, int] = defaultdict(lambda: slots_per_host)
    for unit in units:
        for host, count in Counter(host for move in unit for host in (move.source, move.target)).items():
            slots[host] = max(slots[host], count)
    return slots


class Room:
    """The bound that knows room, for one set of moves."""

    def __init__(
        self,
        pools: Pools,
        moves: Sequence[Move],
        seconds_of: SecondsOf,
        slots: Mapping[str, int],
        ways: Mapping[str, Collection[str]],
        ready_after: Mapping[str, float],
    ) -> None:
        """`ways`: the hosts that each guest may hop over; its target is always one."""
        self._moves, self._seconds_of, self._slots, self._ready_after = moves, seconds_of, slots, ready_after
        self._ways = {move.vm: sorted({*ways.get(move.vm, ()), move.target} - {move.source}) for move in moves}
        self._hosts = sorted({host for move in moves for host in (move.source, *self._ways[move.vm])})
        self._needs = [pools.needs(move.vm) for move in moves]
        self._free = {
            host: {resource: free + ROUNDING for resource, free in pools.free_on(host).items()} for host in self._hosts
        }
        self._leaving: dict[str, list[int]] = defaultdict(list)
        for place, move in enumerate(moves):
            self._leaving[move.source].append(place)

    def at_least(self) -> float:
        """Return seconds that no order of the moves can do without."""
        ways = [(move, host) for move in self._moves for host in self._ways[move.vm]]
        if not ways:
            return 0.0
        way_seconds = {(m.vm, host): self._seconds_of(Move(m.vm, m.source, host)) for m, host in ways}
        quickest = np.array([min(way_seconds[m.vm, host] for host in self._ways[m.vm]) for m in self._moves])
        left = quickest
        for _ in range(MOST_ROUNDS):
            filling = {host: self._room_over_time(host, left) for host in self._hosts}
            later = np.array([self._first_left(place, filling, way_seconds) for place in range(len(self._moves))])
            if not (later > left + 1e-9).any():
                break
            left = np.maximum(left, later)
        filling = {host: self._room_over_time(host, left) for host in self._hosts}
        found = max(self._until_all_came(host, filling[host]) for host in {move.target for move in self._moves})
        found = max(found, self._until_all_had_a_piece(left - quickest, quickest))
        return found if found < inf else 0.0

    def _until_all_had_a_piece(self, start: Floats, seconds: Floats) -> float:
        """Moves that need a piece of some size, none of them before the first of them can start, take turns."""
        found = [0.0]
        for resource in {resource for needs in self._needs for resource in needs}:
            need = np.array([needs.get(resource, 0.0) for needs in self._needs])
            room, is_in_it = self._room_with_movers(resource, need)
            for size in np.unique(need[need > 0]):
                pieces = np.floor(need / size)
                spare = float(np.floor(room / size).sum() - pieces[is_in_it].sum())
                if spare > 0:
                    found.append(float(start[pieces > 0].min() + pieces @ seconds / spare))
        return max(found)

    def _room_with_movers(self, resource: Resource, need: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return what guests that move may fill on each host that takes any; and which of them are on one today."""
        taking = sorted({host for ways in self._ways.values() for host in ways})
        room = [
            self._free[host][resource] + need[self._leaving.get(host, [])].sum()
            for host in taking
            if resource in self._free[host]
        ]
        is_limited = len(room) == len(taking)  # a host without a limit takes any number of guests
        known = frozenset(taking)
        return np.array(room if is_limited else [inf]), np.array([move.source in known for move in self._moves])

    def _room_over_time(self, host: str, left: Floats) -> _Filling:
        leaving = sorted(self._leaving[host], key=lambda place: left[place])
        rooms = {
            resource: list(accumulate((self._needs[place].get(resource, 0.0) for place in leaving), initial=free))
            for resource, free in self._free[host].items()
        }
        return _Filling(self._ready_after.get(host, 0.0), [0.0, *(float(left[place]) for place in leaving)], rooms)

    def _first_left(
        self, place: int, filling: Mapping[str, _Filling], seconds: Mapping[tuple[str, str], float]
    ) -> float:
        vm, needs = self._moves[place].vm, self._needs[place]
        return min(filling[host].has_room_from(needs) + seconds[vm, host] for host in self._ways[vm])

    def _until_all_came(self, host: str, filling: _Filling) -> float:
        """Of the longest k arrivals, the last starts when there is room for all k; late ones share the slots."""
        coming = [
            (self._shortest_arrival(m), n) for m, n in zip(self._moves, self._needs, strict=True) if m.target == host
        ]
        coming.sort(key=lambda each: -each[0])
        together: dict[str, float] = defaultdict(float)
        found = [0.0]
        for seconds, needs in coming:
            for resource, need in needs.items():
                together[resource] += need
            found.append(filling.has_room_from(together) + seconds)
        starts = sorted(((filling.has_room_from(needs), seconds) for seconds, needs in coming), reverse=True)
        busy = accumulate(seconds for _, seconds in starts)
        found += [start + total / self._slots[host] for (start, _), total in zip(starts, busy, strict=True)]
        return max(found)

    def _shortest_arrival(self, move: Move) -> float:
        over = (host for host in self._ways[move.vm] if host != move.target)
        return min(self._seconds_of(Move(move.vm, host, move.target)) for host in (move.source, *over))


@dataclass(frozen=True)
class _Filling:
    """The most room that a host can have, by resource, from each of some moments on."""

    ready_after: float
    moments: list[float]
    rooms: Mapping[str, list[float]]

    def has_room_from(self, needs: Mapping[str, float]) -> float:
        """Return the first moment at which there can be this much room; infinite where there never is."""
        start = self.ready_after
        for resource, rooms in self.rooms.items():
            need = needs.get(resource, 0.0)
            if need > 0:
                place = bisect_left(rooms, need)
                start = max(start, self.moments[place]) if place < len(rooms) else inf
        return start
