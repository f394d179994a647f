"""Carrying a plan out: what is done, what is refused, what is left open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action
from balancer.domain.violation import Violation
from balancer.errors import PlatformError
from balancer.execution import Limits, Result
from balancer.platforms.base import MigrationOrder, MigrationStatus
from balancer.platforms.simulated import SimulatedPlatform
from balancer.store.journal import EntryState
from balancer.store.marks import CordonedBy
from tests.execution.stage import Stage, build, move, power, sleep_steps, wake_steps


def results(report: object) -> dict[str, Result]:
    return {outcome.step.id: outcome.result for outcome in report.outcomes}  # type: ignore[attr-defined]


class TestMoves:
    def test_a_plan_is_carried_out_to_its_end(self, stage: Stage) -> None:
        report = stage.run(move("a", "h1", "h3"), move("b", "h1", "h2", "move-a"))
        assert stage.places() == {"a": "h3", "b": "h2", "c": "h2"}
        assert stage.world.casualties == []
        assert not report.needs_replan
        assert report.sentence.startswith("carried out 2 of 2 steps in")
        assert stage.store.journal.unsettled() == ()

    def test_it_is_reported_how_long_each_step_took_beside_what_was_predicted(self, stage: Stage) -> None:
        (outcome,) = stage.run(move("a", "h1", "h3")).outcomes
        assert outcome.predicted_seconds == 5.0
        assert outcome.seconds is not None and outcome.seconds > 0

    def test_a_step_waits_for_what_it_depends_on(self, stage: Stage) -> None:
        runner = stage.runner(move("a", "h1", "h3"), move("b", "h1", "h3", "move-a"))
        runner.advance()
        assert [p.step.vm for p in runner.progress().running] == ["a"]

    def test_no_more_than_two_guests_at_a_time_touch_a_host(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": ["a", "b", "c"], "h2": [], "h3": []})
        runner = stage.runner(*(move(vm, "h1", target) for vm, target in {"a": "h2", "b": "h3", "c": "h2"}.items()))
        runner.advance()
        assert len(stage.world.transit.under_way) == 2
        assert runner.run_to_end().done[2].step.vm == "c"

    def test_no_more_than_the_cluster_allows_are_on_their_way(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": ["a"], "h2": ["b"], "h3": [], "h4": []})
        runner = stage.runner(move("a", "h1", "h3"), move("b", "h2", "h4"), limits=Limits(concurrent=1))
        runner.advance()
        assert len(stage.world.transit.under_way) == 1
        assert len(runner.run_to_end().done) == 2

    def test_a_full_target_does_not_hold_up_the_others(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": ["a"], "h2": ["b"], "h3": ["c"], "h4": [], "h5": []})
        steps = [move("a", "h1", "h4"), move("b", "h2", "h4"), move("c", "h3", "h5")]
        stage.runner(*steps, limits=Limits(concurrent_per_host=1)).advance()
        assert {m.guest.spec.name for m in stage.world.transit.under_way} == {"a", "c"}

    def test_what_was_touched_and_spent_is_remembered(self, stage: Stage) -> None:
        stage.run(move("a", "h1", "h3", memory_mib=1024.0))
        assert f"vm:{stage.world.id_of('a')}" in stage.store.memory.touches()
        assert stage.store.memory.spent_since(stage.clock.now() - timedelta(hours=1)).mib == 1024


class TestSurprises:
    def test_a_guest_moved_by_hand_before_its_step_is_refused_and_the_rest_skipped(self, stage: Stage) -> None:
        stage.world.move_by_hand("a", "h2")
        stage.wait(60)
        report = stage.run(move("a", "h1", "h3"), move("b", "h1", "h3", "move-a"), move("c", "h2", "h3"))
        assert results(report) == {"move-a": Result.REFUSED, "move-b": Result.SKIPPED, "move-c": Result.DONE}
        assert report.needs_replan
        assert "a is on h2, not on h1" in report.sentence

    def test_a_guest_that_somebody_moves_at_this_moment_is_left_to_them(self, stage: Stage) -> None:
        stage.world.move_by_hand("a", "h2")
        (outcome,) = stage.run(move("a", "h1", "h3")).outcomes
        assert (outcome.result, outcome.detail) == (Result.REFUSED, "a is on its way from h1 to h2 already")

    def test_a_guest_that_was_shut_off_is_not_moved_as_if_it_ran(self, stage: Stage) -> None:
        stage.world.stop_guest("a")
        (outcome,) = stage.run(move("a", "h1", "h3")).outcomes
        assert (outcome.result, outcome.detail) == (
            Result.REFUSED,
            "a is shut off, and the plan took it to be running",
        )

    def test_another_guest_of_the_same_name_is_not_moved(self, stage: Stage) -> None:
        (outcome,) = stage.run(move("a", "h1", "h3", vm_id="8a52")).outcomes
        assert outcome.result is Result.REFUSED and "a is another guest now" in outcome.detail

    def test_a_guest_that_is_doubted_stays_where_it_is(self, stage: Stage) -> None:
        stage.world.absurd_metrics("a")
        (outcome,) = stage.run(move("a", "h1", "h3")).outcomes
        assert outcome.result is Result.REFUSED and "vm:a is in doubt" in outcome.detail

    def test_nothing_moves_while_too_many_hosts_are_doubted(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {f"h{n}": [f"g{n}"] for n in range(6)})
        stage.world.make_unreachable("h4")
        assert stage.run(move("g0", "h0", "h1")).done
        stage.world.make_unreachable("h5")
        (outcome,) = stage.run(move("g2", "h2", "h1")).outcomes
        assert outcome.detail.startswith("2 of 6 hosts are in doubt, so nothing is moved: h4: ")

    def test_nothing_moves_to_a_host_that_was_closed(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "disk swap", stage.clock.now(), by=CordonedBy.OPERATOR)
        (outcome,) = stage.run(move("a", "h1", "h3")).outcomes
        assert outcome.detail == "h3 takes no guests: it is cordoned"

    def test_nothing_moves_that_would_break_a_promise_now(self, stage: Stage) -> None:
        def full(before: Cluster, during: Cluster) -> list[Violation]:
            crowded = len(during.guests_of("h3")) > 1
            return [Violation("headroom", "host:h3", 0.1, "h3 would be full")] if crowded else []

        report = stage.run(move("a", "h1", "h3"), move("b", "h1", "h3"), gate=full)
        assert results(report) == {"move-a": Result.DONE, "move-b": Result.REFUSED}
        assert stage.places()["b"] == "h1"

    def test_a_group_may_be_apart_while_it_is_on_its_way(self, stage: Stage) -> None:
        def parted(before: Cluster, during: Cluster) -> list[Violation]:
            return [Violation("together", "vm:a", 1, "a and b are apart", at_rest_only=True)]

        assert len(stage.run(move("a", "h1", "h3"), move("b", "h1", "h3"), gate=parted).done) == 2

    def test_a_move_waits_for_room_that_one_in_flight_will_make(self, stage: Stage) -> None:
        def one_at_a_time(before: Cluster, during: Cluster) -> list[Violation]:
            crowded = len(during.guests_of("h2")) > 1
            return [Violation("headroom", "host:h2", 0.1, "h2 would be full")] if crowded else []

        report = stage.run(move("c", "h2", "h3"), move("a", "h1", "h2"), gate=one_at_a_time)
        assert results(report) == {"move-c": Result.DONE, "move-a": Result.DONE}

    def test_an_old_plan_is_not_begun(self, stage: Stage) -> None:
        runner = stage.runner(move("a", "h1", "h3"))
        stage.wait(3600)
        (outcome,) = runner.run_to_end().outcomes
        assert outcome.detail == "the plan was valid until 2026-11-23 12:30:00"

    def test_steps_that_wait_for_each_other_end_in_words(self, stage: Stage) -> None:
        report = stage.run(move("a", "h1", "h3", "move-b"), move("b", "h1", "h3", "move-a"))
        assert {o.detail for o in report.outcomes} == {"it waits for steps that wait for it"}

    def test_a_stop_lets_what_runs_end_and_starts_nothing_new(self, stage: Stage) -> None:
        runner = stage.runner(move("a", "h1", "h3"), move("b", "h1", "h3", "move-a"))
        runner.advance()
        runner.stop()
        report = runner.run_to_end()
        assert results(report) == {"move-a": Result.DONE, "move-b": Result.SKIPPED}

    def test_a_balancer_that_was_overtaken_does_nothing_more(self, stage: Stage) -> None:
        token = stage.store.lease.acquire("old", 30, stage.clock.now())
        stage.site = replace(stage.site, token=token)
        stage.wait(31)
        stage.store.lease.acquire("new", 30, stage.clock.now())
        report = stage.run(move("a", "h1", "h3"))
        assert results(report) == {"move-a": Result.SKIPPED}
        assert stage.places()["a"] == "h1"


class TestWhatTheGuestSays:
    """Where the guest is decides; what the job says does not."""

    def test_a_success_that_was_reported_as_a_failure_is_a_success(self, stage: Stage) -> None:
        stage.world.succeed_but_report_failure("a")
        report = stage.run(move("a", "h1", "h3"), move("b", "h1", "h3", "move-a"))
        assert results(report) == {"move-a": Result.DONE, "move-b": Result.DONE}
        assert report.outcomes[0].detail == "though the job said: timed out during operation"

    def test_a_job_that_nobody_can_see_has_not_ended(self, stage: Stage) -> None:
        """The guest is at its source, as it is until the last instant of every migration."""

        class Blind(SimulatedPlatform):
            def migration_status(self, order: MigrationOrder) -> MigrationStatus:
                raise PlatformError("h1", "ask for the job", "timed out")

        stage.world.hang_migration("a")
        runner = stage.with_platform(Blind(stage.world)).runner(move("a", "h1", "h3"))
        for _ in range(5):
            assert runner.advance()
            stage.wait(10)
        assert stage.world.transit.under_way

    def test_a_failed_migration_leaves_the_guest_running_at_its_source(self, stage: Stage) -> None:
        stage.world.fail_migration("a")
        report = stage.run(move("a", "h1", "h3"), move("b", "h1", "h3", "move-a"))
        assert results(report) == {"move-a": Result.FAILED, "move-b": Result.SKIPPED}
        assert stage.is_running("a") and stage.place_of("a") == "h1"

    def test_a_migration_that_hangs_is_given_up(self, stage: Stage) -> None:
        stage.world.hang_migration("a")
        (outcome,) = stage.run(move("a", "h1", "h3")).outcomes
        assert (outcome.result, outcome.detail) == (Result.FAILED, "given up after 2 min")
        assert stage.is_running("a") and stage.world.transit.under_way == []

    def test_a_migration_whose_source_died_stays_open_and_freezes_what_it_touched(self, stage: Stage) -> None:
        runner = stage.runner(move("a", "h1", "h3"))
        runner.advance()
        stage.world.crash("h1")
        (outcome,) = runner.run_to_end().outcomes
        assert outcome.result is Result.UNKNOWN and outcome.alarm
        assert [e.state for e in stage.store.journal.unsettled()] == [EntryState.UNKNOWN]
        (next_try,) = stage.run(move("c", "h2", "h3")).outcomes
        assert next_try.result is Result.REFUSED

    def test_a_migration_whose_target_died_is_known_once_the_target_is_certainly_off(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        stage.store.marks.uncordon("h3")
        runner = stage.runner(move("a", "h1", "h3"))
        runner.advance()
        stage.world.crash("h3")
        assert runner.advance(), "h3 might have it"
        stage.world.cut_power("h3")
        (outcome,) = runner.run_to_end().outcomes
        assert outcome.result is Result.FAILED
        assert stage.is_running("a") and stage.place_of("a") == "h1"


class TestPower:
    def test_a_host_is_emptied_and_switched_off(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h2")
        closed, off = sleep_steps("h2", "move-c")
        report = stage.run(closed, move("c", "h2", "h3"), off)
        assert set(results(report).values()) == {Result.DONE}
        assert stage.phase("h2") == "off"
        assert stage.store.marks.of("h2").asleep_by_us
        assert stage.world.casualties == []

    def test_a_host_that_sleeps_wakes_and_takes_guests_again(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        stage.run(*sleep_steps("h3"))
        stage.wait(600)
        on, ready = wake_steps("h3")
        report = stage.run(on, ready, move("a", "h1", "h3", ready.id))
        assert set(results(report).values()) == {Result.DONE}
        marks = stage.store.marks.of("h3")
        assert (marks.asleep_by_us, marks.cordon) == (False, None)
        assert marks.boot_seconds is not None and abs(marks.boot_seconds - 135) <= 2  # 120 to come up, 15 to settle

    def test_a_cordon_that_led_to_nothing_is_lifted(self, stage: Stage) -> None:
        report = stage.run(*sleep_steps("h3"))
        assert results(report) == {"cordon-h3": Result.DONE, "power_off-h3": Result.REFUSED}
        assert stage.store.marks.of("h3").cordon is None

    def test_who_leads_no_more_lifts_no_cordon_that_may_be_the_next_ones(self, stage: Stage) -> None:
        token = stage.store.lease.acquire("old", 30, stage.clock.now())
        stage.site = replace(stage.site, token=token)
        runner = stage.runner(*sleep_steps("h3"))
        runner.advance()
        stage.wait(31)
        stage.store.lease.acquire("new", 30, stage.clock.now())
        runner.run_to_end()
        assert stage.store.marks.of("h3").cordon is not None

    def test_a_host_that_is_to_be_emptied_later_stays_closed(self, stage: Stage) -> None:
        stage.store.memory.intend_sleep("h3", "night", stage.clock.now())
        stage.run(*sleep_steps("h3"))
        assert stage.store.marks.of("h3").cordon is not None

    def test_a_sleeping_host_is_no_doubt(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        stage.run(*sleep_steps("h3"))
        stage.make_ready_for_sleep("h2")
        report = stage.run(move("c", "h2", "h1"), power(Action.POWER_OFF, "h2", "move-c"))
        assert set(results(report).values()) == {Result.DONE}
