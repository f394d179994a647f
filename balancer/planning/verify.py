"""Prove a plan by replaying it through the checkers, with code that no solver ever sees.

Replayed are the ranked list one step at a time, the waves side by side, and the harshest executions that `depends_on`
allows: everything that may start has started, and what leaves one place (a host, or all hosts of a label) ends as late
as it can. In each state hard promises are compared with today's: easing an old fault is welcome, adding is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from balancer.constraints import Together
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.plan import Action, Plan, Step
from balancer.domain.units import MIB_PER_GIB
from balancer.domain.violation import TOLERANCE, Violation, hard_excess
from balancer.planning.replay import Refused, Replay
from balancer.planning.watch import Outlook, Watch
from balancer.policy.model import Policy


@dataclass(frozen=True)
class Objection:
    """What is wrong with a plan, at which step."""

    step: str  # id of the step, or "plan"
    what: str

    def __str__(self) -> str:
        return f"{self.step}: {self.what}"


def verify(plan: Plan, cluster: Cluster, policy: Policy, memory: Memory = NOTHING_REMEMBERED) -> tuple[Objection, ...]:
    """Return everything that speaks against carrying out a plan on a cluster; empty when it is safe.

    `memory` knows what was spent within the hour.
    """
    if plan.cluster and plan.cluster != cluster.cluster:
        return (Objection("plan", f"is for the cluster {plan.cluster}, this is {cluster.cluster}"),)
    policy = policy.at(cluster.taken_at)
    structure = tuple(_structure(plan, policy))
    if structure:
        return structure
    paper = _Paper(cluster, policy, Outlook(cluster, policy))
    found = [
        *_budget(plan, cluster, policy, memory),
        *_by_rank(plan, paper),
        *_by_wave(plan, paper),
    ]
    if not found:
        found = [objection for place in _places(cluster) for objection in _harshest(plan, paper, place)]
    return tuple(dict.fromkeys(found))


def _structure(plan: Plan, policy: Policy) -> Iterator[Objection]:
    if plan.refused and not all(step.is_waking for step in plan.steps):
        yield Objection("plan", f"does more than to wake hosts although it was refused: {plan.refused}")
    for step_id, times in Counter(step.id for step in plan.steps).items():
        if times > 1:
            yield Objection(step_id, "stands twice in the plan")
    known = {step.id: step for step in plan.steps}
    listed: set[str] = set()
    for step in plan.steps:
        for need in step.depends_on:
            if need not in known:
                yield Objection(step.id, f"depends on {need}, which is not in the plan")
            elif need not in listed:
                yield Objection(step.id, f"depends on {need}, which does not stand before it")
            elif known[need].wave >= step.wave:
                yield Objection(step.id, f"is in wave {step.wave}, not after {need} on which it depends")
        listed.add(step.id)
    yield from _crowded_waves(plan, policy)
    yield from _frozen(plan, policy)
    if plan.summary.moves != len(plan.moves):
        yield Objection("plan", f"says {plan.summary.moves} moves and has {len(plan.moves)}")


def _frozen(plan: Plan, policy: Policy) -> Iterator[Objection]:
    for step in plan.steps:
        is_frozen = policy.moves_are_frozen if step.is_move else policy.power_is_frozen
        if is_frozen and step.action in {Action.MOVE, Action.POWER_OFF}:
            yield Objection(step.id, f"the policy freezes it for the time being (freeze: {policy.freeze})")


def _crowded_waves(plan: Plan, policy: Policy) -> Iterator[Objection]:
    slots = policy.budget.concurrent_per_host
    crowd = Counter((host, step.wave) for step in plan.moves for host in step.hosts)
    for (host, wave), moves in sorted(crowd.items()):
        if moves > slots:
            yield Objection("plan", f"{moves} moves touch {host} in wave {wave}, the budget allows {slots} at a time")


def _budget(plan: Plan, cluster: Cluster, policy: Policy, memory: Memory) -> Iterator[Objection]:
    """Count anew what the plan spends, on the whole, on each host and between any two sites."""
    budget = policy.budget
    guests = {step.vm for step in plan.moves if step.vm and cluster.has_vm(step.vm)}
    gib = sum(cluster.vm(name).memory_mib for name in guests) / MIB_PER_GIB
    in_need = hard_excess(policy.violations(cluster)) > TOLERANCE
    more_moves, more_gib = (budget.emergency.moves, budget.emergency.gib) if in_need else (0, 0.0)
    spent: list[tuple[float, float | None, str]] = [
        (len(guests), _plus(budget.moves, more_moves), f"moves {len(guests)} guests, the budget allows"),
        (gib, _plus(budget.gib, more_gib), f"moves {gib:.1f} GiB, the budget allows"),
        (
            len(guests) + memory.moves_spent if guests else 0,
            _plus(budget.per_hour.moves, more_moves),
            f"moves {len(guests)} guests after {memory.moves_spent} within the hour, the budget allows",
        ),
        (
            gib + memory.gib_spent if guests else 0.0,
            _plus(budget.per_hour.gib, more_gib),
            f"moves {gib:.1f} GiB after {memory.gib_spent:.1f} within the hour, the budget allows",
        ),
        *_burdens(plan, cluster, policy),
    ]
    for amount, allowed, words in spent:
        if allowed is not None and amount > allowed * (1 + 1e-9):
            yield Objection("plan", f"{words} {allowed:g}")


def _plus(allowed: float | None, more: float) -> float | None:
    return None if allowed is None else allowed + more


def _burdens(plan: Plan, cluster: Cluster, policy: Policy) -> Iterator[tuple[float, float | None, str]]:
    """Return what is spent on each host and between any two sites, and what is allowed."""
    known = [s for s in plan.moves if s.vm and cluster.has_vm(s.vm) and all(cluster.has_host(h) for h in s.hosts)]
    for host, count in sorted(Counter(host for step in known for host in step.hosts).items()):
        yield count, policy.budget.per_host.moves, f"{count} moves come to or leave {host}, the budget allows"
    sites = {step.id: {cluster.host(host).labels.get("site") for host in step.hosts} - {None} for step in known}
    for line in {frozenset(ends) for ends in sites.values() if len(ends) == 2}:
        crossing = [step for step in known if sites[step.id] == line]
        gib = sum(cluster.vm(step.move.vm).memory_mib for step in crossing) / MIB_PER_GIB
        between, limits = " and ".join(sorted(map(str, line))), policy.budget.between_sites
        yield len(crossing), limits.moves, f"moves {len(crossing)} guests between {between}, the budget allows"
        yield gib, limits.gib, f"moves {gib:.1f} GiB between {between}, the budget allows"


@dataclass(frozen=True)
class _Paper:
    """What a plan is carried out on: a cluster under a policy, with all that is broken from the start."""

    cluster: Cluster
    policy: Policy
    outlook: Outlook

    def execution(self) -> _Execution:
        return _Execution(Replay(self.cluster, self.policy), Watch(self.outlook))


@dataclass(frozen=True)
class _Execution:
    """One way to carry out a plan, and what watches it."""

    replay: Replay
    watch: Watch

    def worse(self, where: str, at_rest: bool = False) -> Iterator[Objection]:
        """Yield the promises that are broken further than from the start; at rest those as well that rest asks for."""
        for violation in self._worsened(in_transit=not at_rest):
            if at_rest or not violation.at_rest_only:
                yield Objection(where, f"breaks a promise on the way: {violation}")

    def worse_in_the_end(self) -> Iterator[Objection]:
        for violation in self._worsened():
            yield Objection("plan", f"ends with a promise broken: {violation}")

    def parted(self) -> list[Violation]:
        """Return the groups that the plan has parted and not yet brought together again."""
        self._look()
        return self.watch.parted(Together)

    def _worsened(self, in_transit: bool = False) -> list[Violation]:
        self._look()
        return self.watch.worsened(self.replay.cluster, in_transit)

    def _look(self) -> None:
        self.watch.look(self.replay.cluster, self.replay.touched_guests, self.replay.touched_hosts)
        self.replay.forget_touched()


def _by_rank(plan: Plan, paper: _Paper) -> Iterator[Objection]:
    """One step after the other; members of a `together` group follow each other at once."""
    now = paper.execution()
    parted: list[Violation] = []
    for step in plan.steps:
        if step.is_move and parted and not any(step.vm in violation.involves for violation in parted):
            yield Objection(step.id, f"comes between the moves of a group: {parted[0]}")
        try:
            now.replay.start(step)
            yield from now.worse(step.id)
            now.replay.end(step)
        except Refused as why:
            yield Objection(step.id, str(why))
            return
        parted = now.parted()
        if step.action is Action.POWER_OFF:
            # What has lost its power helps nobody: what holds at rest has to hold without it.
            yield from now.worse(step.id, at_rest=True)
    yield from now.worse_in_the_end()


def _by_wave(plan: Plan, paper: _Paper) -> Iterator[Objection]:
    """All steps of a wave in flight at the same time."""
    now = paper.execution()
    for wave in sorted({step.wave for step in plan.steps}):
        steps = [step for step in plan.steps if step.wave == wave]
        try:
            for step in steps:
                now.replay.start(step)
            yield from now.worse(f"wave {wave}")
            for step in steps:
                now.replay.end(step)
        except Refused as why:
            yield Objection(f"wave {wave}", str(why))
            return


def _places(cluster: Cluster) -> list[frozenset[str]]:
    """Return the places that can be too full: nowhere in particular, each host, all hosts that share a label."""
    labels = sorted({(key, value) for host in cluster.hosts for key, value in host.labels.items()})
    sharing = [frozenset(h.name for h in cluster.hosts if h.labels.get(key) == value) for key, value in labels]
    single = [frozenset({host.name}) for host in cluster.hosts]
    every = frozenset(host.name for host in cluster.hosts)
    return list(dict.fromkeys([every, *single, *sharing]))


def _harshest(plan: Plan, paper: _Paper, place: frozenset[str]) -> Iterator[Objection]:
    """Start all that may start, end what leaves the place as late as possible, look at each fullest state."""
    if not any(step.source in place or step.target in place for step in plan.moves):
        return
    now, agenda = paper.execution(), _Agenda(plan.steps)
    running: list[Step] = []
    while not agenda.is_empty or running:
        startable = agenda.take()
        try:
            for step in startable:
                now.replay.start(step)
            running += startable
            harmless = [step for step in running if not (step.is_move and step.source in place)]
            if not harmless:
                yield from now.worse(_said(running))
            ended = harmless or running[:1]
            for step in ended:
                now.replay.end(step)
        except Refused as why:
            yield Objection("plan", str(why))
            return
        agenda.tick_off(ended)
        over = {step.id for step in ended}
        running = [step for step in running if step.id not in over]


class _Agenda:
    """The steps that have not begun, in the plan's order, and which of them wait for none any more."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = tuple(steps)
        self._open = {step.id: len(set(step.depends_on)) for step in self._steps}
        self._waiting_for: dict[str, list[str]] = defaultdict(list)
        for step in self._steps:
            for need in set(step.depends_on):
                self._waiting_for[need].append(step.id)
        self._place = {step.id: place for place, step in enumerate(self._steps)}
        self._ready = [step.id for step in self._steps if not self._open[step.id]]
        self._left = len(self._steps)

    @property
    def is_empty(self) -> bool:
        return self._left == 0

    def take(self) -> list[Step]:
        """Return the steps that may begin now, in the plan's order; they are on the agenda no longer."""
        ready = sorted(self._place[step] for step in self._ready)
        self._ready, self._left = [], self._left - len(ready)
        return [self._steps[place] for place in ready]

    def tick_off(self, ended: Iterable[Step]) -> None:
        for step in ended:
            for other in self._waiting_for[step.id]:
                self._open[other] -= 1
                if not self._open[other]:
                    self._ready.append(other)


def _said(running: Iterable[Step]) -> str:
    return "while " + ", ".join(step.id for step in running) if running else "plan"
