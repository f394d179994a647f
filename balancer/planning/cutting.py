"""Cut a schedule to what the budget lets happen on one host, or between two sites, in one cycle.

What is left out is never done, and with it whatever depends on it. The rest stays legal: a schedule is so for every
execution that honours its dependencies, those included that never come to some of its moves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.plan import Because, Kept
from balancer.domain.units import gib
from balancer.planning.desk import Schedule, Timed
from balancer.planning.least_time import by_slots
from balancer.policy.pace import Budget


def cut_to_budget(schedule: Schedule, cluster: Cluster, budget: Budget) -> tuple[Schedule, tuple[Kept, ...]]:
    """Return the part of a schedule that `per_host` and `between_sites` allow, and who has to wait for it."""
    desk = _Desk(cluster, budget)
    units: dict[str, list[Timed]] = defaultdict(list)
    for item in schedule.timed:
        units[_guest_of(item)].append(item)
    refused = {unit: why for unit, items in units.items() if (why := desk.why_not([item.move for item in items]))}
    if not refused:
        return schedule, ()
    staying = _with_what_waits(schedule.timed, refused)
    kept = tuple(
        Kept(subject=f"vm:{item.move.vm}", because=Because.BUDGET_SPENT, detail=refused.get(_guest_of(item), ""))
        for place, item in enumerate(schedule.timed)
        if place in staying and not item.is_hop
    )
    return _without(schedule, staying, budget.concurrent_per_host), kept


def _guest_of(item: Timed) -> str:
    """Return the unit that an item belongs to; a hop belongs to the guest that hops."""
    return item.move.vm if item.is_hop else item.unit


class _Desk:
    """Counts what is spent on each host and line."""

    def __init__(self, cluster: Cluster, budget: Budget) -> None:
        self._cluster, self._budget = cluster, budget
        self._on_host: Counter[str] = Counter()
        self._moves: Counter[frozenset[str]] = Counter()
        self._gib: dict[frozenset[str], float] = defaultdict(float)

    def why_not(self, moves: Sequence[Move]) -> str:
        """Say which budget has no room for moves that belong together; where all have, they are counted."""
        on_host = Counter(host for move in moves for host in (move.source, move.target))
        lines = [(line, move) for move in moves if (line := site_line(self._cluster, move)) is not None]
        crossing = Counter(line for line, _ in lines)
        amount: dict[frozenset[str], float] = defaultdict(float)
        for line, move in lines:
            amount[line] += gib(self._cluster.vm(move.vm).memory_mib)
        why = self._full_host(on_host) or self._full_line(crossing, amount)
        if not why:
            self._on_host += on_host
            self._moves += crossing
            for line, more in amount.items():
                self._gib[line] += more
        return why

    def _full_host(self, more: Counter[str]) -> str:
        most = self._budget.per_host.moves
        full = [] if most is None else [host for host, count in more.items() if self._on_host[host] + count > most]
        return f"budget.per_host.moves allows {most} for {full[0]} in this cycle; the next one goes on" if full else ""

    def _full_line(self, crossing: Counter[frozenset[str]], amount: dict[frozenset[str], float]) -> str:
        limits = self._budget.between_sites
        for line, count in crossing.items():
            said = f"between {' and '.join(sorted(line))} in this cycle; the next one goes on"
            if limits.moves is not None and self._moves[line] + count > limits.moves:
                return f"budget.between_sites.moves allows {limits.moves} {said}"
            if limits.gib is not None and self._gib[line] + amount[line] > limits.gib * (1 + 1e-9):
                return f"budget.between_sites.gib allows {limits.gib:g} {said}"
        return ""


def site_line(cluster: Cluster, move: Move) -> frozenset[str] | None:
    """Return the two sites that a move goes between; None where it stays within one."""
    ends = [cluster.host(host).label("site") for host in (move.source, move.target)]
    line = frozenset(site for site in ends if site is not None)
    return line if len(line) == 2 else None


def _with_what_waits(timed: Sequence[Timed], refused: dict[str, str]) -> set[int]:
    """Return the places of what is left out: what is refused, what depends on it, and the rest of their groups."""
    out: set[int] = set()
    while True:
        groups = {_guest_of(timed[place]) for place in out} | refused.keys()
        more = {
            place
            for place, item in enumerate(timed)
            if place not in out and (_guest_of(item) in groups or not out.isdisjoint(item.after))
        }
        if not more:
            return out
        out |= more


def _without(schedule: Schedule, out: set[int], slots: int) -> Schedule:
    stay = [place for place in range(len(schedule.timed)) if place not in out]
    new = {old: place for place, old in enumerate(stay)}
    timed = tuple(
        replace(schedule.timed[old], after=tuple(new[need] for need in schedule.timed[old].after)) for old in stay
    )
    seconds = max((item.end for item in timed), default=0.0)
    # What room asked of all of them says nothing of those that are left; their slots do, for groups start at once.
    hopped = {item.move.vm for item in timed if item.is_hop}
    took = {item.move: item.end - item.start for item in timed if item.move.vm not in hopped}
    units: dict[str, list[Move]] = defaultdict(list)
    for item in timed:
        if item.move.vm not in hopped:
            units[item.unit].append(item.move)
    at_least = by_slots(list(units.values()), took.__getitem__, slots)
    return replace(schedule, timed=timed, seconds=seconds, seconds_at_least=at_least)
