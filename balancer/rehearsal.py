"""Rehearsal: a policy lives through recorded load, by the very cycle and execution that run live, on virtual time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np

from balancer.clock import HandSetClock
from balancer.cycle import Cycle
from balancer.domain.plan import Plan, PolicyMark
from balancer.domain.rehearsed import Rehearsed, RehearsedStep
from balancer.domain.site_file import Bmc, PlatformChoice, SiteFile, SiteHost
from balancer.domain.units import gib
from balancer.execution import Outcome, Result, RunReport
from balancer.formats import digest_of
from balancer.halfway import (
    STORE,
    Halfway,
    begin_in,
    diary_in,
    is_quiet,
    keep,
    site_halfway,
    take_up_site,
    take_up_world,
    world_halfway,
)
from balancer.policy import Policy
from balancer.policy.changes import settings_of
from balancer.simulation.bound import Bound, Bounded
from balancer.simulation.laying import Laid
from balancer.simulation.meter import NO_WATTS, Doubles, Reading, watts_with_every_host_on
from balancer.simulation.recorded import RecordedWorld
from balancer.site import Site, site_from
from balancer.virtual_time import Passing

A_DAY = timedelta(days=1)
SECONDS_BETWEEN_KEEPINGS = 60.0  # of the person who waits
Tell = Callable[[int, int], None]
"""Is told after each step how many are over, of how many."""


class Stopped(Exception):
    """A rehearsal was told to stop; it goes on from what it has kept."""

    def __init__(self, done: int, of: int, kept: int) -> None:
        super().__init__(f"stopped after {done} of {of} steps")
        self.done, self.of, self.kept = done, of, kept


@dataclass
class _Since:
    """What has happened since the last step was entered."""

    cycle: Cycle | None = None
    moves: list[Outcome] = field(default_factory=list)
    moves_failed: int = 0


class Rehearsal:
    """One policy, one record, one seed."""

    def __init__(
        self, laid: Laid, policy: Policy, state: Path, seed: int = 1, must_stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Prepare it in a folder of its own: where one was stopped there, it goes on."""
        self.laid, self.policy, self.seed = laid, policy, seed
        self._state, self._must_stop = state, must_stop
        self._halfway = begin_in(state)
        self.kept_steps = len(self._halfway.steps) if self._halfway else 0
        self._kept_at = time.monotonic()
        self._clock = HandSetClock(laid.begin + timedelta(seconds=self.kept_steps * laid.step_seconds))
        self._world = RecordedWorld(self._clock, laid, seed, laid.name)
        self._bound = bound_by_step(laid)
        self.steps: list[RehearsedStep] = []
        self._moves = Counter[str]()
        self._alarms: list[str] = []
        self._since = _Since()

    def run(self, tell: Tell = lambda _done, _of: None) -> Rehearsed:
        """Live through the record, from where it was stopped; Stopped where it is told to.

        The first step is over before the first look: nothing was seen before it.
        """
        if self._halfway is None:
            self._world.begin()
        else:
            take_up_world(self._world, self._halfway)
        with self._site() as site:
            passing = Passing(
                site, self._paced(), self._seconds_a_cycle, self._note_cycle, self._note_run, self._note_end
            )
            if self._halfway is not None:
                self._take_up(self._halfway, site, passing)
            for step in range(self.kept_steps, self.laid.steps):
                self._live_a_step(step, site, passing)
                tell(step + 1, self.laid.steps)
                self._keep_or_stop(site, passing)
            return self._rehearsed(site)

    def _keep_or_stop(self, site: Site, passing: Passing) -> None:
        must_stop, is_over = self._must_stop(), len(self.steps) == self.laid.steps
        is_time = time.monotonic() - self._kept_at >= SECONDS_BETWEEN_KEEPINGS
        if (must_stop or is_time) and is_quiet(site, self._world):
            self._keep(site, passing)
        if must_stop and not is_over:
            raise Stopped(len(self.steps), self.laid.steps, self.kept_steps)

    def _keep(self, site: Site, passing: Passing) -> None:
        facts = {
            **world_halfway(self._world),
            **site_halfway(site),
            "pace": passing.pace,
            "steps": tuple(self.steps),
            "moves": dict(self._moves),
            "alarms": tuple(self._alarms),
        }
        keep(self._state, Halfway.model_validate(facts), site.diary_so_far)
        self.kept_steps, self._kept_at = len(self.steps), time.monotonic()

    def _take_up(self, halfway: Halfway, site: Site, passing: Passing) -> None:
        take_up_site(site, halfway, diary_in(self._state, halfway))
        passing.go_on_at(halfway.pace)
        self.steps, self._alarms = list(halfway.steps), list(halfway.alarms)
        self._moves = Counter(halfway.moves)

    @property
    def _seconds_a_cycle(self) -> float:
        """Between two readings there is nothing new to see."""
        return max(self.policy.interval_seconds, self.laid.step_seconds)

    def _paced(self) -> Policy:
        """Return the policy with the interval that it really looks at: what is remembered of looks goes stale by it."""
        if self._seconds_a_cycle == self.policy.interval_seconds:
            return self.policy
        return self.policy.model_copy(update={"interval_seconds": self._seconds_a_cycle})

    def _live_a_step(self, step: int, site: Site, passing: Passing) -> None:
        end = self.laid.begin + timedelta(seconds=(step + 1) * self.laid.step_seconds)
        if step:
            self._world.come_and_go(step)
        if step == 0 and self.laid.is_strict:
            self._clock.sleep(self.laid.step_seconds)
        else:
            passing.live_until(end)
        self._world.settle()
        self._enter(step, self._world.meter.take())

    @contextmanager
    def _site(self) -> Iterator[Site]:
        """Open the site that the balancer sees, its hosts proven to wake the day before."""
        file = SiteFile(
            cluster=self.laid.name,
            platform=PlatformChoice(kind="simulated"),
            hosts=tuple(
                SiteHost(name=host.name, bmc=Bmc(kind="simulated"), may_sleep=host.may_sleep, labels=dict(host.labels))
                for host in self.laid.hosts
            ),
            store=f"sqlite:///{self._state / STORE}",
            wake_settle_seconds=0.0,
        )
        site = site_from(file, self._state, self._state, self._clock, self._world)
        try:
            if self._halfway is None:
                self._remember_the_day_before(site)
            yield site
        finally:
            site.close()

    def _remember_the_day_before(self, site: Site) -> None:
        marks = site.acting.store.marks
        for name, host in self._world.hosts.items():
            marks.prove_wake(name, self.laid.begin - A_DAY)
            if not host.has_power:
                marks.fell_asleep(name, self.laid.begin - A_DAY)

    # -- noting

    def _note_cycle(self, cycle: Cycle) -> None:
        before = self._since.cycle
        if before is None or not before.plan.steps:  # a cycle after a surprise: the first that did something is told
            self._since.cycle = cycle

    def _note_end(self, outcome: Outcome) -> None:
        if outcome.step.is_move and outcome.result is Result.DONE:
            self._since.moves.append(outcome)
        self._since.moves_failed += outcome.step.is_move and outcome.result is Result.FAILED

    def _note_run(self, report: RunReport) -> None:
        self._alarms += report.alarms

    def _enter(self, step: int, read: Reading) -> None:
        since, self._since = self._since, _Since()
        begin = self.laid.begin + timedelta(seconds=step * self.laid.step_seconds)
        tariff = self.policy.at(begin).energy
        moved = [outcome.step for outcome in since.moves]
        self._moves.update(each.vm or "" for each in moved)
        seconds = max(read.seconds, 1e-9)
        cycle = since.cycle
        self.steps.append(
            RehearsedStep(
                at=begin,
                hosts_on=read.host_seconds_on / seconds,
                hosts_active=read.active,
                watts=read.joules / seconds,
                watts_at_least=float(self._bound[step]),
                needed_cores=read.needed_core_seconds / seconds,
                unmet_cores=max(0.0, read.unmet_core_seconds / seconds),
                hosts_short_of_cpu=read.short_of_cpu,
                hosts_short_of_memory=read.short_of_memory,
                unmet_memory_mib=read.unmet_memory_mib,
                guests=len(self._world.guests),
                guests_waiting=len(self._world.waiting),
                moves=len(moved),
                moves_failed=since.moves_failed,
                gib_moved=gib(sum(each.memory_mib for each in moved)),
                price_per_kwh=tariff.price_per_kwh,
                co2_g_per_kwh=tariff.co2_g_per_kwh,
                broken=() if cycle is None else broken_in(cycle, self.policy),
                sentence="" if cycle is None else cycle.sentence,
                plan=None if cycle is None or not cycle.plan.steps else slim(cycle.plan),
            )
        )

    def _rehearsed(self, site: Site) -> Rehearsed:
        wakes = site.acting.store.accounts.wakes_between(self.laid.begin, self._clock.now())
        casualties = [f"{each.vm} went down with {each.host}: {each.why}" for each in self._world.casualties]
        return Rehearsed(
            record=self.laid.name,
            policy=PolicyMark(name=self.policy.name, digest=digest_of(self.policy)),
            settings=settings_of(self.policy),
            seed=self.seed,
            strict_timing=self.laid.is_strict,
            step_seconds=self.laid.step_seconds,
            hosts=len(self.laid.hosts),
            guests=len(self.laid.guests),
            currency=self.policy.energy.currency,
            steps=tuple(self.steps),
            moves_by_guest=dict(self._moves.most_common()),
            wakes_in_time=wakes.in_time,
            wakes_late=wakes.late,
            wakes_failed=wakes.failed,
            oddities=(*self.laid.oddities, *self._world.oddities),
            alarms=(*self._alarms, *casualties),
            kwh_all_on=kwh_all_on(self.laid),
        )


