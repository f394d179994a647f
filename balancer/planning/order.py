"""Order moves so that every state on the way is legal, and the whole takes little longer than it has to.

The scheduler (`desk.py`) is tried with several rules of urgency; then with what the end hangs on first, each time with
a little luck; and where the whole is still long, guests step aside over another host to let others in sooner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.shapes import Shape, Together
from balancer.planning.desk import Desk, Schedule, Timed
from balancer.planning.ground import Ground, SecondsOf, Unit

MOST_STARTED = 6000  # moves, over all rules that are tried
GOOD_ENOUGH = 1.02  # of the lower bound
MOST_FRUITLESS = 60  # schedules in a row that are no better
MOST_FRUITLESS_ASIDE = 8  # of those in which guests step aside, for each move
MOST_STARTED_AGAIN = 16_000  # moves, over all schedules that are tried with luck
MOST_STARTED_ASIDE = 40_000  # moves, over all schedules in which one more guest steps aside
LONG = 1.25  # times the lower bound: from here on guests may step aside to shorten the whole
WORTH_A_DETOUR = 0.95  # of the time without it
GROUPS_FIRST = 1000.0  # a group needs its slots at the same time: last, it waits for what takes long
MOST_HOSTS_TRIED = 8
GIVEN_UP = 0.3  # how often a detour is left out again

__all__ = ["Schedule", "Timed", "order"]


def order(
    cluster: Cluster,
    moves: Sequence[Move],
    shapes: Sequence[Shape],
    seconds_of: SecondsOf,
    slots_per_host: int = 2,
    ready_after: Mapping[str, float] | None = None,
    leaving_hosts: frozenset[str] = frozenset(),
) -> Schedule:
    """Return a legal schedule.

    ready_after:   seconds until a host that is being woken takes guests
    leaving_hosts: are about to be switched off, so no guest hops over them
    """
    units = _units(moves, shapes)
    if not units:
        return Schedule()
    ground = Ground(cluster, shapes, units, seconds_of, slots_per_host, ready_after or {}, leaving_hosts)
    best = _by_rules(units, ground)
    for better in (_tried_again, _with_detours):
        best = best if _is_good_enough(best) else better(best, units, ground)
    return best


def _by_rules(units: Sequence[Unit], ground: Ground) -> Schedule:
    """Schedule by one rule of urgency after the other, as long as there is something to gain."""
    best: Schedule | None = None
    for rule in _RULES[: max(1, MOST_STARTED // sum(map(len, units)))]:
        found = Desk(ground).schedule(_most_urgent_first(units, rule, ground.seconds_of))
        if best is None or _worth(found) < _worth(best):
            best = found if _is_good_enough(found) else _with_room(found, ground)
        if _is_good_enough(best):
            break
    return best or Schedule()


def _with_room(schedule: Schedule, ground: Ground) -> Schedule:
    """Return a schedule whose bound knows room."""
    return replace(schedule, seconds_at_least=_at_least(schedule, ground))


def _at_least(schedule: Schedule, ground: Ground) -> float:
    return max(schedule.seconds_at_least, ground.at_least(schedule.dropped))


def _tried_again(best: Schedule, units: Sequence[Unit], ground: Ground) -> Schedule:
    """Schedule anew, what the end of the best schedule hangs on first, each time with a little luck."""
    luck, fruitless, started = Random(1), 0, 0
    while fruitless < MOST_FRUITLESS and started < MOST_STARTED_AGAIN and not _is_good_enough(best):
        groups = luck.choice((1.0, GROUPS_FIRST))
        weight = {_name(unit): luck.uniform(0.7, 1.3) * (groups if len(unit) > 1 else 1.0) for unit in units}
        found = Desk(ground, luck).schedule(_hurried(units, _hurry(best), weight), patience=luck.randrange(4))
        started += len(found.timed)
        fruitless += 1
        if _worth(found) < _worth(best):
            best, fruitless = _with_room(found, ground), 0
    return best


def _with_detours(best: Schedule, units: Sequence[Unit], ground: Ground) -> Schedule:
    """Let guests step aside over other hosts, by luck: those that the end hangs on and those that are stuck.

    A detour that helps is kept; with each try one more is tried, and now and then one is given up.
    """
    luck, fruitless, started = Random(2), 0, 0
    detours: dict[str, str] = {}
    while fruitless < MOST_FRUITLESS_ASIDE * len(ground.wanted) and started < MOST_STARTED_ASIDE and _is_long(best):
        tried = _other_detours(detours, _worth_a_detour(best, units), ground, luck)
        weight = {_name(unit): luck.uniform(0.8, 1.2) for unit in units}
        again = _hurried(units, _hurry(best), weight)
        found = Desk(ground, luck, luck.choice((0.0, 0.1, 0.3, 1.0))).schedule(again, luck.randrange(3), tried)
        started += len(found.timed)
        fruitless += 1
        if len(found.dropped) < len(best.dropped) or (
            len(found.dropped) == len(best.dropped) and found.seconds < WORTH_A_DETOUR * best.seconds
        ):
            best, detours, fruitless = _with_room(found, ground), tried, 0
    return best


def _is_long(schedule: Schedule) -> bool:
    return bool(schedule.dropped) or schedule.seconds > LONG * schedule.seconds_at_least


def _worth_a_detour(schedule: Schedule, units: Sequence[Unit]) -> list[Move]:
    """Return the moves that the end hangs on, those that are stuck, and those in whose room they would go."""
    targets = {move.target for move in schedule.dropped}
    stuck = [unit[0] for unit in units if len(unit) == 1 and (unit[0] in schedule.dropped or unit[0].source in targets)]
    return [*_waited_for(schedule, units), *stuck]


def _other_detours(
    detours: Mapping[str, str], candidates: Sequence[Move], ground: Ground, luck: Random
) -> dict[str, str]:
    """Return the detours with one more, and now and then without one."""
    tried = dict(detours)
    if tried and luck.random() < GIVEN_UP:
        del tried[luck.choice(sorted(tried))]
    for _ in range(luck.choice((1, 1, 2, 3))):
        move = luck.choice(candidates) if candidates else None
        over = ground.hosts_to_hop_over(move.vm, move.source)[:MOST_HOSTS_TRIED] if move else ()
        if move and over:
            tried[move.vm] = luck.choice(over)
    return tried


def _waited_for(schedule: Schedule, units: Sequence[Unit]) -> list[Move]:
    """Return the moves that the end of a schedule hangs on, and that could not start at once."""
    alone = {unit[0].vm: unit[0] for unit in units if len(unit) == 1}
    hangs_on: list[Move] = []
    place: int | None = max(range(len(schedule.timed)), key=lambda place: schedule.timed[place].end, default=None)
    while place is not None:
        item = schedule.timed[place]
        if item.start > 0 and item.move.vm in alone:
            hangs_on.append(alone[item.move.vm])
        before = [other for other in item.after if schedule.timed[other].end >= item.start]
        before += [other for other in range(place) if _hands_over(schedule.timed[other], item)]
        place = before[0] if before else None
    return hangs_on


def _hands_over(one: Timed, other: Timed) -> bool:
    """Whether a move starts when another leaves its slot."""
    ends = {one.move.source, one.move.target}
    return one.end == other.start and not ends.isdisjoint({other.move.source, other.move.target})


def _hurried(units: Sequence[Unit], hurry: Mapping[str, float], weight: Mapping[str, float]) -> list[Unit]:
    """Order units by what hangs on them; those that found no order come first."""
    return sorted(units, key=lambda unit: (-hurry.get(_name(unit), inf) * weight.get(_name(unit), 1.0), _name(unit)))


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


# -- rules of urgency


Rule = Callable[["_Work", Move, float], float]
"""How urgent a move is, by the work at its ends and how long it takes."""


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


def _most_urgent_first(units: Sequence[Unit], rule: Rule, seconds_of: SecondsOf) -> list[Unit]:
    leaving: dict[str, float] = defaultdict(float)
    arriving: dict[str, float] = defaultdict(float)
    for move in (move for unit in units for move in unit):
        leaving[move.source] += seconds_of(move)
        arriving[move.target] += seconds_of(move)
    work = _Work(leaving, arriving)

    def urgency(unit: Unit) -> tuple[float, float, str]:
        seconds = sum(seconds_of(move) for move in unit)
        return -max(rule(work, move, seconds) for move in unit), -seconds, unit[0].vm

    return sorted(units, key=urgency)
