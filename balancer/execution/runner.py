"""Carries a plan out beside the loop, one round at a time: see what ended, look at the world afresh, start what may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from balancer.clock import Clock
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action, Plan, Step
from balancer.execution.acting_site import ActingSite
from balancer.execution.limits import Limits
from balancer.execution.looking import look
from balancer.execution.remembering import remember
from balancer.execution.report import Ending, Outcome, Progress, Result, RunReport, StepProgress
from balancer.execution.starting import Gate, Refused, Waits, start
from balancer.execution.work import Work
from balancer.store.lease import LeaseLost


@dataclass(frozen=True)
class Held:
    """What a running plan holds; no other plan touches it, and `settle_the_past` leaves it to its runner."""

    entries: frozenset[int] = frozenset()
    vms: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def by(cls, runners: Iterable[Runner]) -> Held:
        """Return what these runners hold together."""
        each = [runner.held() for runner in runners]
        return cls(
            frozenset[int]().union(*(held.entries for held in each)),
            frozenset[str]().union(*(held.vms for held in each)),
            frozenset[str]().union(*(held.hosts for held in each)),
        )


class Runner:
    """One plan on its way. `advance` is called from one thread; progress, report and stop from any."""

    def __init__(
        self,
        site: ActingSite,
        plan: Plan,
        gate: Gate,
        limits: Limits | Callable[[datetime], Limits] | None = None,
        watch: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._site = site
        self._plan = plan
        self._gate = gate
        # Limits may change while the plan is on its way: a window opens, the policy is read anew.
        self._limits_at = limits if callable(limits) else lambda _: limits or Limits()
        self._watch = watch
        self._known = frozenset(step.id for step in plan.steps)
        self._started = site.now
        self._running: dict[str, tuple[Step, Work, datetime]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._stop = ""
        self._progress = Progress(steps=len(plan.steps))

    # -- for everybody

    @property
    def needs_replan(self) -> bool:
        """Whether something went otherwise than planned."""
        return any(o.result not in {Result.DONE, Result.SKIPPED} for o in self._listed())

    def stop(self, why: str = "a stop was asked for") -> None:
        """Start nothing new; what runs may end."""
        self._stop = self._stop or why

    def progress(self) -> Progress:
        """Say how far the plan had come after the last round."""
        return self._progress

    def report(self) -> RunReport:
        """Say what became of each step so far."""
        now, plan = self._site.now, self._plan
        return RunReport(plan.id, len(plan.steps), self._listed(), self._started, now, self.needs_replan)

    def held(self) -> Held:
        """Say which guests and hosts the plan still needs for itself."""
        running = list(self._running.values())
        open_steps = [step for step in self._plan.steps if step.id not in self._outcomes]
        return Held(
            entries=frozenset(work.entry.id for _, work, _ in running),
            vms=frozenset(step.vm for step in open_steps if step.vm),
            hosts=frozenset(host for step in open_steps for host in step.hosts),
        )

    def still_to_move(self) -> tuple[Step, ...]:
        """Return the moves that have not ended: what the plan will yet spend."""
        return tuple(step for step in self._plan.moves if step.id not in self._outcomes)

    def _listed(self) -> tuple[Outcome, ...]:
        outcomes = dict(self._outcomes)
        return tuple(outcomes[step.id] for step in self._plan.steps if step.id in outcomes)

    # -- the story

    def run_to_end(self, clock: Clock | None = None) -> RunReport:
        """Carry the plan out to its end."""
        clock = clock or self._site.clock
        while self.advance():
            clock.sleep(self._limits_at(clock.now()).poll_seconds)
        return self.report()

    def advance(self) -> bool:
        """Do one round; return whether work remains."""
        self._see_what_ended()
        self._skip_what_cannot_come()
        ready = self._ready()
        if ready:
            self._start_what_may(ready)
            self._skip_what_cannot_come()
        self._note_progress()
        if self._running or self._pending():
            return True
        self._open_what_was_closed_in_vain()
        return False

    # -- ending

    def _see_what_ended(self) -> None:
        for step, work, started in list(self._running.values()):
            ending = work.poll()
            if ending is not None:
                # The journal last: while it is open the step is looked at again, and rather counted twice than never.
                self._remember(step, work, ending)
                self._site.store.journal.settle(
                    work.entry.id, ending.result.in_the_journal, ending.detail, self._site.now
                )
                del self._running[step.id]
                self._end(step, ending, started)

    def _remember(self, step: Step, work: Work, ending: Ending) -> None:
        """Remember what was touched, for cool-downs and budgets; an end that nobody saw, once it is seen."""
        if ending.result not in {Result.REFUSED, Result.UNKNOWN}:
            remember(self._site, work.entry, succeeded=ending.result is Result.DONE)

    def _end(self, step: Step, ending: Ending, started: datetime | None = None) -> None:
        outcome = Outcome(step, ending.result, ending.detail, self._site.now, started, ending.alarm)
        self._outcomes[step.id] = outcome
        self._watch(outcome)

    def _skip_what_cannot_come(self) -> None:
        while hopeless := [(step, why) for step in self._pending() if (why := self._why_hopeless(step))]:
            for step, why in hopeless:
                self._end(step, Ending(Result.SKIPPED, why))
        pending = self._pending()
        if pending and not self._running and not self._ready():
            for step in pending:
                self._end(step, Ending(Result.SKIPPED, "it waits for steps that wait for it"))

    def _why_hopeless(self, step: Step) -> str:
        if self._stop:
            return self._stop
        if self._plan.refused and not step.is_waking:
            return self._plan.refused
        for need in step.depends_on:
            if need not in self._known:
                return f"it depends on {need}, which is not in the plan"
            if need in self._outcomes and self._outcomes[need].result is not Result.DONE:
                return f"it depends on {need}, which was {self._outcomes[need].result}"
        return ""

    def _open_what_was_closed_in_vain(self) -> None:
        """Lift this plan's cordons from hosts that were never asked to shut down, unless they are to be emptied yet."""
        intended = {intention.host for intention in self._site.store.memory.intentions()}
        closed = {o.step.host for o in self._listed() if o.step.action is Action.CORDON and o.result is Result.DONE}
        for outcome in self._listed():
            host = outcome.step.host
            in_vain = outcome.result in {Result.REFUSED, Result.SKIPPED}
            if outcome.step.action is Action.POWER_OFF and in_vain and host in closed - intended:
                self._site.store.marks.uncordon(host or "")

    # -- starting

    def _pending(self) -> list[Step]:
        return [s for s in self._plan.steps if s.id not in self._outcomes and s.id not in self._running]

    def _ready(self) -> list[Step]:
        done = {step_id for step_id, outcome in self._outcomes.items() if outcome.result is Result.DONE}
        return sorted((step for step in self._pending() if done.issuperset(step.depends_on)), key=lambda s: s.rank)

    def _start_what_may(self, ready: Sequence[Step]) -> None:
        cluster, limits = look(self._site), self._limits_at(self._site.now)
        if limits.stopped:
            self.stop(limits.stopped)
            return
        for step in ready:
            try:
                cluster = self._start(step, cluster, limits)
            except LeaseLost as lost:
                self.stop(str(lost))
                return

    def _start(self, step: Step, cluster: Cluster, limits: Limits) -> Cluster:
        """Start one step if it may start now, and return the cluster with it under way."""
        try:
            self._refuse_what_is_too_old(step)
            begun = start(self._site, self._plan.id, step, cluster, self._gate, limits)
        except Waits as why:
            self._wait(step, str(why))
            return cluster
        except Refused as why:
            self._end(step, Ending(Result.REFUSED, str(why)))
            return cluster
        self._running[step.id] = (step, begun.work, self._site.now)
        return begun.cluster

    def _refuse_what_is_too_old(self, step: Step) -> None:
        begun = self._running or any(o.started for o in self._outcomes.values())
        if not begun and self._site.now > self._plan.valid_until:
            raise Refused(f"the plan was valid until {self._plan.valid_until:%Y-%m-%d %H:%M:%S}")

    def _wait(self, step: Step, why: str) -> None:
        """Let a step wait for its turn; not for ever, when nothing of this plan runs that it could wait for."""
        if not self._running and self._site.now > self._plan.valid_until:
            self._end(step, Ending(Result.REFUSED, why))

    def _note_progress(self) -> None:
        running = tuple(StepProgress(step, at, work.share_done) for step, work, at in self._running.values())
        self._progress = Progress(running, len(self._outcomes), len(self._plan.steps))
