"""Traps that other balancers fell into, as stories on virtual time. Each guard is taken out once, to see it matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.cycle import Cycle, run_cycle
from balancer.domain.plan import Action, Plan
from balancer.simulation.machines import constantly
from tests.stability.town import NOON, SHORT_SIGHTED, Town, rules, swinging

EVEN = SHORT_SIGHTED + "objectives: {even_load: {weight: 1}, few_moves: {weight: 0.002}}\n"
SAVER = SHORT_SIGHTED + "objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.002}}\n"
NO_GUARDS = (
    "stability: {hold_minutes: 0, sleep_after_minutes: 0, cooldown_minutes: 0, host_cooldown_minutes: 0, "
    "no_return_minutes: 0}\n"
)


def two_halves(folder: Path, half_period_minutes: float, guards: str) -> Town:
    """Two hosts with a big guest each, which are busy in turns, and small ones that could make way each time."""
    loads = {name: swinging(4.0, 0.2, half_period_minutes, name == "big-1") for name in ("big-1", "big-2")}
    loads |= {f"small-{n}": constantly(1.0) for n in range(6)}
    homes = {"h1": ["big-1", *(f"small-{n}" for n in range(3))], "h2": ["big-2", *(f"small-{n}" for n in range(3, 6))]}
    pinned = "constraints: [{kind: stay, match: {app: big}}]\n"
    return Town(folder, homes, rules(EVEN + pinned + guards), loads)


class TestOscillation:
    """Trap 5: the same guests back and forth; cool-downs kept in memory and lost at restart."""

    def test_a_load_that_swings_faster_than_the_hold_moves_nobody(self, tmp_path: Path) -> None:
        town = two_halves(tmp_path, half_period_minutes=10, guards="")
        town.live(120)
        assert town.moves() == {}

    @pytest.mark.long
    def test_a_load_that_swings_slowly_moves_no_guest_back_and_forth(self, tmp_path: Path) -> None:
        town = two_halves(tmp_path, half_period_minutes=30, guards="")
        town.live(180)
        assert town.moves()
        assert max(town.moves().values()) <= 2  # in three hours

    @pytest.mark.parametrize("half_period", [10, pytest.param(30, marks=pytest.mark.long)])
    @pytest.mark.long
    def test_without_guards_guests_go_back_and_forth(self, tmp_path: Path, half_period: int) -> None:
        town = two_halves(tmp_path, half_period, guards=NO_GUARDS)
        town.live(180)
        assert max(town.moves().values()) >= 4

    def test_restarts_in_between_forget_nothing(self, tmp_path: Path) -> None:
        busy = {f"left-{n}": constantly(3.0) for n in range(4)}
        town = Town(tmp_path, {"h1": list(busy), "h2": []}, rules(EVEN), busy)
        first, second, third = (cycles[0] for cycles in (self._reborn(town) for _ in range(3)))
        assert (first.plan.steps, second.plan.steps) == ((), ())
        assert third.plan.moves
        assert third.plan.wanted[0].since == first.seen.taken_at
        moved = set(town.moves())
        cycle = self._reborn(town)[0]
        assert len(cycle.memory.cooling_until) == len(moved)
        assert set(cycle.memory.came_from.values()) == {"h1"}
        assert cycle.memory.moves_spent == len(moved)

    def test_what_was_wanted_before_a_long_silence_has_to_last_anew(self, tmp_path: Path) -> None:
        busy = {f"left-{n}": constantly(3.0) for n in range(4)}
        town = Town(tmp_path, {"h1": list(busy), "h2": []}, rules(EVEN), busy)
        town.live(10)
        town.clock.sleep(3600)
        cycle = town.live(5)[0]
        assert cycle.plan.steps == ()
        assert cycle.plan.wanted[0].since == cycle.seen.taken_at

    def test_what_a_running_plan_will_yet_spend_counts_as_spent(self, tmp_path: Path) -> None:
        town = Town(tmp_path, {"h1": ["g-1", "g-2", "g-3"], "h2": []}, rules(EVEN), {}, migration_mib_per_s=60.0)
        town.site.acting.store.drains.ask("h1", "me", "new fans", town.clock.now())
        town.site.begin(run_cycle(town.site, town.policy).plan, town.policy).advance()
        memory = town.site.remembered(town.policy)
        assert (memory.moves_spent, memory.gib_spent) == (3, 12.0)

    def test_what_moves_through_a_restart_counts_as_spent_before_it_arrives(self, tmp_path: Path) -> None:
        town = Town(tmp_path, {"h1": ["g-1", "g-2", "g-3"], "h2": []}, rules(EVEN), {}, migration_mib_per_s=60.0)
        town.site.acting.store.drains.ask("h1", "me", "new fans", town.clock.now())
        town.site.begin(run_cycle(town.site, town.policy).plan, town.policy).advance()
        town.restart()
        memory = town.site.remembered(town.policy)
        assert (memory.moves_spent, memory.gib_spent) == (2, 8.0)

    @staticmethod
    def _reborn(town: Town) -> list[Cycle]:
        town.restart()
        return town.live(5)

    def test_hosts_do_not_fall_asleep_and_wake_by_turns(self, tmp_path: Path) -> None:
        # Busy for 20 minutes, idle for 20: neither lasts as long as a host has to be dispensable.
        loads = {f"g-{n}": swinging(3.6, 0.2, 20, begins_high=False) for n in range(6)}
        homes = {"h1": ["g-0", "g-1", "g-2"], "h2": ["g-3", "g-4", "g-5"]}
        calm = Town(tmp_path / "calm", homes, rules(SAVER), loads)
        calm.live(160)
        assert calm.done(Action.POWER_OFF) == []
        nervous = Town(tmp_path / "nervous", homes, rules(SAVER + NO_GUARDS), loads)
        nervous.live(160)
        assert len(nervous.done(Action.POWER_OFF)) >= 3

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path) -> None:
        for name in ("calm", "nervous"):
            (tmp_path / name).mkdir()


class TestOrder:
    """Trap 4: diffs run unordered or all at once; one full target blocks the queue; rules checked on old positions."""

    def test_on_the_way_no_promise_is_broken_and_a_full_target_blocks_nobody(self, tmp_path: Path) -> None:
        # h1 is drained. db-1 may go to h2 alone, where its partner and as many guests as there is memory for are.
        policy = rules(
            EVEN + "constraints:\n"
            "  - {kind: apart, name: db-apart, match: {app: db}}\n"
            "  - {kind: only_on, name: licence, vms: [db-1], hosts: [h1, h2]}\n"
            "headroom: {cpu: 1.0, memory: 0.5}\n" + NO_GUARDS
        )
        homes = {"h1": ["db-1", "w-1", "w-2"], "h2": ["db-2", *(f"x-{n}" for n in range(6))], "h3": ["y-1"]}
        town = Town(tmp_path, homes, policy, {}, migration_mib_per_s=100.0)
        town.site.acting.store.drains.ask("h1", "me", "new fans", town.clock.now())
        town.live(30)
        assert town.guests_on("h1") == set()
        assert town.guests_on("h2") & {"db-1", "db-2"} == {"db-1"}
        assert town.broken == []


class TestStorm:
    """Trap 6: an action that goes on is read as failed, and started again."""

    @pytest.mark.parametrize("hides", [False, True])
    def test_a_migration_that_is_said_to_have_failed_and_runs_on_is_not_started_again(
        self, tmp_path: Path, hides: bool
    ) -> None:
        town = self._town(tmp_path, NO_GUARDS + "interval_seconds: 60\n", mib_per_s=100.0)
        town.platform.lies, town.platform.hides = True, hides
        town.live(30)
        assert town.guests_on("h1") == set()
        assert set(town.platform.asked.values()) == {1}

    @pytest.mark.parametrize("hides", [False, True])
    def test_neither_is_it_after_a_restart_in_its_middle(self, tmp_path: Path, hides: bool) -> None:
        town = self._town(tmp_path, NO_GUARDS + "interval_seconds: 60\n", mib_per_s=100.0)
        town.platform.hides = hides
        run = town.site.begin(self._plan(town), town.policy)
        run.advance()
        assert town.platform.asked
        town.clock.sleep(30)
        town.restart()
        town.live(30)
        assert town.guests_on("h1") == set()
        assert set(town.platform.asked.values()) == {1}
        assert town.site.acting.store.memory.spent_since(NOON).moves == 2

    def test_a_migration_that_fails_is_tried_again_ever_later(self, tmp_path: Path) -> None:
        town = self._town(tmp_path)
        for _ in range(24):
            town.world.fail_migration("g-1")
            town.cycle()
        # In two hours of a look every five minutes: after 30 minutes, after 60 more, and no more.
        assert town.platform.asked["g-1"] == 3
        assert town.platform.asked["g-2"] == 1

    @staticmethod
    def _town(folder: Path, guards: str = "", mib_per_s: float = 60.0) -> Town:
        homes = {"h1": ["g-1", "g-2"], "h2": [], "h3": []}
        town = Town(folder, homes, rules(EVEN + guards), {}, migration_mib_per_s=mib_per_s)
        town.site.acting.store.drains.ask("h1", "me", "new fans", town.clock.now())
        return town

    @staticmethod
    def _plan(town: Town) -> Plan:
        return run_cycle(town.site, town.policy).plan