def bound_by_step(laid: Laid) -> Doubles:
    """Return the least watts by step. Hypervisors' own load is part of it only where hosts are on."""
    hosts = [
        Bounded.of(host.cores, max(0.0, host.memory_mib - host.hypervisor_memory_mib), host.power or NO_WATTS)
        for host in laid.hosts
    ]
    needs = laid.needs.astype(float)
    memory_mib = np.array([guest.memory_mib for guest in laid.guests])
    return Bound(hosts).watts(np.nansum(needs, axis=1), (~np.isnan(needs) * memory_mib).sum(axis=1))


def kwh_all_on(laid: Laid) -> float:
    """Return what the record takes with every host on: the same for each policy, so that what is saved compares."""
    watts = watts_with_every_host_on(laid.hosts, np.nansum(laid.needs.astype(float), axis=1))
    return float(watts.sum()) * laid.step_seconds / 3.6e6


def broken_in(cycle: Cycle, policy: Policy) -> tuple[str, ...]:
    """Return the hard promises that did not hold when a cycle looked."""
    found = policy.at(cycle.seen.taken_at).violations(cycle.seen)
    return tuple(dict.fromkeys(str(each) for each in found if each.hard))


def slim(plan: Plan) -> Plan:
    """Return a plan without what it left alone, which is most of it: a week of them has to fit in memory."""
    return plan.model_copy(update={"kept": (), "wanted": ()})
