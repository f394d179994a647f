"""Verification with nothing clever about it: each step entered at once, every promise asked about everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from balancer.constraints import Together
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Action, Plan, Step
from balancer.domain.violation import Violation, worsened
from balancer.planning.replay import Refused, Replay
from balancer.planning.verify import Objection, _budget, _places, _said, _structure
from balancer.policy import Policy


class _Eager(Replay):
    """Looks after each step, and insists that what it sees is what the moves themselves make of the cluster."""

    def __init__(self, cluster: Cluster, policy: Policy) -> None:
        super().__init__(cluster, policy)
        self._plain = cluster

    def start(self, step: Step) -> None:
        super().start(step)
        self._plain = self._plain.while_moving(step.move) if step.is_move else self.cluster
        assert self.cluster == self._plain

    def end(self, step: Step) -> None:
        super().end(step)
        self._plain = self._plain.after(step.move) if step.is_move else self.cluster
        assert self.cluster == self._plain


def verify_plainly(plan: Plan, cluster: Cluster, policy: Policy) -> frozenset[str]:
    """Return what `verify` objects to, in words."""
    policy = policy.at(cluster.taken_at)
    structure = tuple(_structure(plan, policy))
    if structure:
        return frozenset(map(str, structure))
    found = [*_budget(plan, cluster, policy, NOTHING_REMEMBERED), *_by_rank(plan, cluster, policy)]
    found += _by_wave(plan, cluster, policy)
    if not found:
        found = [objection for place in _places(cluster) for objection in _harshest(plan, cluster, policy, place)]
    return frozenset(map(str, found))


def _by_rank(plan: Plan, cluster: Cluster, policy: Policy) -> Iterator[Objection]:
    replay = _Eager(cluster, policy)
    before = policy.violations(cluster)
    parted: tuple[Violation, ...] = ()
    for step in plan.steps:
        if step.is_move and parted and not any(step.vm in violation.involves for violation in parted):
            yield Objection(step.id, f"comes between the moves of a group: {parted[0]}")
        try:
            replay.start(step)
            yield from _worse(step.id, before, policy.violations(replay.cluster, in_transit=True))
            replay.end(step)
        except Refused as why:
            yield Objection(step.id, str(why))
            return
        together = [promise for promise in policy.promises_on(replay.cluster) if isinstance(promise, Together)]
        parted = tuple(worsened(before, [v for promise in together for v in promise.violations(replay.cluster)]))
        if step.action is Action.POWER_OFF:
            yield from _worse(step.id, before, policy.violations(replay.cluster), at_rest=True)
    for violation in worsened(before, policy.violations(replay.cluster)):
        yield Objection("plan", f"ends with a promise broken: {violation}")


def _by_wave(plan: Plan, cluster: Cluster, policy: Policy) -> Iterator[Objection]:
    replay = _Eager(cluster, policy)
    before = policy.violations(cluster)
    for wave in sorted({step.wave for step in plan.steps}):
        steps = [step for step in plan.steps if step.wave == wave]
        try:
            for step in steps:
                replay.start(step)
            yield from _worse(f"wave {wave}", before, policy.violations(replay.cluster, in_transit=True))
            for step in steps:
                replay.end(step)
        except Refused as why:
            yield Objection(f"wave {wave}", str(why))
            return


def _harshest(plan: Plan, cluster: Cluster, policy: Policy, place: frozenset[str]) -> Iterator[Objection]:
    if not any({step.source, step.target} & place for step in plan.moves):
        return
    replay = _Eager(cluster, policy)
    before = policy.violations(cluster)
    waiting, running, done = list(plan.steps), list[Step](), set[str]()
    while waiting or running:
        startable = [step for step in waiting if done.issuperset(step.depends_on)]
        try:
            for step in startable:
                replay.start(step)
            waiting = [step for step in waiting if step not in startable]
            running += startable
            harmless = [step for step in running if not (step.is_move and step.source in place)]
            if not harmless:
                yield from _worse(_said(running), before, policy.violations(replay.cluster, in_transit=True))
            ended = harmless or running[:1]
            for step in ended:
                replay.end(step)
            done |= {step.id for step in ended}
            running = [step for step in running if step.id not in done]
        except Refused as why:
            yield Objection("plan", str(why))
            return


def _worse(
    where: str, before: Iterable[Violation], now: Iterable[Violation], at_rest: bool = False
) -> Iterator[Objection]:
    for violation in worsened(before, now):
        if at_rest or not violation.at_rest_only:
            yield Objection(where, f"breaks a promise on the way: {violation}")
