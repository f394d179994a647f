"""Carries a plan out beside the loop, one round at a time: see what ended, look at the world afresh, start what may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from balancer.clock import Clock
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action, Plan, Step
from balancer.domain.units import in_words
from balancer.execution.acting_site import ActingSite
from balancer.execution.events import Events
from balancer.execution.failing import close
from balancer.execution.limits import Limits
from balancer.execution.looking import look_knowing
from balancer.execution.migration import Migration
from balancer.execution.report import Ending, Outcome, Progress, Result, RunReport, StepProgress
from balancer.execution.starting import AllMovesWait, Begun, Gate, Refused, Waits, start
from balancer.execution.work import Work
from balancer.store.journal import Phase
from balancer.store.lease import LeaseLost
from balancer.store.reservations import known_of

LOOK_AGAIN_SECONDS = 10.0


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
    """One plan on its way. `advance` is called from one thread; progress, report, stop and abort from any.

    A step begins as soon as what it depends on is done and there is a slot, a line and room for it; nothing waits for
    a whole wave of others.
    """

    def __init__(
        self,
        site: ActingSite,
        plan: Plan,
        gate: Gate,
        limits: Limits | Callable[[datetime], Limits] | None = None,
        watch: Callable[[Outcome], None] = lambda _: None,
        events: Events | None = None,
    ) -> None:
        self._site = site
        self._plan = plan
        self._gate = gate
        # Limits may change while the plan is on its way: a window opens, the policy is read anew.
        self._limits_at = limits if callable(limits) else lambda _: limits or Limits()
        self._watch = watch
        self._events = events or Events()
        self._known = frozenset(step.id for step in plan.steps)
        self._started = site.now
        self._running: dict[str, _Running] = {}
        self._pending = {step.id: step for step in sorted(plan.steps, key=lambda step: step.rank)}
        self._outcomes: dict[str, Outcome] = {}
        self._done: set[str] = set()
        self._stop = ""
        self._held = ""  # why nothing but waking may begin
        self._abort = ""
        self._has_let_go = False
        self._in_vain: tuple[datetime | None, object] = (None, None)  # the last look, and what waited after it
        self._progress = Progress(steps=len(plan.steps))

    # -- for everybody

    @property
    def needs_replan(self) -> bool:
        """Whether something went otherwise than planned."""
        return any(o.result not in {Result.DONE, Result.SKIPPED} for o in self._listed())

    def stop(self, why: str = "a stop was asked for") -> None:
        """Start nothing new; what runs may end."""
        self._stop = self._stop or why

    def abort(self, why: str) -> None:
        """Start nothing new, and ask for the end of the migrations that run."""
        self.stop(why)
        self._abort = self._abort or why

    def let_go(self) -> None:
        """Wait for nothing any more: what still runs stays open in the journal, for the next start to settle."""
        self.stop("the balancer ends")
        self._has_let_go = True

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
            entries=frozenset(each.work.entry.id for each in running),
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
        if self._has_let_go:
            return False
        self._obey()
        self._see_what_ended()
        self._skip_what_cannot_come()
        ready = self._ready()
        if ready:
            self._start_what_may(ready)
            self._skip_what_cannot_come()
        self._note_progress()
        if self._running or self._pending:
            return True
        self._open_what_was_closed_in_vain()
        return False

    # -- obeying

    def _obey(self) -> None:
        """Do what operators have asked for since the last round: pause, resume, give up, all hands off."""
        if killed := self._site.why_killed:
            self.stop(killed)
        # A pause ends the plan: what comes after it is planned on what is true then.
        self._held = self._held or "; ".join(map(str, self._site.store.halts.in_force(self._site.now)))
        wanted = self._site.store.halts.to_give_up() if self._running else {}
        for each in self._running.values():
            if not isinstance(each.work, Migration):
                continue
            if each.work.entry.id in wanted:
                asked = wanted[each.work.entry.id]
                each.work.give_up(f"given up on request of {asked.who}: {asked.why}")
            elif self._abort or (killed and each.work.needs_us):
                each.work.give_up(f"given up: {self._abort or killed}")

    # -- ending

    def _see_what_ended(self) -> None:
        for each in list(self._running.values()):
            ending = each.work.poll()
            self._tell_phase(each)
            if ending is not None:
                entry, limits = each.work.entry, self._limits_at(self._site.now)
                close(
                    self._site, entry, _with_times(each, ending, self._site.now), ending.result.in_the_journal, limits
                )
                del self._running[each.step.id]
                self._end(each.step, ending, each.started, entry.phase)

    def _end(self, step: Step, ending: Ending, started: datetime | None = None, phase: Phase | None = None) -> None:
        phase = Phase.COMPLETE if phase and ending.result is Result.DONE else phase
        outcome = Outcome(step, ending.result, ending.detail, self._site.now, started, ending.alarm, phase)
        self._outcomes[step.id] = outcome
        self._pending.pop(step.id, None)
        if ending.result is Result.DONE:
            self._done.add(step.id)
        self._tell(step, ending.result, ending.detail)
        self._watch(outcome)

    def _skip_what_cannot_come(self) -> None:
        while hopeless := [(step, why) for step in self._pending.values() if (why := self._why_hopeless(step))]:
            for step, why in hopeless:
                self._end(step, Ending(Result.SKIPPED, why))
        if self._pending and not self._running and not self._ready():
            for step in list(self._pending.values()):
                self._end(step, Ending(Result.SKIPPED, "it waits for steps that wait for it"))

    def _why_hopeless(self, step: Step) -> str:
        if self._stop and not self._is_owed(step):
            return self._stop
        if not step.is_waking and (self._held or self._plan.refused):
            return self._held or self._plan.refused
        for need in step.depends_on:
            if need not in self._known:
                return f"it depends on {need}, which is not in the plan"
            if need in self._outcomes and self._outcomes[need].result is not Result.DONE:
                return f"it depends on {need}, which was {self._outcomes[need].result}"
        return ""

    def _is_owed(self, step: Step) -> bool:
        """Whether a step brings back a host that a power test has switched off: a stop does not leave it so."""
        if not (step.test and step.is_waking) or self._has_let_go or self._site.why_killed or not self._site.may_act:
            return False
        offs = [each.id for each in self._plan.steps if each.action is Action.POWER_OFF and each.host == step.host]
        return any(off in self._running or off in self._done for off in offs)

    def _open_what_was_closed_in_vain(self) -> None:
        """Lift this plan's cordons from hosts that were never asked to shut down, unless they are to be emptied yet."""
        if not self._site.may_act:
            return  # whoever leads now may have closed the host for a plan of its own, and tidies up
        intended = {intention.host for intention in self._site.store.memory.intentions()}
        closed = {o.step.host for o in self._listed() if o.step.action is Action.CORDON and o.result is Result.DONE}
        for outcome in self._listed():
            host = outcome.step.host
            in_vain = outcome.result in {Result.REFUSED, Result.SKIPPED}
            if outcome.step.action is Action.POWER_OFF and in_vain and host in closed - intended:
                self._site.store.marks.uncordon(host or "")

    # -- starting

    def _ready(self) -> list[Step]:
        return [step for step in self._pending.values() if self._done.issuperset(step.depends_on)]

    def _start_what_may(self, ready: Sequence[Step]) -> None:
        limits = self._limits_at(self._site.now)
        if limits.stopped:
            self.stop(limits.stopped)
            ready = [step for step in ready if self._is_owed(step)]
        if ready and self._was_in_vain(ready):
            return
        if all(step.is_move for step in ready) and (not ready or self._moves_in_flight() >= limits.concurrent):
            return  # a look would change nothing: no move may begin before one has ended
        known = self._site.store.glance(self._site.now)
        cluster, reserved = look_knowing(self._site, known), known_of(known.reserved)
        try:
            self._start_in_turn(ready, cluster, limits, reserved)
        except LeaseLost as lost:
            self.stop(str(lost))
        self._in_vain = (self._site.now, self._agenda(self._ready()))

    def _was_in_vain(self, ready: Sequence[Step]) -> bool:
        """Whether all that is ready has waited since a look a moment ago, and nothing of this plan has ended meanwhile.

        What others do may let it begin, so it is looked at again after a while.
        """
        looked, agenda = self._in_vain
        lately = looked is not None and (self._site.now - looked).total_seconds() < LOOK_AGAIN_SECONDS
        return lately and bool(self._running) and agenda == self._agenda(ready)

    def _agenda(self, ready: Sequence[Step]) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(step.id for step in ready), frozenset(self._running)

    def _moves_in_flight(self) -> int:
        return sum(each.step.is_move for each in self._running.values())

    def _start_in_turn(self, ready: Sequence[Step], cluster: Cluster, limits: Limits, reserved: frozenset[int]) -> None:
        moves_wait = False
        for step in ready:
            if moves_wait and step.is_move:
                continue
            try:
                begun = self._start(step, cluster, limits, reserved)
            except AllMovesWait as why:
                moves_wait = True
                self._wait(step, str(why))
                continue
            if begun is not None:
                cluster, reserved = begun.cluster, reserved | {begun.work.entry.id}

    def _start(self, step: Step, cluster: Cluster, limits: Limits, reserved: frozenset[int]) -> Begun | None:
        """Start one step if it may start now."""
        try:
            self._refuse_what_is_too_old(step)
            begun = start(self._site, self._plan.id, step, cluster, self._gate, limits, reserved)
        except AllMovesWait:
            raise
        except Waits as why:
            self._wait(step, str(why))
            return None
        except Refused as why:
            self._end(step, Ending(Result.REFUSED, str(why), why.alarm))
            return None
        del self._pending[step.id]
        if step.is_move:
            self._tell(step, Phase.PREPARE)
        self._running[step.id] = running = _Running(step, begun.work, self._site.now)
        self._tell_phase(running)
        return begun

    def _refuse_what_is_too_old(self, step: Step) -> None:
        begun = self._running or any(o.started for o in self._outcomes.values())
        if not begun and self._site.now > self._plan.valid_until:
            raise Refused(f"the plan was valid until {self._plan.valid_until:%Y-%m-%d %H:%M:%S}")

    def _wait(self, step: Step, why: str) -> None:
        """Let a step wait for its turn; not for ever, when nothing of this plan runs that it could wait for."""
        if not self._running and self._site.now > self._plan.valid_until:
            self._end(step, Ending(Result.REFUSED, why))

    # -- telling

    def _note_progress(self) -> None:
        running = tuple(StepProgress(each.step, each.started, each.work.course) for each in self._running.values())
        self._progress = Progress(running, len(self._outcomes), len(self._plan.steps))

    def _tell_phase(self, running: _Running) -> None:
        phase = running.work.course.phase
        if phase is not None and phase is not running.told:
            running.told = phase
            self._tell(running.step, phase)

    def _tell(self, step: Step, what: Phase | Result, detail: str = "") -> None:
        self._events.add(self._site.now, self._plan.id, step.id, str(step), what, detail)


@dataclass
class _Running:
    """A step in flight, since when, and the phase that was told of it last."""

    step: Step
    work: Work
    started: datetime
    told: Phase | None = None


def _with_times(running: _Running, ending: Ending, now: datetime) -> Ending:
    """Say of a move that has arrived how long it took beside what was predicted."""
    if not running.step.is_move or ending.result is not Result.DONE:
        return ending
    took, predicted = in_words((now - running.started).total_seconds()), in_words(running.step.seconds)
    return replace(ending, detail="; ".join(filter(None, (ending.detail, f"took {took}, {predicted} predicted"))))
