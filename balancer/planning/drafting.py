"""A draft: a placement that is wanted, in an order that can be carried out, cut to what the budget allows on each host.

What finds no safe order is asked again without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.plan import Because, Kept
from balancer.domain.violation import hard_excess
from balancer.planning.cutting import cut_to_budget
from balancer.planning.order import Schedule, order
from balancer.planning.question import Question
from balancer.policy.model import Policy
from balancer.solving import Decision, Problem, find_placement

MOST_ATTEMPTS = 3  # each leaves out the guests for which the last one found no safe order


@dataclass(frozen=True)
class Draft:
    """A decision with its order: what will be, and what could not be ordered or paid for."""

    question: Question
    decision: Decision
    schedule: Schedule
    later: Cluster
    asleep: tuple[str, ...] = ()
    woken: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    no_way: Mapping[str, str] = field(default_factory=dict)
    """Why no kind of migration gets a guest to where it was wanted."""

    @property
    def cluster(self) -> Cluster:
        return self.question.problem.cluster

    @property
    def is_empty(self) -> bool:
        return not (self.schedule.timed or self.asleep or self.woken)

    def staying_put(self) -> Draft:
        """Return the draft in which nothing is done after all."""
        no_way = tuple(each for each in self.kept if each.because is Because.NO_WAY_THERE)
        return replace(self, schedule=Schedule(), later=self.cluster, asleep=(), woken=(), kept=no_way)


def draft_of(question: Question, policy: Policy) -> Draft:
    """Decide, order, and ask again without what finds no safe order; what comes out best is taken."""
    tries = [_Try(_draft(question, question.problem, policy))]
    while len(tries) < MOST_ATTEMPTS and tries[-1].lost:
        held = tries[-1].without_order
        narrower = replace(question.problem, may_move=question.problem.may_move - held)
        draft = _draft(question, narrower, policy)
        # The bound is of the wider question, so it holds for the narrower one too.
        decision = replace(draft.decision, bound=tries[0].draft.decision.bound, proved_optimal=False)
        tries.append(_Try(replace(draft, decision=decision), held))
    best = tries[0] if len(tries) == 1 else min(tries, key=lambda each: _standing(each.draft.later, question, policy))
    no_way = {guest: why for each in tries for guest, why in each.draft.no_way.items()}
    unsafe = (
        Kept(subject=f"vm:{name}", because=Because.NO_WAY_THERE, detail=no_way[name])
        if name in no_way
        else Kept(subject=f"vm:{name}", because=Because.NO_SAFE_ORDER)
        for name in sorted(best.without_order)
    )
    return replace(best.draft, kept=(*best.draft.kept, *unsafe))


@dataclass(frozen=True)
class _Try:
    """A draft, and the guests that stayed out of it because an earlier one found no safe order for them."""

    draft: Draft
    held: frozenset[str] = frozenset()

    @property
    def lost(self) -> frozenset[str]:
        return frozenset(move.vm for move in self.draft.schedule.dropped)

    @property
    def without_order(self) -> frozenset[str]:
        return self.held | self.lost


def _standing(later: Cluster, question: Question, policy: Policy) -> tuple[float, int, float]:
    """Return how far promises stay broken, how many guests stay where they have to leave, and J."""
    return round(_broken(later, policy), 9), _staying(later), policy.score(question.problem.cluster, later)


def _broken(cluster: Cluster, policy: Policy) -> float:
    return hard_excess(policy.violations(cluster))


def _staying(cluster: Cluster) -> int:
    return sum(len(cluster.guests_of(host.name)) for host in cluster.hosts if host.is_being_emptied)


def _draft(question: Question, problem: Problem, policy: Policy) -> Draft:
    cluster, decision = problem.cluster, find_placement(problem)
    wanted_asleep = frozenset(host.name for host in cluster.hosts if host.is_on) - decision.placement.on
    woken = tuple(host.name for host in cluster.hosts if not host.is_on and host.name in decision.placement.on)
    moves = decision.placement.moves_from(cluster)
    no_way = {move: why for move in moves if (why := question.ways.why_not(move))}
    schedule = order(
        cluster,
        [move for move in moves if move not in no_way],
        problem.shapes,
        question.ways.seconds,
        policy.budget.concurrent_per_host,
        {name: cluster.host(name).boot_seconds for name in woken},
        wanted_asleep,
    )
    schedule = replace(schedule, dropped=(*schedule.dropped, *no_way))
    schedule, kept = cut_to_budget(schedule, cluster, policy.budget)
    later = cluster
    for item in schedule.timed:
        later = later.after(item.move)
    if kept:
        woken = tuple(host for host in woken if later.guests_of(host))  # for whom the others have to wait
    asleep = tuple(sorted(host for host in wanted_asleep if _is_empty(later, host, policy)))
    later = _switched(later, woken, asleep)
    return Draft(
        question,
        decision,
        schedule,
        later,
        asleep,
        woken,
        tuple(kept),
        {move.vm: why for move, why in no_way.items()},
    )


def _switched(cluster: Cluster, woken: Iterable[str], asleep: Iterable[str]) -> Cluster:
    for name in woken:
        cluster = cluster.with_host(name, state=HostState.UP, cordoned=False)
    return cluster.with_hosts(HostState.STANDBY, *asleep)


def _is_empty(later: Cluster, host: str, policy: Policy) -> bool:
    left = later.guests_of(host)
    return not left or (policy.power.accept_shut_off_guests and not any(vm.is_active for vm in left))
