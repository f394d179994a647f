"""Asleep when it can be, awake before it must be: days on virtual time. Beside each story stands what it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from balancer.cycle import run_cycle
from balancer.domain.plan import Action
from balancer.simulation.machines import constantly
from balancer.store.journal import EntryState
from tests.demand.past import diary
from tests.stability.town import NOON, Town, rules, swinging

SAVER = "objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.002}}\n"
MONDAY_SEVEN = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
SHORT = "demand: {window_minutes: 1, quantile: 0.95}\n"
FORESEEING = "demand: {risk: 0.01, horizon_minutes: 60}\n"
TWELVE = [f"g-{n}" for n in range(12)]
NO_PATIENCE = "stability: {hold_minutes: 0, sleep_after_minutes: 0, cooldown_minutes: 0, host_cooldown_minutes: 0}\n"


def office(at: datetime) -> float:
    """People come at eight, from Monday to Friday, all at once."""
    return 3.0 if at.weekday() < 5 and 8 <= at.hour < 17 else 0.3


class TestMondayMorning:
    """Twelve guests on one host; at eight they need three."""

    def town(self, folder: Path, demand: str) -> Town:
        homes = {"h1": TWELVE, "h2": [], "h3": [], "h4": []}
        loads = dict.fromkeys(TWELVE, office)
        town = Town(folder, homes, rules(SAVER + demand), loads, begins=MONDAY_SEVEN)
        town.put_to_sleep("h2", "h3", "h4")
        keys = [vm.key for vm in town.site.look().vms]
        town.site._diary = diary(dict.fromkeys(keys, office), now=MONDAY_SEVEN)
        return town

    def test_the_peak_is_met_awake(self, tmp_path: Path) -> None:
        town = self.town(tmp_path, FORESEEING)
        town.live(60)
        assert sum(map(town.is_up, town.world.hosts)) >= 3
        town.live(30, before_each=town.note_the_starved)
        assert town.starved == []

    @pytest.mark.long
    def test_without_forecasts_it_is_met_asleep(self, tmp_path: Path) -> None:
        town = self.town(tmp_path, SHORT)
        town.live(60)
        assert [host for host in town.world.hosts if town.is_up(host)] == ["h1"]
        town.live(30, before_each=town.note_the_starved)
        assert town.starved

    def test_nothing_falls_asleep_within_an_hour_of_it(self, tmp_path: Path) -> None:
        awake = self.town(tmp_path, FORESEEING + NO_PATIENCE)
        for host in ("h2", "h3", "h4"):
            awake.world.power_on(host)
            awake.site.acting.store.marks.woke(host)
            awake.site.acting.store.marks.uncordon(host)
        awake.clock.sleep(600)
        awake.live(45)
        assert len(awake.done(Action.POWER_OFF)) <= 1  # of the four that are on three are needed at eight
        assert sum(map(awake.is_up, awake.world.hosts)) >= 3


class TestSurge:
    def test_a_surge_wakes_at_once_whatever_has_to_last(self, tmp_path: Path) -> None:
        surge = NOON + timedelta(minutes=14)
        patient = "stability: {hold_minutes: 120, sleep_after_minutes: 600, host_cooldown_minutes: 600}\n"
        loads = dict.fromkeys(TWELVE, lambda at: 3.5 if at >= surge else 0.3)
        homes = {"h1": TWELVE, "h2": [], "h3": [], "h4": []}
        town = Town(tmp_path, homes, rules(SAVER + SHORT + patient), loads)
        town.put_to_sleep("h2", "h3", "h4")
        town.live(10)
        assert town.done(Action.POWER_ON) == []
        town.live(20)
        woken = [e for e in town.site.acting.store.journal.latest(1000) if e.action is Action.POWER_ON]
        assert len(woken) >= 2
        assert all(entry.at - surge <= timedelta(minutes=2) for entry in woken)  # the first look after it, in parallel
        assert all(entry.state is EntryState.DONE for entry in woken)
        town.note_the_starved()
        assert town.starved == []


class TestFalseCalm:
    def town(self, folder: Path, guards: str) -> Town:
        """Busy, a lull of twenty minutes, busy again."""
        lull = (NOON + timedelta(minutes=20), NOON + timedelta(minutes=40))
        loads = dict.fromkeys(TWELVE, lambda at: 0.3 if lull[0] <= at < lull[1] else 2.2)
        return Town(folder, {"h1": TWELVE[:6], "h2": TWELVE[6:]}, rules(SAVER + SHORT + guards), loads)

    def test_a_lull_lets_nothing_sleep(self, tmp_path: Path) -> None:
        town = self.town(tmp_path, "")
        town.live(90)
        assert town.done(Action.POWER_OFF) == []

    def test_without_patience_it_does(self, tmp_path: Path) -> None:
        town = self.town(tmp_path, NO_PATIENCE)
        town.live(60)
        assert town.done(Action.POWER_OFF)


class TestFlapping:
    """Busy for two hours, idle for two: each lasts longer than any hold."""

    def town(self, folder: Path, limit: str) -> Town:
        loads = dict.fromkeys(TWELVE, swinging(2.2, 0.2, 120, begins_high=True))
        more = f"power: {{cycles_per_day: {limit}}}\ninterval_seconds: 900\n"
        policy = rules(SAVER + SHORT + NO_PATIENCE + more)
        return Town(folder, {"h1": TWELVE[:6], "h2": TWELVE[6:]}, policy, loads)

    @pytest.mark.parametrize(("limit", "most"), [("1", 1), pytest.param("2", 2, marks=pytest.mark.long)])
    def test_a_host_sleeps_no_more_often_than_a_day_allows(self, tmp_path: Path, limit: str, most: int) -> None:
        town = self.town(tmp_path, limit)
        town.live(12 * 60)
        slept = town.done(Action.POWER_OFF)
        assert max(slept.count(host) for host in slept) == most

    @pytest.mark.long
    def test_without_a_limit_it_does_each_time(self, tmp_path: Path) -> None:
        town = self.town(tmp_path, "null")
        town.live(12 * 60)
        assert len(town.done(Action.POWER_OFF)) >= 3


class TestOneThatDoesNotCome:
    """One host is needed; the first that is asked never comes."""

    def town(self, folder: Path) -> tuple[Town, str, str]:
        homes = {h: [f"{h}-{n}" for n in range(5 if h == "h1" else 4)] for h in ("h1", "h2", "h3", "h4")}
        loads = {vm: constantly(3.0) for guests in homes.values() for vm in guests}
        policy = rules(SAVER + SHORT + "interval_seconds: 1800\n")
        town = Town(folder, homes | {"h5": [], "h6": []}, policy, loads)
        town.put_to_sleep("h5", "h6")
        first = self._first(town)
        return town, first, "h6" if first == "h5" else "h5"

    @staticmethod
    def _first(town: Town) -> str:
        (host,) = run_cycle(town.site, town.policy).plan.summary.hosts_to_wake
        return host

    def test_it_is_quarantined_and_another_is_taken_in_the_same_cycle(self, tmp_path: Path) -> None:
        town, first, other = self.town(tmp_path)
        town.world.never_boots(first)
        town.cycle()  # of half an hour; a host is given up after ten minutes
        assert town.site.acting.store.marks.of(first).quarantine is not None
        assert town.is_up(other)
        assert town.done(Action.POWER_ON) == [other]

    def test_it_is_not_asked_again_while_another_one_is_left(self, tmp_path: Path) -> None:
        town, first, other = self.town(tmp_path)
        town.world.stop_bmc(first)
        marks = town.site.acting.store.marks
        marks.quarantine(first, "did not wake within 10 min", town.clock.now())
        town.world.heal(first)
        assert self._first(town) == other

    @pytest.mark.long
    def test_where_no_other_is_left_it_is(self, tmp_path: Path) -> None:
        town, first, other = self.town(tmp_path)
        for host in (first, other):
            town.site.acting.store.marks.quarantine(host, "did not wake within 10 min", town.clock.now())
        assert self._first(town) in {first, other}


class TestTheClockIsChanged:
    """In Rome the hour from two to three comes twice on 25 October, and never on 29 March."""

    @pytest.mark.parametrize(
        ("begins", "hours"),
        [
            (datetime(2026, 10, 24, 18, 0, tzinfo=UTC), 13),  # 20:00 in Rome; the night from 22 to 6 has nine hours
            (datetime(2026, 3, 28, 19, 0, tzinfo=UTC), 13),  # 20:00 in Rome; it has seven
        ],
    )
    def test_hosts_sleep_in_the_night_of_the_wall_clock_and_the_accounts_count_true_hours(
        self, tmp_path: Path, begins: datetime, hours: int
    ) -> None:
        policy = rules(
            SAVER + SHORT + "interval_seconds: 900\n"
            "stability: {hold_minutes: 0, sleep_after_minutes: 15, host_cooldown_minutes: 0}\n"
            "time_zone: Europe/Rome\nwindows: {day: {from: 06:00, to: 22:00}}\n"
            "constraints: [{kind: keep_on, hosts: ['h*'], at_least: 2, when: day}]\n"
            "schedule: [{during: day, set: {freeze: power}}]\n"
        )
        town = Town(tmp_path, {"h1": ["a-1"], "h2": ["b-1"]}, policy, {}, begins=begins)
        up: list[tuple[datetime, int]] = []

        def note() -> None:
            local = town.clock.now().astimezone(ZoneInfo("Europe/Rome"))
            up.append((local, sum(map(town.is_up, town.world.hosts))))

        town.live(hours * 60, before_each=note)
        by_day = [count for at, count in up if 7 <= at.hour < 22]
        deep_night = [count for at, count in up if 0 <= at.hour < 6]
        assert set(by_day) == {2}
        assert set(deep_night) == {1}
        accounts = town.site.acting.store.accounts
        rows = accounts.between(begins.date(), town.clock.now().date())
        counted = sum(row.energy.hours_on + row.energy.hours_asleep for row in rows)
        last = accounts.counted_until()
        assert last is not None
        assert counted == pytest.approx(2 * (last - begins).total_seconds() / 3600, abs=0.01)
