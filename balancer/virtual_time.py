"""The service's loop on virtual time: a cycle at each interval, acting beside it, another cycle after a surprise.

Between two looks it is glanced at how busy hosts are, as the service does; a surge begins a look at once. The looks at
each interval keep their pace, whatever comes between them.

The embedded day and every rehearsal live by it. What decides and what acts is what the service runs; only the clock is
set by hand, so that all of it happens in one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from balancer.cycle import Cycle, run_cycle
from balancer.domain.plan import Mode
from balancer.execution import Outcome, Result, RunReport
from balancer.policy import Policy
from balancer.site import Site, limits_of
from balancer.stability.lookout import SECONDS_UNTIL_A_SECOND_GLANCE, Lookout

SECONDS_BETWEEN_EARLY_CYCLES = 60.0  # after surprises; a plan that is refused at once must not spin


@dataclass(frozen=True)
class Pace:
    """When it is looked and glanced next, and what the last look expects."""

    next_cycle: datetime | None = None
    next_glance: datetime | None = None
    last_early: datetime | None = None
    is_surprised: bool = False
    lookout: Lookout = field(default_factory=Lookout)


class Passing:
    """Lets time pass at a site as it passes beside the service."""

    def __init__(
        self,
        site: Site,
        policy: Policy,
        interval_seconds: float,
        tell_cycle: Callable[[Cycle], None] = lambda _: None,
        tell_run: Callable[[RunReport], None] = lambda _: None,
        tell_end: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._site, self._policy = site, policy
        self._interval = timedelta(seconds=interval_seconds)
        self._tell_cycle, self._tell_run, self._tell_end = tell_cycle, tell_run, tell_end
        self._is_surprised = False
        self._last_early: datetime | None = None
        self._next_cycle: datetime | None = None
        self._lookout = Lookout()
        self._next_glance: datetime | None = None

    @property
    def pace(self) -> Pace:
        return Pace(self._next_cycle, self._next_glance, self._last_early, self._is_surprised, self._lookout)

    def go_on_at(self, pace: Pace) -> None:
        """Look and glance as it was meant to when this pace was kept."""
        self._next_cycle, self._next_glance, self._last_early = pace.next_cycle, pace.next_glance, pace.last_early
        self._is_surprised, self._lookout = pace.is_surprised, pace.lookout

    def live_until(self, moment: datetime) -> None:
        """Look, think and act at each interval until a moment; the next call goes on where this one ends."""
        while (now := self._site.clock.now()) < moment:
            if self._next_cycle is None or now >= self._next_cycle:
                self._next_cycle = now + self._interval
                self._cycle()
            self._act_until(min(moment, self._next_cycle))

    def _cycle(self) -> None:
        self._is_surprised = False
        policy = self._policy.at(self._site.clock.now())
        acts = policy.mode is Mode.ACT
        if acts:
            self._site.settle(self._policy)
        cycle = run_cycle(self._site, self._policy)
        self._lookout = self._lookout.after_look(cycle.seen, policy, cycle.safe is not None, self._site.clock.now())
        self._glance_again_in(policy.watch_seconds if acts else 0.0)
        self._tell_cycle(cycle)
        wanted = self._site.what_may_begin(cycle.safe) if acts else None
        if wanted is not None:
            self._site.begin(wanted, self._policy, while_acting=True, watch=self._note_end)

    def _act_until(self, moment: datetime) -> None:
        """Let what was begun go on, and look again early where the world was not as a plan took it to be."""
        clock, poll = self._site.clock, limits_of(self._policy).poll_seconds
        while clock.now() < moment:
            for runner in list(self._site.runners):
                if not runner.advance():
                    report = self._site.finish(runner)
                    self._is_surprised |= report.needs_replan
                    self._tell_run(report)
            self._look_early()
            self._glance()
            left = (min(moment, self._next_glance or moment) - clock.now()).total_seconds()
            clock.sleep(min(poll, left) if self._site.runners or self._is_surprised else left)

    def _note_end(self, outcome: Outcome) -> None:
        """Have another host woken at once where one did not come."""
        self._tell_end(outcome)
        self._is_surprised |= outcome.step.is_waking and outcome.result is Result.FAILED

    def _look_early(self) -> None:
        now = self._site.clock.now()
        early = self._last_early is None or (now - self._last_early).total_seconds() >= SECONDS_BETWEEN_EARLY_CYCLES
        if self._is_surprised and early:
            self._last_early = now
            self._cycle()

    def _glance(self) -> None:
        """Look at nothing but how busy hosts are, and look at everything at once where they surge twice in a row."""
        now = self._site.clock.now()
        if self._next_glance is None or now < self._next_glance:
            return
        if self._site.acting.why_killed:
            self._glance_again_in(self._policy.at(now).watch_seconds)
            return
        self._lookout = self._lookout.after_glance(self._site.acting.platform.glance(), now)
        if self._lookout.surge:
            self._cycle()
        elif self._lookout.suspects:
            self._glance_again_in(SECONDS_UNTIL_A_SECOND_GLANCE)
        else:
            self._glance_again_in(self._policy.at(now).watch_seconds)

    def _glance_again_in(self, seconds: float) -> None:
        self._next_glance = self._site.clock.now() + timedelta(seconds=seconds) if seconds else None
