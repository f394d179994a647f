"""Make a plan: choose what is done, rank it, say why; and for all that is left alone, why not."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from balancer.constraints import Reserve
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.pace import Paces
from balancer.domain.plan import Because, Imbalance, Kept, Plan, PolicyMark, Step, Summary, Unmet
from balancer.domain.units import gib
from balancer.domain.violation import TOLERANCE, allowed_by, hard_excess
from balancer.formats import digest_of
from balancer.planning.choosing import choose
from balancer.planning.conflicts import find_conflicts
from balancer.planning.desk import Timed
from balancer.planning.drafting import Draft
from balancer.planning.gains import Gains, companions
from balancer.planning.kept import why_hosts_stay_on
from balancer.planning.remaining import what_remains
from balancer.planning.steps import ranked_steps
from balancer.planning.testing import find_power_test
from balancer.policy.model import Policy
from balancer.solving import Decision
from balancer.solving.bound import norm_gap
from balancer.solving.score import Score

WORK_FOR_A_PLAN = 20_000  # spent on the conflicts behind what stays broken; `balancer check` spends more


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
    policy = policy.at(moment)
    choice = choose(cluster, policy, memory, moment)
    test, waiting = find_power_test(choice.draft, cluster, policy, memory, moment)
    draft, question = test.draft if test else choice.draft, choice.draft.question
    kept = (*_cut_short(draft.decision, cluster), *question.kept, *choice.kept, *draft.kept, *waiting)
    steps = _steps(draft, cluster, policy)
    if test:
        steps, draft = test.steps(steps), test.returned()
    remaining = what_remains(draft, policy, kept)
    staying = why_hosts_stay_on(cluster, draft.later, policy, memory, moment)
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
        summary=_summary(draft, cluster, policy, memory.paces).model_copy(
            update={"hosts_to_test": test.tested if test else ()}
        ),
        steps=steps,
        kept=_first_reasons(*remaining, *kept, *_budget(draft), *staying),
        unmet=_unmet(cluster, draft.later, policy),
        wanted=choice.wanted,
        refused=question.refused,
    )


def _first_reasons(*kept: Kept) -> tuple[Kept, ...]:
    """Return one reason for each thing that was left alone: the first is the most telling."""
    found: dict[str, Kept] = {}
    for each in kept:
        # That thinking was cut short, or that a test waits, is said beside whatever else is said of its subject.
        is_aside = each.because in {Because.SOLVER_STOPPED, Because.TEST_WAITS}
        found.setdefault(f"{each.subject} {each.because}" if is_aside else each.subject, each)
    return tuple(found.values())


def _budget(draft: Draft) -> tuple[Kept, ...]:
    """Say which budget the plan uses up, so that nobody wonders why it stops there."""
    guests = {item.move.vm for item in draft.schedule.timed}
    mib = sum(draft.cluster.vm(name).memory_mib for name in guests)
    why = draft.question.left.why_spent(len(guests), mib)
    subject = f"cluster:{draft.cluster.cluster}"
    return (Kept(subject=subject, because=Because.BUDGET_SPENT, detail=why),) if why else ()


def _objective(policy: Policy, now: Cluster, later: Cluster) -> float:
    return policy.score(now, later)


def _steps(draft: Draft, cluster: Cluster, policy: Policy) -> tuple[Step, ...]:
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
        draft.question.ways,
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


def _summary(draft: Draft, cluster: Cluster, policy: Policy, paces: Paces) -> Summary:
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
        past_migrations=paces.migrations,
        past_error=paces.median_error,
        gap=norm_gap(Score(broken_then, after), Score(broken_now, before), bound),
        proved_optimal=draft.decision.proved_optimal and abs(after - draft.decision.objective) < TOLERANCE,
    )


def _imbalance(cluster: Cluster) -> Imbalance:
    return Imbalance(cpu=cluster.imbalance(CPU), memory=cluster.imbalance(MEMORY))


def _unmet(cluster: Cluster, later: Cluster, policy: Policy) -> tuple[Unmet, ...]:
    """Say what the plan leaves broken; where no placement could keep it, with what it is in conflict."""
    broken = [violation for violation in policy.violations(later) if violation.hard]
    if not broken:
        return ()
    conflicts = find_conflicts(cluster, policy, (later,), most_work=WORK_FOR_A_PLAN).conflicts
    told = {promise: conflict for conflict in reversed(conflicts) for promise in conflict.promises}
    before = allowed_by(violation for violation in policy.violations(cluster) if violation.hard)
    return tuple(
        Unmet(
            promise=v.promise,
            subject=v.subject,
            why=v.detail,
            unit=v.unit,
            excess_before=before.get(v.key, 0.0),
            excess_after=v.excess,
            conflict=told.get(v.promise),
        )
        for v in broken
    )


def _cut_short(decision: Decision, cluster: Cluster) -> tuple[Kept, ...]:
    if not decision.cut_short:
        return ()
    detail = "a model took too long and was stopped; the bound is what was proved before"
    return (Kept(subject=f"cluster:{cluster.cluster}", because=Because.SOLVER_STOPPED, detail=detail),)


def _versions() -> dict[str, str]:
    found = {}
    for package in ("balancer", "pulp", "highspy", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
