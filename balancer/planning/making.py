"""Make a plan: decide, find a safe order, rank, say why. What finds no safe order is asked again without it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from balancer.constraints import Reserve
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, HostState
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.plan import Because, Imbalance, Kept, Plan, PolicyMark, Step, Summary, Unmet
from balancer.domain.units import gib
from balancer.domain.violation import TOLERANCE, hard_excess
from balancer.formats import digest_of
from balancer.planning.durations import migration_cost
from balancer.planning.gains import Gains, companions
from balancer.planning.kept import why_hosts_stay_on
from balancer.planning.order import Schedule, Timed, order
from balancer.planning.question import Question, ask
from balancer.planning.steps import ranked_steps
from balancer.policy.model import Policy
from balancer.solving import Decision, Problem, find_placement
from balancer.solving.bound import norm_gap
from balancer.solving.score import Score

MOST_ATTEMPTS = 3  # each leaves out the guests for which the last one found no safe order


@dataclass(frozen=True)
class _Draft:
    """A decision with its order: what will be, and what could not be ordered."""

    question: Question
    decision: Decision
    schedule: Schedule
    later: Cluster
    asleep: tuple[str, ...]
    woken: tuple[str, ...]


def make_plan(
    cluster: Cluster,
    policy: Policy,
    memory: Memory = NOTHING_REMEMBERED,
    now: datetime | None = None,
) -> Plan:
    """Return the best plan found for a cluster, never worse than staying put, with its bound and its reasons.

    `now` is when it is made (default: when the cluster was seen); equal arguments give equal plans but for the id.
    """
    moment = now or cluster.taken_at
    question = ask(cluster, policy, memory, moment)
    draft, unordered = _draft_that_can_be_carried_out(question, policy)
    worth_it, why_not = _is_worth_it(draft, cluster, policy)
    if not worth_it:
        draft = _stay_put(question, draft.decision, cluster)
    kept = (*question.kept, *why_hosts_stay_on(cluster, draft.later, policy, memory), *_unordered(unordered), *why_not)
    kept += _cut_short(draft.decision, cluster)
    return Plan(
        id=str(uuid.uuid4()),
        cluster=cluster.cluster,
        taken_at=cluster.taken_at,
        made_at=moment,
        valid_until=moment + timedelta(minutes=policy.plan_valid_minutes),
        snapshot_digest=digest_of(cluster),
        policy=PolicyMark(name=policy.name, digest=digest_of(policy)),
        mode=policy.mode,
        seed=policy.seed,
        versions=_versions(),
        summary=_summary(draft, cluster, policy),
        steps=_steps(draft, cluster, policy),
        kept=kept,
        unmet=_unmet(draft.later, policy),
        refused=question.refused,
    )


def _draft_that_can_be_carried_out(question: Question, policy: Policy) -> tuple[_Draft, frozenset[str]]:
    unordered: frozenset[str] = frozenset()
    draft = _draft(question, question.problem, policy)
    for _ in range(MOST_ATTEMPTS - 1):
        lost = frozenset(move.vm for move in draft.schedule.dropped)
        if not lost:
            break
        unordered |= lost
        narrower = replace(question.problem, may_move=question.problem.may_move - unordered)
        bound = draft.decision.bound  # of the wider question, so it holds for the narrower one too
        draft = _draft(question, narrower, policy)
        draft = replace(draft, decision=replace(draft.decision, bound=bound, proved_optimal=False))
    return draft, unordered


def _draft(question: Question, problem: Problem, policy: Policy) -> _Draft:
    cluster, decision = problem.cluster, find_placement(problem)
    wanted_asleep = frozenset(host.name for host in cluster.hosts if host.is_on) - decision.placement.on
    woken = tuple(host.name for host in cluster.hosts if not host.is_on and host.name in decision.placement.on)
    cap = policy.migration.bandwidth_mib_per_s
    schedule = order(
        cluster,
        decision.placement.moves_from(cluster),
        problem.shapes,
        lambda move: migration_cost(cluster, move, cap).seconds,
        policy.budget.concurrent_per_host,
        {name: cluster.host(name).boot_seconds for name in woken},
        wanted_asleep,
    )
    later = cluster
    for item in schedule.timed:
        later = later.after(item.move)
    asleep = tuple(sorted(host for host in wanted_asleep if _is_empty(later, host, policy)))
    for name in woken:
        later = later.with_host(name, state=HostState.UP, cordoned=False)
    later = later.with_hosts(HostState.STANDBY, *asleep)
    return _Draft(question, decision, schedule, later, asleep, woken)


def _is_empty(later: Cluster, host: str, policy: Policy) -> bool:
    left = later.guests_of(host)
    return not left or (policy.power.accept_shut_off_guests and not any(vm.is_active for vm in left))


def _stay_put(question: Question, decision: Decision, cluster: Cluster) -> _Draft:
    return _Draft(question, decision, Schedule(), cluster, (), ())


def _is_worth_it(draft: _Draft, cluster: Cluster, policy: Policy) -> tuple[bool, tuple[Kept, ...]]:
    """A plan has to mend a promise, or to gain more than the policy's minimum; it is never worse than staying put."""
    if not (draft.schedule.timed or draft.asleep or draft.woken):
        return False, ()
    eased = hard_excess(policy.violations(cluster)) - hard_excess(policy.violations(draft.later))
    leaving = sum(_guests_on_emptied(cluster)) - sum(_guests_on_emptied(draft.later))
    gain = _objective(policy, cluster, cluster) - _objective(policy, cluster, draft.later)
    if eased > TOLERANCE or (eased > -TOLERANCE and leaving > 0):
        return True, ()
    if eased > -TOLERANCE and gain > policy.stability.minimum_gain:
        return True, ()
    detail = f"J would fall by {max(gain, 0.0):.5f}, the policy asks for more than {policy.stability.minimum_gain:g}"
    return False, (Kept(subject=f"cluster:{cluster.cluster}", because=Because.GAIN_TOO_SMALL, detail=detail),)


