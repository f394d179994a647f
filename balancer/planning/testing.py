"""Power tests that begin by themselves: in their window one host at a time is emptied, switched off and switched on.

A test begins only where nothing else is to be done, and where every promise holds without its host, now and by what is
expected until it can be back. What a host with an old proof is asked for is least where it sleeps: it is woken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from balancer.domain.cluster import Cluster
from balancer.domain.host import ASLEEP, CPU, Host, HostState
from balancer.domain.memory import Memory
from balancer.domain.plan import Action, Because, Kept, Step
from balancer.domain.shapes import HostMust
from balancer.domain.units import count_of, in_words
from balancer.domain.violation import TOLERANCE, hard_excess, worsened
from balancer.planning.drafting import Draft, draft_of
from balancer.planning.question import Question, all_why_not_asleep, ask, may_wake
from balancer.policy.model import Policy
from balancer.stability.payback import SHUTDOWN_SECONDS, cores_expected

MOST_TRIED = 4  # hosts in one cycle: to look whether one can be emptied is to ask the solver
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PowerTest:
    """A host that is tested now. One that sleeps is only woken; one that is on is switched off before."""

    host: str
    why: str
    draft: Draft
    boot_seconds: float

    @property
    def is_asleep(self) -> bool:
        return self.host in self.draft.woken

    @property
    def tested(self) -> tuple[str, ...]:
        return (self.host,)

    def steps(self, ranked: tuple[Step, ...]) -> tuple[Step, ...]:
        """Return the plan's steps with the reason of the test, and after its host went off those that bring it back."""
        own = {Action.CORDON, Action.POWER_OFF}
        if self.is_asleep:
            return tuple(_because(step, self.why) if step.action is Action.POWER_ON else step for step in ranked)
        marked = [
            _because(step, self.why).model_copy(update={"test": True}) if step.action in own else step
            for step in ranked
        ]
        return (*marked, *self._returning(marked[-1]))

    def _returning(self, last: Step) -> Iterator[Step]:
        for action, seconds in (
            (Action.POWER_ON, 0.0),
            (Action.WAIT_READY, self.boot_seconds),
            (Action.UNCORDON, 0.0),
        ):
            last = Step(
                id=f"s{last.rank + 1}",
                rank=last.rank + 1,
                wave=last.wave + 1,
                depends_on=(last.id,),
                action=action,
                host=self.host,
                seconds=seconds,
                test=True,
                because="its power test ends",
            )
            yield last

    def returned(self) -> Draft:
        """Return the draft at its end: the host is on again, and empty."""
        back = self.draft.later.with_host(self.host, state=HostState.UP, cordoned=False)
        unbound = replace(self.draft.decision, bound=None, proved_optimal=False)
        return replace(self.draft, asleep=(), later=back, decision=unbound)


def _because(step: Step, why: str) -> Step:
    return step.model_copy(update={"because": why})


def find_power_test(
    draft: Draft, cluster: Cluster, policy: Policy, memory: Memory, now: datetime
) -> tuple[PowerTest | None, tuple[Kept, ...]]:
    """Return the host that is tested now, and why others that are due are not; none while a plan does anything else."""
    if not draft.is_empty:
        return None, ()
    for host in cluster.hosts:
        if (
            host.name in memory.tests_unfinished
            and host.quarantined is None
            and _may_wake(cluster, host, policy, memory)
        ):
            return _woken(draft, host, "its power test was interrupted, and nobody saw it return"), ()
    if policy.power.test is None or not policy.is_open(policy.power.test.during, now) or _one_is_away(cluster, memory):
        return None, ()
    waiting: list[Kept] = []
    tried = 0
    for host in _due(cluster, policy, memory, now):
        if host.state in ASLEEP:
            return _woken(draft, host, _why(host, now)), tuple(waiting)
        why_not = _why_not(cluster, host, policy, memory, now)
        if not why_not and tried < MOST_TRIED:
            tried += 1
            found = _emptied(cluster, host, policy, memory, now)
            if isinstance(found, Draft):
                return PowerTest(host.name, _why(host, now), found, host.boot_seconds), tuple(waiting)
            why_not = found
        waiting.append(Kept(subject=f"host:{host.name}", because=Because.TEST_WAITS, detail=why_not or "others first"))
    return None, tuple(waiting)


def _one_is_away(cluster: Cluster, memory: Memory) -> bool:
    """Whether a host goes or comes now: of two at a time neither could be told apart, and both would be missed."""
    on_its_way = any(
        host.state is HostState.WAKING or (host.state is HostState.DRAINING and not host.drained)
        for host in cluster.hosts
    )
    return on_its_way or bool(memory.held_hosts)


