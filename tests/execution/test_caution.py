"""After failures: what is not tried for a while, who is left alone, when everything stops; and how people stop it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.migration import MigrationOptions
from balancer.domain.plan import Action
from balancer.errors import Prospect
from balancer.execution import Limits, Result, look, settle_the_past
from balancer.platforms.base import MigrationOrder
from balancer.platforms.simulated import SimulatedPlatform
from balancer.power.base import PowerState
from balancer.simulation.machines import GuestSpec, constantly
from balancer.store.halts import HaltKind
from balancer.store.journal import EntryState
from tests.execution.stage import NOON, Stage, build, move, power, sleep_steps


@pytest.fixture
def crowd(tmp_path: Path) -> Stage:
    """Six guests on one host, two hosts for them; a migration takes some thirty seconds."""
    return build(tmp_path, {"h1": list("abcdef"), "h2": [], "h3": []}, migration_mib_per_s=60)


def fail(
    stage: Stage, vm: str, target: str = "h2", prospect: Prospect = Prospect.UNKNOWN, limits: Limits | None = None
) -> None:
    stage.world.fail_migration(vm, 0.1, "lost connection", prospect)
    stage.run(move(vm, "h1", target), limits=limits)


def minutes_off(stage: Stage, vm: str) -> float:
    setbacks = {each.vm_key: each for each in stage.store.failures.setbacks(stage.clock.now())}
    return (setbacks[stage.world.id_of(vm)].until - stage.clock.now()).total_seconds() / 60


class TestBackOff:
    def test_each_failure_in_a_row_doubles_it_and_a_success_ends_it(self, crowd: Stage) -> None:
        fail(crowd, "a")
        assert minutes_off(crowd, "a") == 30
        fail(crowd, "a")
        assert minutes_off(crowd, "a") == 60
        crowd.run(move("a", "h1", "h2"))
        assert crowd.store.failures.setbacks(crowd.clock.now()) == ()

    def test_what_time_does_not_mend_is_put_off_for_a_day(self, crowd: Stage) -> None:
        fail(crowd, "a", prospect=Prospect.NEVER_HERE)
        assert minutes_off(crowd, "a") == 24 * 60

    def test_it_outlives_a_restart(self, crowd: Stage) -> None:
        fail(crowd, "a")
        assert minutes_off(crowd.after_restart(), "a") == 30


class TestShunnedTargets:
    def test_a_host_that_moves_keep_failing_to_reach_is_no_target_for_a_while(self, crowd: Stage) -> None:
        for vm in "abc":
            fail(crowd, vm)
        steps = [move("d", "h1", "h2"), move("e", "h1", "h3")]
        shunning, other = crowd.after_restart().run(*steps).outcomes
        assert shunning.result is Result.REFUSED and other.result is Result.DONE
        assert "h2 takes no guests: 3 moves to it failed within 60 min, the last: lost connection" in shunning.detail
        assert not look(crowd.site).host("h2").takes_guests
        crowd.wait(3600)
        assert look(crowd.site).host("h2").takes_guests

    def test_guests_that_can_never_run_there_say_nothing_about_the_others(self, crowd: Stage) -> None:
        for vm in "abc":
            fail(crowd, vm, prospect=Prospect.NEVER_HERE)
        assert look(crowd.site).host("h2").takes_guests


class TestTooManyFailures:
    LIMITS = Limits(stop_after=2, shun_after=99)

    def stopped(self, stage: Stage) -> Stage:
        for vm in "ab":
            fail(stage, vm, limits=self.LIMITS)
        return stage.after_restart()

    def test_everything_but_waking_stops_and_says_so(self, crowd: Stage) -> None:
        crowd.make_ready_for_sleep("h3")
        crowd.run(*sleep_steps("h3"))
        stopped = self.stopped(crowd)
        (halt,) = stopped.store.halts.in_force(stopped.clock.now())
        assert halt.kind is HaltKind.FAILURES and "2 failures within 60 min (lost connection)" in str(halt)
        moving, waking = stopped.run(move("c", "h1", "h2"), power(Action.POWER_ON, "h3")).outcomes
        assert moving.result is Result.SKIPPED and "too many failures" in moving.detail
        assert waking.result is Result.DONE

    def test_it_ends_with_the_window(self, crowd: Stage) -> None:
        stopped = self.stopped(crowd)
        stopped.wait(3601)
        assert stopped.run(move("c", "h1", "h2")).done

    def test_somebody_may_let_it_go_on_and_what_failed_before_counts_no_more(self, crowd: Stage) -> None:
        stopped = self.stopped(crowd)
        stopped.store.halts.resume(stopped.clock.now())
        stopped.wait(1)
        fail(stopped, "c", limits=self.LIMITS)
        assert stopped.store.halts.in_force(stopped.clock.now()) == ()
        assert stopped.run(move("d", "h1", "h2")).done

    def test_failures_that_are_far_apart_stop_nothing(self, crowd: Stage) -> None:
        fail(crowd, "a", limits=self.LIMITS)
        crowd.wait(3700)
        fail(crowd, "b", limits=self.LIMITS)
        assert crowd.store.halts.in_force(crowd.clock.now()) == ()


class TestStopping:
    def test_a_pause_lets_what_moves_arrive_and_nothing_else_begin(self, crowd: Stage) -> None:
        runner = crowd.runner(move("a", "h1", "h2"), move("b", "h1", "h3", "move-a"))
        runner.advance()
        crowd.store.halts.pause("ann", "new switch", crowd.clock.now())
        first, second = runner.run_to_end().outcomes
        assert (first.result, second.result) == (Result.DONE, Result.SKIPPED)
        assert "paused by ann since 2026-11-23 12:00: new switch; balancer resume" in second.detail

    def test_a_migration_that_somebody_gives_up_stays_at_its_source_and_is_no_failure(self, crowd: Stage) -> None:
        runner = crowd.runner(move("a", "h1", "h2"), move("b", "h1", "h3"))
        runner.advance()
        number = next(entry.id for entry in crowd.store.journal.unsettled() if entry.vm == "a")
        crowd.store.halts.give_up([number], "ann", "too slow", crowd.clock.now())
        first, second = runner.run_to_end().outcomes
        assert (first.result, first.detail) == (Result.FAILED, "given up on request of ann: too slow")
        assert second.result is Result.DONE and crowd.places()["a"] == "h1"
        assert crowd.store.failures.since(NOON) == () and crowd.store.halts.to_give_up() == {}

    def test_an_orphan_that_somebody_gives_up_is_ended_by_the_next_start(self, crowd: Stage) -> None:
        crowd.runner(move("a", "h1", "h2")).advance()
        (entry,) = crowd.store.journal.unsettled()
        crowd.store.halts.give_up([entry.id], "ann", "too slow", crowd.clock.now())
        crowd.wait(12)
        reborn = crowd.after_restart()
        settle_the_past(reborn.site)
        after = reborn.store.journal.entry(entry.id)
        assert after and after.state is EntryState.UNDONE and crowd.places()["a"] == "h1"

    def test_a_runner_may_be_told_to_give_up_everything(self, crowd: Stage) -> None:
        runner = crowd.runner(move("a", "h1", "h2"), move("b", "h1", "h3"))
        runner.advance()
        runner.abort("the service was told to stop")
        report = runner.run_to_end()
        assert {o.result for o in report.outcomes} == {Result.FAILED}
        assert set(crowd.places().values()) == {"h1"} and crowd.store.failures.since(NOON) == ()

    def test_one_that_lets_go_leaves_what_runs_to_the_next_start(self, crowd: Stage) -> None:
        runner = crowd.runner(move("a", "h1", "h2"))
        runner.advance()
        runner.let_go()
        assert not runner.advance() and crowd.store.journal.unsettled()
        crowd.wait(120)
        settle_the_past(crowd.after_restart().site)
        assert not crowd.store.journal.unsettled() and crowd.places()["a"] == "h2"

    def test_while_the_kill_file_exists_nothing_begins_not_even_waking(self, crowd: Stage, tmp_path: Path) -> None:
        crowd.make_ready_for_sleep("h3")
        crowd.run(*sleep_steps("h3"))
        site = replace(crowd.site, kill_file=tmp_path / "stop")
        armed = replace(crowd, site=site)
        (tmp_path / "stop").touch()
        report = armed.run(move("a", "h1", "h2"), power(Action.POWER_ON, "h3"))
        assert {o.result for o in report.outcomes} == {Result.SKIPPED}
        assert "the kill file" in report.outcomes[0].detail and site.switches["h3"].state() is PowerState.OFF
        (tmp_path / "stop").unlink()
        assert len(armed.run(move("a", "h1", "h2"), power(Action.POWER_ON, "h3")).done) == 2

    def test_a_pause_that_comes_during_a_shutdown_keeps_its_power_from_being_cut(self, crowd: Stage) -> None:
        crowd.make_ready_for_sleep("h3")
        crowd.world.refuse_soft_shutdown("h3")
        runner = crowd.runner(*sleep_steps("h3"), limits=Limits(hard_off_allowed=True))
        for _ in range(3):
            runner.advance()
        crowd.store.halts.pause("ann", "", crowd.clock.now())
        runner.run_to_end()
        assert crowd.phase("h3") == "up"


def test_failures_are_forgotten_by_nobody_but_time(crowd: Stage) -> None:
    fail(crowd, "a")
    assert [failure.target for failure in crowd.store.failures.since(NOON)] == ["h2"]
    assert crowd.store.failures.since(crowd.clock.now() + timedelta(seconds=1)) == ()


FILES_BY_RESTART = {"kind": "cold", "options": MigrationOptions(restart=True, copy_storage="all")}
WHAT_NEEDS_US = [
    ("files", FILES_BY_RESTART),
    ("busy", {"kind": "warm", "options": MigrationOptions(stop_seconds=20.0)}),
    ("busy", {"kind": "live", "options": MigrationOptions(post_copy=True)}),
]


class TestTheKillFileInMidMove:
    @pytest.fixture
    def armed(self, crowd: Stage, tmp_path: Path) -> Stage:
        crowd.world.add_guest(GuestSpec("busy", 2, 8192, constantly(1.0), dirty_mib_per_s=2000), "h1")
        crowd.world.add_guest(GuestSpec("files", 2, 1024, constantly(1.0), storage="local", disk_gib=10.0), "h1")
        return replace(crowd, site=replace(crowd.site, kill_file=tmp_path / "stop"))

    @pytest.mark.parametrize(("vm", "how"), WHAT_NEEDS_US)
    def test_what_would_need_another_act_of_ours_is_given_up_and_its_guest_runs_where_it_was(
        self, armed: Stage, tmp_path: Path, vm: str, how: dict[str, Any]
    ) -> None:
        runner = armed.runner(move(vm, "h1", "h2", **how))
        runner.advance()
        armed.wait(5)
        assert armed.is_running(vm) is (vm == "busy")
        (tmp_path / "stop").touch()
        (outcome,) = runner.run_to_end().outcomes
        assert outcome.result is Result.FAILED and "given up: the kill file" in outcome.detail
        assert armed.places()[vm] == "h1" and armed.is_running(vm)
        assert armed.store.failures.since(NOON) == () and armed.store.reservations.all() == ()

    def test_what_the_hypervisors_do_between_them_arrives(self, armed: Stage, tmp_path: Path) -> None:
        runner = armed.runner(move("a", "h1", "h2"))
        runner.advance()
        (tmp_path / "stop").touch()
        assert len(runner.run_to_end().done) == 1 and armed.places()["a"] == "h2"

    def test_a_guest_that_has_gone_on_at_its_target_gets_the_rest_of_its_memory(
        self, armed: Stage, tmp_path: Path
    ) -> None:
        by_post_copy = move("busy", "h1", "h2", kind="live", options=MigrationOptions(post_copy=True))
        runner = armed.runner(by_post_copy, limits=Limits(migration_deadline_seconds=3600))
        armed.world.hang_migration("busy", at_share=0.75)
        runner.advance()
        armed.wait(600)
        assert [migration.is_cut for migration in armed.world.transit.under_way] == [True]
        (tmp_path / "stop").touch()
        assert len(runner.run_to_end().done) == 1
        assert armed.places()["busy"] == "h2" and armed.is_running("busy")

    def test_one_that_appears_while_both_ends_are_asked_is_heeded(self, armed: Stage, tmp_path: Path) -> None:
        class Slow(SimulatedPlatform):
            def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
                (tmp_path / "stop").touch()
                return super().preflight(order)

        (outcome,) = armed.with_platform(Slow(armed.world)).run(move("files", "h1", "h2", **FILES_BY_RESTART)).outcomes
        assert outcome.result is Result.REFUSED and "the kill file" in outcome.detail
        assert armed.is_running("files") and armed.store.journal.latest() == ()
