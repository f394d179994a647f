"""A simulated cluster that a balancer lives beside for hours, on virtual time; it may be restarted at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from balancer.clock import HandSetClock
from balancer.cycle import Cycle, run_cycle
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action
from balancer.domain.site_file import SiteFile
from balancer.domain.violation import hard_excess
from balancer.domain.vm import VmState
from balancer.errors import PlatformError
from balancer.execution import Outcome, Result
from balancer.formats import read_text
from balancer.platforms.base import MigrationOrder
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy import Policy
from balancer.simulation.machines import GuestSpec, HostSpec, LoadCurve, Phase, constantly
from balancer.simulation.world import World
from balancer.site import Site, site_from
from balancer.store.journal import EntryState

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POLL_SECONDS = 2.0
SHORT_SIGHTED = "demand: {window_minutes: 1, quantile: 0.95}\n"  # so that nothing but the guards under test calms it


def rules(text: str) -> Policy:
    return read_text(f"schema: balancer.policy/1\nmode: act\n{text}", Policy, "policy")


def swinging(high: float, low: float, half_period_minutes: float, begins_high: bool) -> LoadCurve:
    """Return a load that is high for a while, then low for as long, and so on."""

    def load(at: datetime) -> float:
        halves = (at - NOON) // timedelta(minutes=half_period_minutes)
        return high if (halves % 2 == 0) == begins_high else low

    return load


class CountingPlatform(SimulatedPlatform):
    """Counts what it is asked to begin; may say that it failed although it runs, and not show that it does."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.asked: Counter[str] = Counter()
        self.lies = self.hides = False

    def observe(self) -> Cluster:
        seen = super().observe()
        if not self.hides:
            return seen
        at_rest = {"moving_to": None, "migration_phase": None, "state": VmState.RUNNING}
        vms = tuple(vm.model_copy(update=at_rest if vm.is_in_flight else {}) for vm in seen.vms)
        return seen.model_copy(update={"vms": vms})

    def begin_migration(self, order: MigrationOrder) -> None:
        self.asked[order.move.vm] += 1
        super().begin_migration(order)
        if self.lies:
            raise PlatformError(order.move.source, f"migrate {order.move.vm}", "timed out during operation")


class Town:
    """A world, a site and a policy."""

    def __init__(
        self,
        folder: Path,
        homes: Mapping[str, Sequence[str]],
        policy: Policy,
        loads: Mapping[str, LoadCurve],
        begins: datetime = NOON,
        **host: Any,
    ) -> None:
        self.folder, self.policy, self.begins = folder, policy, begins
        self.clock = HandSetClock(begins)
        self.world = World(self.clock, [HostSpec(name, 16, 65536, **host) for name in homes], cluster="town")
        for name, guests in homes.items():
            for vm in guests:
                load = loads.get(vm, constantly(0.5))
                self.world.add_guest(GuestSpec(vm, 4, 4096, load, labels={"app": vm.partition("-")[0]}), name)
        self.platform = CountingPlatform(self.world)
        self.site = self._opened()
        self.broken: list[str] = []  # promises found broken at any moment, that were whole at first
        self.starved: list[str] = []  # when guests got less CPU than they wanted, at the end of a cycle
        self._is_surprised = False

    def _opened(self) -> Site:
        file = SiteFile.model_validate(
            {
                "cluster": "town",
                "platform": {"kind": "simulated"},
                "hosts": [{"name": n, "bmc": {"kind": "simulated"}, "may_sleep": True} for n in self.world.hosts],
                "store": f"sqlite:///{self.folder}/store.db",
            }
        )
        site = site_from(file, self.folder, self.folder, self.clock, self.world)
        site.acting = replace(site.acting, platform=self.platform)
        for name in self.world.hosts if not site.acting.store.marks.all() else ():
            site.acting.store.marks.prove_wake(name, self.begins)
        return site

    def restart(self) -> None:
        """Let the process die and another one begin with nothing but the store."""
        self.site.close()
        before, self.platform = self.platform, CountingPlatform(self.world)
        self.platform.asked, self.platform.lies, self.platform.hides = before.asked, before.lies, before.hides
        self.site = self._opened()

    def cycle(self) -> Cycle:
        """Look, think, and act until it is time for the next look."""
        begun = self.clock.now()
        self.site.settle(self.policy)
        cycle = run_cycle(self.site, self.policy)
        assert cycle.objections == ()
        if cycle.safe is not None:
            wanted = cycle.safe.wake_ups() if self.site.runners else cycle.safe
            if wanted.steps:
                self.site.begin(wanted, self.policy, watch=self._note_failed_wakes)
        self.act_until(begun + timedelta(seconds=self.policy.interval_seconds))
        return cycle

    def act_until(self, moment: datetime) -> None:
        while self.clock.now() < moment:
            for runner in list(self.site.runners):
                if not runner.advance():
                    self.site.finish(runner)
            if self._is_surprised:
                self._is_surprised = False
                self._look_again_for_wakes()
            if self.site.runners:
                self.clock.sleep(POLL_SECONDS)
                self._look_for_broken_promises()
            else:
                self.clock.sleep((moment - self.clock.now()).total_seconds())

    def _look_for_broken_promises(self) -> None:
        found = self.policy.violations(self.site.look())
        if hard_excess(found) > 0:
            self.broken += map(str, found)

    def _note_failed_wakes(self, outcome: Outcome) -> None:
        self._is_surprised = self._is_surprised or (outcome.step.is_waking and outcome.result is Result.FAILED)

    def _look_again_for_wakes(self) -> None:
        """Plan anew at once, as the service does where a host did not come."""
        cycle = run_cycle(self.site, self.policy)
        wanted = cycle.safe.wake_ups() if cycle.safe is not None else None
        if wanted is not None and wanted.steps:
            self.site.begin(wanted, self.policy, watch=self._note_failed_wakes)

    def put_to_sleep(self, *hosts: str) -> None:
        """Let hosts have been put to sleep by the balancer a day ago."""
        for host in hosts:
            self.world.cut_power(host)
            self.site.acting.store.marks.cordon(host, "to sleep", self.clock.now())
            self.site.acting.store.marks.fell_asleep(host, self.clock.now() - timedelta(days=1))

    def is_up(self, host: str) -> bool:
        self.world.settle()
        return self.world.hosts[host].phase is Phase.UP

    def note_the_starved(self) -> None:
        """Look at every host whether its guests get what they want."""
        with self.world.settled():
            short = [n for n, host in self.world.hosts.items() if self.world.cpu_on(host).share_given < 1.0]
        self.starved += [f"{self.clock.now():%H:%M} {name}" for name in short]

    def live(self, minutes: float, before_each: Callable[[], None] = lambda: None) -> list[Cycle]:
        """Live for a while."""
        end, cycles = self.clock.now() + timedelta(minutes=minutes), []
        while self.clock.now() < end:
            before_each()
            cycles.append(self.cycle())
        return cycles

    # -- what became of it

    def moves(self) -> Counter[str]:
        """Count the moves of each guest that were carried out."""
        entries = self.site.acting.store.journal.latest(1000)
        return Counter(e.vm or "" for e in entries if e.action is Action.MOVE and e.state is EntryState.DONE)

    def done(self, action: Action) -> list[str]:
        entries = self.site.acting.store.journal.latest(1000)
        return [e.step.host or "" for e in reversed(entries) if e.action is action and e.state is EntryState.DONE]

    def guests_on(self, host: str) -> set[str]:
        self.world.settle()
        return {guest.spec.name for guest in self.world.guests_on(host)}
