"""What is not trusted: BMCs that lie, numbers that are missing. Hosts stay on, guests stay safe, waking goes on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from balancer.domain.host import HostState
from balancer.domain.plan import Action
from balancer.errors import HistoryError
from tests.stability.town import NOON, Town, rules

SAVER = "objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.002}}\n"
NOW_ONLY = "demand: {window_minutes: 1, quantile: 0.95}\n"
CALM = {"h1": ["a-1", "a-2"], "h2": ["b-1"], "h3": ["c-1"]}
SLEEPY = SAVER + NOW_ONLY + "stability: {sleep_after_minutes: 10, host_cooldown_minutes: 0}\n"


class TestLyingBmc:
    def test_one_that_is_true_lets_hosts_sleep(self, tmp_path: Path) -> None:
        """What the stories below depart from."""
        town = Town(tmp_path, CALM, rules(SLEEPY), {})
        town.live(60)
        assert len(town.done(Action.POWER_OFF)) == 2

    def test_one_that_says_off_of_a_host_that_answers_is_not_used(self, tmp_path: Path) -> None:
        town = Town(tmp_path, CALM, rules(SLEEPY), {})
        for host in CALM:
            town.world.make_bmc_lie(host, says_on=False)
        town.live(60)
        assert town.done(Action.POWER_OFF) == []
        assert all(map(town.is_up, CALM))

    def test_one_that_says_on_of_a_host_that_went_off_is_an_alarm_and_nothing_else_sleeps(self, tmp_path: Path) -> None:
        town = Town(tmp_path, CALM, rules(SLEEPY), {})
        for host in CALM:
            town.world.make_bmc_lie(host, says_on=True)
        town.live(120)
        marks = town.site.acting.store.marks.all()
        down = [host for host in CALM if not town.is_up(host)]
        assert 1 <= len(down) <= 2  # those of one plan, and no other for two hours
        assert all(marks[host].quarantine is not None and not marks[host].asleep_by_us for host in down)
        assert town.done(Action.POWER_OFF) == []
        assert town.world.casualties == []

    def test_one_that_says_off_of_a_host_that_is_cut_off_with_its_guests_is_not_believed(self, tmp_path: Path) -> None:
        town = Town(tmp_path, CALM, rules(SLEEPY), {})
        town.cycle()
        town.world.make_unreachable("h2")
        town.world.make_bmc_lie("h2", says_on=False)
        cycles = town.live(60)
        assert {cycle.seen.host("h2").state for cycle in cycles} == {HostState.UNREACHABLE}
        assert (town.done(Action.POWER_OFF), town.done(Action.POWER_ON)) == ([], [])
        assert town.guests_on("h2") == {"b-1"}


class TestOutage:
    """Nothing is measured any more, in the middle of the night."""

    def town(self, folder: Path, more: str = "") -> Town:
        homes = {"h1": ["a-1", "a-2"], "h2": ["b-1"], "h3": [], "h4": []}
        town = Town(folder, homes, rules(SLEEPY + more), {})
        town.put_to_sleep("h3", "h4")
        return town

    @pytest.mark.parametrize("blind", [("h1", "h2", "a-1", "a-2", "b-1"), ("a-1",)])
    def test_it_puts_nothing_to_sleep(self, tmp_path: Path, blind: tuple[str, ...]) -> None:
        town = self.town(tmp_path)
        for subject in blind:
            town.world.forget_metrics(subject)
        cycles = town.live(60)
        assert {cycle.plan.summary.hosts_to_sleep for cycle in cycles} == {()}
        for subject in blind:
            town.world.true_metrics(subject)
        town.live(60)
        assert town.done(Action.POWER_OFF)  # so it was the outage that kept them on

    def test_the_schedule_wakes_hosts_in_it_all_the_same(self, tmp_path: Path) -> None:
        day = (
            "windows: {day: {from: 13:00, to: 20:00}}\n"
            "constraints: [{kind: keep_on, hosts: ['h*'], at_least: 4, when: day}]\n"
        )
        town = self.town(tmp_path, day)
        for subject in ("h1", "h2", "a-1", "a-2", "b-1"):
            town.world.forget_metrics(subject)
        town.live(55)
        assert town.done(Action.POWER_ON) == []
        town.live(30)
        assert sorted(town.done(Action.POWER_ON)) == ["h3", "h4"]

    def test_a_surge_wakes_though_the_history_is_out(self, tmp_path: Path) -> None:
        surge = NOON + timedelta(minutes=20)
        homes = {"h1": [f"g-{n}" for n in range(8)], "h2": []}
        loads = dict.fromkeys(homes["h1"], lambda at: 3.0 if at >= surge else 0.3)
        town = Town(tmp_path, homes, rules(SLEEPY), loads)
        town.put_to_sleep("h2")
        failed = HistoryError("influx", "read", "connection refused")
        with patch.object(type(town.site.history), "guest_readings", side_effect=failed):
            town.live(40)
        assert town.done(Action.POWER_ON) == ["h2"]
        town.note_the_starved()
        assert town.starved == []