def _may_wake(cluster: Cluster, host: Host, policy: Policy, memory: Memory) -> bool:
    return host.state in ASLEEP and may_wake(cluster, host, policy, memory)


def _due(cluster: Cluster, policy: Policy, memory: Memory, now: datetime) -> list[Host]:
    """Return the hosts whose proof is missing or old, the oldest first; none that must not sleep at all."""
    oldest = now - timedelta(days=policy.power.tested_after_days)
    due = [
        host
        for host in cluster.hosts
        if host.switchable
        and host.may_sleep
        and host.quarantined is None
        and (host.wake_proven_at is None or host.wake_proven_at < oldest)
        and memory.tests_put_off_until.get(host.name, LONG_AGO) <= now
        and (host.is_on or _may_wake(cluster, host, policy, memory))
    ]
    return sorted(due, key=lambda host: (host.wake_proven_at or LONG_AGO, host.name))


def _why(host: Host, now: datetime) -> str:
    if host.wake_proven_at is None:
        return "a power test: it was never seen to wake"
    return f"a power test: it was last seen to wake {count_of(round((now - host.wake_proven_at).days), 'day')} ago"


def _why_not(cluster: Cluster, host: Host, policy: Policy, memory: Memory, now: datetime) -> str:
    """Say what keeps a host from its test, but for what the test is to prove; empty where nothing does."""
    reasons = all_why_not_asleep(cluster, host, policy, memory, now)
    against = next((kept for kept in reasons if kept.because is not Because.WAKE_NOT_PROVEN), None)
    if against is not None:
        return against.because.sentence + (f": {against.detail}" if against.detail else "")
    if host.cordoned:
        return "it is cordoned"
    away = _seconds_away(host)
    if policy.power.test is not None and not policy.is_open(policy.power.test.during, now + timedelta(seconds=away)):
        return f"it takes {in_words(away)}, and the window closes before"
    return _why_missed(cluster, host, policy, away) or _promise_against(cluster, host, policy)


def _seconds_away(host: Host) -> float:
    return host.boot_seconds + SHUTDOWN_SECONDS


def _why_missed(cluster: Cluster, host: Host, policy: Policy, away: float) -> str:
    """Say that the others would be full before it can be back, as far as CPU in sum tells."""
    on = [other for other in cluster.hosts if other.is_on and not other.is_being_emptied]
    room = sum(
        dict(policy.headroom.shares_on(other)).get(CPU, 1.0) * other.usable_cores for other in on if other is not host
    )
    need = cores_expected(cluster, on, away / 60)
    if need <= room + TOLERANCE:
        return ""
    return f"{need:.1f} cores are expected within {in_words(away)}, the others have {room:.1f}"


def _promise_against(cluster: Cluster, host: Host, policy: Policy) -> str:
    """Say which promise would be broken without it, were its guests nowhere at all: no solver has to be asked then."""
    without = cluster.with_hosts(HostState.STANDBY, host.name)
    broken = worsened(policy.violations(cluster), policy.violations(without))
    return f"a promise needs it: {broken[0]}" if broken else ""


def _woken(draft: Draft, host: Host, why: str) -> PowerTest:
    later = draft.cluster.with_host(host.name, state=HostState.UP, cordoned=False)
    return PowerTest(host.name, why, replace(draft, woken=(host.name,), later=later), host.boot_seconds)


def _emptied(cluster: Cluster, host: Host, policy: Policy, memory: Memory, now: datetime) -> Draft | str:
    """Return how a host is emptied so that every promise holds without it; where it is not, why."""
    question = ask(cluster, policy, memory, now)
    if question.refused:
        return question.refused
    guests = frozenset(vm.name for vm in cluster.guests_of(host.name))
    bound = sorted(name for name in guests - question.problem.may_move if cluster.vm(name).is_active)
    if bound:
        return f"{', '.join(bound[:5])} cannot leave it now"
    for movable in (guests, question.problem.may_move):
        draft = draft_of(_without(question, host.name, movable), policy)
        if draft.asleep == (host.name,) and _excess(draft.later, policy) <= _excess(cluster, policy) + TOLERANCE:
            return draft
    return f"the others do not take its {count_of(len(guests), 'guest')} within every promise and the budget"


def _without(question: Question, host: str, movable: frozenset[str]) -> Question:
    problem = replace(
        question.problem,
        shapes=(*question.problem.shapes, HostMust(host, on=False)),
        may_move=question.problem.may_move & movable,
        may_sleep=frozenset({host}),
        may_wake=frozenset(),
    )
    return replace(question, problem=problem)


def _excess(cluster: Cluster, policy: Policy) -> float:
    return hard_excess(policy.violations(cluster))
