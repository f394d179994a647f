"""A surge is answered between two looks; a spike, a doubt or load that comes and goes is not. Days on virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from balancer.clock import WallClock
from balancer.cycle import Cycle, run_cycle
from balancer.domain.cluster import Doubt
from balancer.domain.plan import Action
from balancer.policy import Policy, WatchedPolicy
from balancer.service import Service
from balancer.service.rhythm import WATCH
from balancer.simulation.machines import LoadCurve
from balancer.stability.lookout import SECONDS_UNTIL_A_SECOND_GLANCE, Lookout
from balancer.stability.surge import outlook
from tests.demand.past import cluster, guest
from tests.stability.town import NOON, Town, rules, swinging

SAVER = "objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.002}}\n"
SHORT = "demand: {window_minutes: 1, quantile: 0.95}\n"
SLOW = "interval_seconds: 600\n"
TWELVE = [f"g-{n}" for n in range(12)]
HOMES = {"h1": TWELVE, "h2": [], "h3": [], "h4": []}
TEN_SECONDS_AFTER = NOON + timedelta(minutes=10, seconds=10)  # the look of 12:10


class WatchedTown(Town):
    """A town that is glanced at between its looks, as the service does."""

    def __init__(self, folder: Path, loads: Mapping[str, LoadCurve], more: str = "", homes: Any = HOMES) -> None:
        super().__init__(folder, homes, rules(SAVER + SHORT + SLOW + more), loads)
        self.lookout = Lookout()
        self.early: list[datetime] = []
        self._next_glance = NOON
        self.put_to_sleep(*(host for host, guests in homes.items() if not guests))

    def cycle(self) -> Cycle:
        begun = self.clock.now()
        self._look_and_act()
        self._act_and_glance_until(begun + timedelta(seconds=self.policy.interval_seconds))
        return self.last

    def _look_and_act(self) -> None:
        cycle = run_cycle(self.site, self.policy)
        self.lookout = self.lookout.after_look(cycle.seen, self.policy, cycle.safe is not None, self.clock.now())
        only_wakes = cycle.safe is not None and (self.site.runners or self.site.why_held)
        wanted = cycle.safe.wake_ups() if cycle.safe is not None and only_wakes else cycle.safe
        if wanted is not None and wanted.steps:
            self.site.begin(wanted, self.policy)
        self.last = cycle

    def glance(self) -> None:
        self.lookout = glanced = self.lookout.after_glance(self.platform.glance(), self.clock.now())
        self._next_glance = self.clock.now() + timedelta(seconds=self.policy.watch_seconds)
        if glanced.suspects:
            self._next_glance = self.clock.now() + timedelta(seconds=SECONDS_UNTIL_A_SECOND_GLANCE)
        if glanced.surge:
            self.early.append(self.clock.now())
            self._look_and_act()

    def _act_and_glance_until(self, end: datetime) -> None:
        while self.clock.now() < end:
            for runner in list(self.site.runners):
                if not runner.advance():
                    self.site.finish(runner)
            if self.policy.watch_seconds and self.clock.now() >= self._next_glance:
                self.glance()
            soon = 2.0 if self.site.runners else max(1.0, (self._next_glance - self.clock.now()).total_seconds())
            self.clock.sleep(min(soon, (end - self.clock.now()).total_seconds()))

    def woken(self) -> list[datetime]:
        journal = self.site.acting.store.journal.latest(1000)
        return [entry.at for entry in journal if entry.action is Action.POWER_ON]


def surging(begins: datetime, lasts_seconds: float = 1e9, high: float = 3.5) -> dict[str, LoadCurve]:
    ends = begins + timedelta(seconds=min(lasts_seconds, 1e8))
    return dict.fromkeys(TWELVE, lambda at: high if begins <= at < ends else 0.3)


class TestASurge:
    def test_ten_seconds_after_a_look_is_answered_within_the_watch_and_not_at_the_next_look(
        self, tmp_path: Path
    ) -> None:
        town = WatchedTown(tmp_path, surging(TEN_SECONDS_AFTER))
        town.live(20)
        assert len(town.woken()) >= 2
        assert all(at - TEN_SECONDS_AFTER <= timedelta(seconds=30) for at in town.woken())

    def test_without_the_watch_it_waits_for_the_next_look(self, tmp_path: Path) -> None:
        town = WatchedTown(tmp_path, surging(TEN_SECONDS_AFTER), more="watch_seconds: 0\n")
        town.live(30)
        assert min(town.woken()) == NOON + timedelta(minutes=20)

    def test_is_answered_while_all_is_paused(self, tmp_path: Path) -> None:
        """The early look is a look like any other: paused, it wakes, and moves nobody."""
        town = WatchedTown(tmp_path, surging(TEN_SECONDS_AFTER))
        town.site.acting.store.halts.pause("ann", "new switch", NOON)
        town.live(20)
        assert town.early and len(town.woken()) >= 2
        assert not town.moves()

    def test_of_all_hosts_together_is_one_while_others_sleep(self, tmp_path: Path) -> None:
        homes = {"h1": TWELVE[:6], "h2": TWELVE[6:], "h3": []}
        stay = "constraints: [{kind: stay, name: all, vms: ['*']}]\n"
        town = WatchedTown(tmp_path, surging(TEN_SECONDS_AFTER, high=2.0), more=stay, homes=homes)
        town.live(12)
        assert len(town.early) == 1


class TestWhatIsNone:
    def test_a_spike_of_one_reading_begins_nothing(self, tmp_path: Path) -> None:
        town = WatchedTown(tmp_path, surging(NOON + timedelta(minutes=12), lasts_seconds=3))
        town._next_glance = NOON + timedelta(minutes=12)
        town.live(20)
        assert town.early == [] and town.woken() == []

    def test_a_reading_that_cannot_be_begins_nothing(self, tmp_path: Path) -> None:
        town = WatchedTown(tmp_path, surging(NOON + timedelta(days=1)))
        town.cycle()
        town.world.absurd_metrics("h1", cores=900.0)
        for _ in range(4):
            town.clock.sleep(20)
            town.glance()
        assert town.early == []

    def test_load_that_comes_and_goes_does_not_begin_a_look_each_time(self, tmp_path: Path) -> None:
        """Two minutes high, two low, for three hours: no host that could be woken would help, so looks are wasted."""
        homes = {"h1": TWELVE}
        loads = dict.fromkeys(TWELVE, swinging(3.5, 0.3, 2, begins_high=False))
        town = WatchedTown(tmp_path, loads, more="watch_seconds: 10\n", homes=homes)
        town.live(180)
        assert 1 <= len(town.early) <= 8  # of 45 times that it came
        gaps = [later - earlier for earlier, later in zip(town.early, town.early[1:], strict=False)]
        assert min(gaps, default=timedelta(hours=1)) >= timedelta(seconds=60)

    def test_a_host_that_was_full_when_it_was_looked_at_is_that_look_s_affair(self, tmp_path: Path) -> None:
        town = WatchedTown(tmp_path, dict.fromkeys(TWELVE, lambda _: 1.3), homes={"h1": TWELVE})
        town.live(30)
        assert town.early == []


class TestTheOutlook:
    def test_a_host_in_doubt_says_nothing(self) -> None:
        now = cluster(guest("a"), cores=8.0)
        now = now.model_copy(update={"hosts": tuple(h.model_copy(update={"cpu_used_cores": 1.0}) for h in now.hosts)})
        assert "h1 uses 7.9 cores" in outlook(now, 0.9).surge({"h1": 7.9})
        doubted = now.model_copy(update={"doubts": (Doubt(subject="host:h1", kind="absurd"),)})
        assert outlook(type(now).model_validate(doubted.model_dump()), 0.9).surge({"h1": 7.9}) == ""

    @pytest.mark.parametrize("cores", [float("nan"), float("inf"), -1.0, 9.0])
    def test_what_is_no_reading_says_nothing(self, cores: float) -> None:
        now = cluster(guest("a"), cores=8.0)
        now = now.model_copy(update={"hosts": tuple(h.model_copy(update={"cpu_used_cores": 1.0}) for h in now.hosts)})
        assert outlook(now, 0.9).surge({"h1": cores, "stranger": 4.0}) == ""


class Glancing:
    """A platform of which nothing is known but how busy it is."""

    def __init__(self) -> None:
        self.glances = 0
        self.is_compared = False

    def glance(self) -> dict[str, float]:
        self.glances += 1
        return {"h1": 15.9}

    def compare_with_the_last_glances(self) -> None:
        self.is_compared = True


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose one host of 16 cores needed hardly any at the last look, and has 15.9 in use at each glance."""
    town = Town(tmp_path, {"h1": ["a"]}, rules(""), {})
    (tmp_path / "policy.yaml").write_text("schema: balancer.policy/1\n")
    made = Service(town.site, WatchedPolicy(tmp_path / "policy.yaml", "town"), tmp_path, lease_seconds=60.0)
    made._lookout = Lookout().after_look(town.site.look(), Policy(), True, WallClock().now())
    town.site.acting = replace(town.site.acting, platform=Glancing())  # type: ignore[arg-type]
    yield made
    made._rhythm.end()


def glancing(service: Service) -> Glancing:
    platform: object = service._site.acting.platform
    assert isinstance(platform, Glancing)
    return platform


def test_the_service_looks_at_once_after_two_glances_in_a_row(service: Service) -> None:
    """In real time: both intervals are an hour, so what happens within seconds was brought forward."""
    seen: list[float] = []
    service._standing.lead()
    service._rhythm.begin(lambda: seen.append(time.monotonic()), 3600.0)
    service._rhythm.watch(service._glance, 3600.0)
    _wait_for(lambda: len(seen) == 1)
    service._rhythm.begin_in(0, WATCH)
    _wait_for(lambda: len(seen) == 2)
    assert glancing(service).glances == 2 and glancing(service).is_compared
    service._rhythm.watch(service._glance, 0.0)
    assert not service._rhythm.has(WATCH)


def test_who_does_not_act_glances_at_nothing(service: Service) -> None:
    service._glance()
    assert glancing(service).glances == 0
    service._standing.lead()
    service._glance()
    assert glancing(service).glances == 1


def test_a_glance_does_not_wait_for_a_look_that_is_under_way(service: Service) -> None:
    service._standing.lead()
    with service._one_cycle:
        service._glance()
    assert glancing(service).glances == 0


def _wait_for(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)
