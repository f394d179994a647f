"""Find rules that cannot hold together, and the fewest of them that cannot.

A set of rules is in conflict where a model proves that no placement keeps it. One rule after the other is then left
out for good if what remains still cannot be kept; what is left is the conflict: without any one of its rules there is
a placement, and it was seen by the rules' own checkers. Budgets, cool-downs and the way there do not count: a conflict
is something that no amount of moving mends. A wish is in no conflict, for it gives way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from balancer.constraints import Constraint, Reach
from balancer.domain.cluster import Cluster
from balancer.domain.conflict import Conflict, Rule, Scope
from balancer.domain.plan import Plan
from balancer.domain.shapes import AllowedHosts, Losses, Shape
from balancer.domain.violation import TOLERANCE
from balancer.planning.conflict_facts import what_excludes
from balancer.planning.kinds import bound_guests
from balancer.policy.model import Policy
from balancer.solving.feasible import facts_of, find_any, settled

MOST_WORK = 400_000  # places of guests in all models of one answer, some 20 s; beyond, sets count as not decided
MOST_CONFLICTS = 12


@dataclass(frozen=True)
class Found:
    """The conflicts of a policy, and whether that is all of them."""

    conflicts: tuple[Conflict, ...] = ()
    is_complete: bool = True


def find_conflicts(
    cluster: Cluster,
    policy: Policy,
    seen: Iterable[Cluster] = (),
    scope: Scope = Scope.HERE,
    most_work: int = MOST_WORK,
) -> Found:
    """Return the conflicts of a policy on a cluster.

    seen: placements that somebody found already; where one of them keeps every promise, nothing is in conflict
    """
    rest = settled(cluster)
    rules = [promise for promise in policy.promises_on(rest) if promise.hard and not isinstance(promise, Reach)]
    if not rest.hosts or any(_keeps(each, rules) for each in (rest, *seen)):
        return Found()
    desk = _Desk(rest, bound_guests(rest, policy.migration), most_work)
    found: dict[frozenset[str], Conflict] = {}
    for candidates in (*_apart_from_each_other(desk, rules), _about_loads(desk, rules), rules):
        for beyond in (max, min) if candidates else ():
            for conflict in _one_by_one(desk, candidates, tuple(found.values()), beyond, scope):
                found.setdefault(conflict.promises, conflict)
    written = [rule.promise for rule in rules]
    conflicts = sorted(found.values(), key=lambda c: sorted(written.index(rule.promise) for rule in c.rules))
    return Found(tuple(conflicts), is_complete=desk.can_hold(_without(rules, conflicts, max)) is True)


def _one_by_one(
    desk: _Desk, rules: Sequence[Constraint], known: Iterable[Conflict], beyond: Callable[..., str], scope: Scope
) -> Iterator[Conflict]:
    """Yield one conflict after the other; to look beyond one, its last or its first rule is left out."""
    found = list(known)
    while len(found) < MOST_CONFLICTS:
        left = _without(rules, found, beyond)
        if desk.can_hold(left) is not False:
            return
        found.append(_conflict(desk, _smallest(desk, left), scope))
        yield found[-1]


def _without(rules: Sequence[Constraint], found: Iterable[Conflict], beyond: Callable[..., str]) -> list[Constraint]:
    """Leave out one rule of each conflict that is still whole."""
    written, out = [rule.promise for rule in rules], set[str]()
    for conflict in found:
        if out.isdisjoint(conflict.promises) and conflict.promises <= set(written):
            out.add(beyond(conflict.promises, key=written.index))
    return [rule for rule in rules if rule.promise not in out]


def _keeps(cluster: Cluster, rules: Iterable[Constraint]) -> bool:
    return not any(v.hard and v.excess > TOLERANCE for rule in rules for v in rule.violations(cluster))


def _apart_from_each_other(desk: _Desk, rules: Sequence[Constraint]) -> Iterator[list[Constraint]]:
    """Yield the rules that speak of places, those that share guests together: small, and plain to say."""
    loads = {id(rule) for rule in _about_loads(desk, rules)}
    left = [rule for rule in rules if id(rule) not in loads]
    while left:
        group, guests = [left[0]], set(desk.guests_of(left[0]))
        rest = left[1:]
        while near := [rule for rule in rest if not guests.isdisjoint(desk.guests_of(rule))]:
            group += near
            guests |= {name for rule in near for name in desk.guests_of(rule)}
            rest = [rule for rule in rest if all(rule is not other for other in near)]
        left = rest
        yield [rule for rule in rules if any(rule is member for member in group)]


def _about_loads(desk: _Desk, rules: Sequence[Constraint]) -> list[Constraint]:
    return [rule for rule in rules if any(map(_is_load, desk.shapes_of(rule)))]


def _is_load(shape: Shape) -> bool:
    return hasattr(shape, "resource") or isinstance(shape, Losses)


@dataclass
class _Desk:
    """Asks the model about sets of rules, each once, within its effort."""

    cluster: Cluster
    bound: frozenset[str]  # guests that cannot leave their host
    most: int
    spent: int = 0
    _answers: dict[frozenset[int], bool | None] = field(default_factory=dict)
    _shapes: dict[int, tuple[Shape, ...]] = field(default_factory=dict)
    _guests: dict[int, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = facts_of(self.cluster, self.bound)

    def can_hold(self, rules: Sequence[Constraint]) -> bool | None:
        """Whether some placement keeps these rules; None where that is not known, or no longer affordable."""
        key = frozenset(map(id, rules))
        if key not in self._answers:
            self._answers[key] = self._asked(rules)
        return self._answers[key]

    def _asked(self, rules: Sequence[Constraint]) -> bool | None:
        if not rules or _keeps(self.cluster, rules):
            return True
        if self.spent >= self.most:
            return None
        found = find_any(self.cluster, [shape for rule in rules for shape in self.shapes_of(rule)], self.facts)
        self.spent += found.work
        if found.placement is None:
            return found.is_possible
        return True if _keeps(found.placement.applied_to(self.cluster), rules) else None

    def guests_of(self, rule: Constraint) -> frozenset[str]:
        """The guests that a rule speaks of; of hosts alone, a name that all such rules share."""
        if id(rule) not in self._guests:
            shapes = self.shapes_of(rule)
            named = {shape.vm for shape in shapes if isinstance(shape, AllowedHosts)}
            named |= {name for shape in shapes for name in getattr(shape, "vms", None) or ()}
            self._guests[id(rule)] = frozenset(named or {"(hosts alone)"})
        return self._guests[id(rule)]

    def shapes_of(self, rule: Constraint) -> tuple[Shape, ...]:
        if id(rule) not in self._shapes:
            self._shapes[id(rule)] = tuple(rule.lower(self.cluster))
        return self._shapes[id(rule)]


def _smallest(desk: _Desk, rules: Sequence[Constraint]) -> list[Constraint]:
    """Leave out what is not needed for the contradiction: halves first, then one rule after the other."""
    core, size = list(rules), len(rules) // 2
    while size >= 1:
        place = 0
        while place < len(core):
            fewer = core[:place] + core[place + size :]
            if fewer and desk.can_hold(fewer) is False:
                core = fewer
            else:
                place += size
        size //= 2
    return core


def _conflict(desk: _Desk, core: Sequence[Constraint], scope: Scope) -> Conflict:
    without = [[other for other in core if other is not rule] for rule in core]
    return Conflict(
        rules=tuple(Rule(promise=rule.promise, kind=_kind_of(rule)) for rule in core),
        why=what_excludes(desk.cluster, [shape for rule in core for shape in desk.shapes_of(rule)], desk.facts),
        scope=scope,
        smallest=all(desk.can_hold(rules) is True for rules in without),
    )


def _kind_of(rule: Constraint) -> str:
    return str(getattr(rule, "kind", type(rule).__name__.lower()))


def placed(conflicts: Iterable[Conflict], place_of: Callable[[str], str]) -> tuple[Conflict, ...]:
    """Return conflicts whose rules say where they are written."""
    return tuple(
        conflict.model_copy(
            update={
                "rules": tuple(rule.model_copy(update={"place": place_of(rule.promise)}) for rule in conflict.rules)
            }
        )
        for conflict in conflicts
    )


def with_places(plan: Plan, place_of: Callable[[str], str]) -> Plan:
    """Return a plan whose conflicts say where their rules are written."""
    unmet = tuple(
        each if each.conflict is None else each.model_copy(update={"conflict": placed([each.conflict], place_of)[0]})
        for each in plan.unmet
    )
    return plan.model_copy(update={"unmet": unmet})