def _guests_on_emptied(cluster: Cluster) -> list[int]:
    return [len(cluster.guests_of(host.name)) for host in cluster.hosts if host.is_being_emptied]


def _objective(policy: Policy, now: Cluster, later: Cluster) -> float:
    return policy.score(now, later)


def _steps(draft: _Draft, cluster: Cluster, policy: Policy) -> tuple[Step, ...]:
    timed: tuple[Timed, ...] = draft.schedule.timed
    gains = Gains(
        cluster, draft.later, draft.question.problem.costs, policy.violations(cluster), frozenset(draft.asleep)
    )
    fellows = companions(item.move for item in timed)
    reasons = [gains.of(item.move, fellows[item.move.source]) for item in timed]
    reasons = [
        replace(gain, because=f"steps aside over {item.move.target} so that others can pass") if item.is_hop else gain
        for item, gain in zip(timed, reasons, strict=True)
    ]
    return ranked_steps(
        cluster,
        timed,
        reasons,
        {host: _why_wake(cluster, draft.later, host) for host in draft.woken},
        {host: _why_sleep(cluster, host) for host in draft.asleep},
        policy.budget.concurrent_per_host,
        policy.migration.bandwidth_mib_per_s,
        sleep_last=any(isinstance(promise, Reserve) and promise.hard for promise in policy.promises),
    )


def _why_wake(now: Cluster, later: Cluster, host: str) -> str:
    full = max((h for h in now.hosts if h.is_on), key=lambda h: now.utilisation(h, CPU), default=None)
    guests = len(later.active_on(host))
    fullest = f"; {full.name} is at {now.utilisation(full, CPU):.0%} CPU" if full else ""
    return f"its room is needed for {guests} guest{'' if guests == 1 else 's'}{fullest}"


def _why_sleep(now: Cluster, host: str) -> str:
    power = now.host(host).power
    return f"it will be empty; saves {power.idle - power.off_watts:.0f} W" if power else "it will be empty"


def _summary(draft: _Draft, cluster: Cluster, policy: Policy) -> Summary:
    timed, later = draft.schedule.timed, draft.later
    before, after = _objective(policy, cluster, cluster), _objective(policy, cluster, later)
    bound = None if draft.decision.bound is None else min(draft.decision.bound, after)
    broken_now, broken_then = (hard_excess(policy.violations(each)) for each in (cluster, later))
    return Summary(
        moves=len(timed),
        gib_to_move=round(gib(sum(cluster.vm(item.move.vm).memory_mib for item in timed)), 3),
        seconds_to_run=round(draft.schedule.seconds, 3),
        seconds_at_least=round(draft.schedule.seconds_at_least, 3),
        hosts_on_before=sum(host.is_on for host in cluster.hosts),
        hosts_on_after=sum(host.is_on for host in later.hosts),
        hosts_to_sleep=draft.asleep,
        hosts_to_wake=draft.woken,
        imbalance_before=_imbalance(cluster),
        imbalance_after=_imbalance(later),
        watts_before=round(cluster.watts(), 1),
        watts_after=round(later.watts(), 1),
        objective_before=before,
        objective_after=after,
        objective_bound=bound,
        gap=norm_gap(Score(broken_then, after), Score(broken_now, before), bound),
        proved_optimal=draft.decision.proved_optimal and abs(after - draft.decision.objective) < TOLERANCE,
    )


def _imbalance(cluster: Cluster) -> Imbalance:
    return Imbalance(cpu=cluster.imbalance(CPU), memory=cluster.imbalance(MEMORY))


def _unmet(later: Cluster, policy: Policy) -> tuple[Unmet, ...]:
    return tuple(Unmet(promise=v.promise, subject=v.subject, why=v.detail) for v in policy.violations(later) if v.hard)


def _cut_short(decision: Decision, cluster: Cluster) -> tuple[Kept, ...]:
    if not decision.cut_short:
        return ()
    detail = "a model took too long and was stopped; the bound is what was proved before"
    return (Kept(subject=f"cluster:{cluster.cluster}", because=Because.SOLVER_STOPPED, detail=detail),)


def _unordered(names: frozenset[str]) -> tuple[Kept, ...]:
    return tuple(Kept(subject=f"vm:{name}", because=Because.NO_SAFE_ORDER) for name in sorted(names))


def _versions() -> dict[str, str]:
    found = {}
    for package in ("balancer", "pulp", "highspy", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
