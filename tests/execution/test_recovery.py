"""What a new start makes of steps that were begun and whose end nobody saw."""

from __future__ import annotations

from datetime import timedelta

import pytest

from balancer.domain.plan import Action, Step
from balancer.errors import PlatformError
from balancer.execution import Result, Settled, Verdict, look, settle_the_past
from balancer.platforms.base import MigrationOrder, MigrationPhase, MigrationStatus, Whereabouts
from balancer.platforms.simulated import SimulatedPlatform
from balancer.simulation.machines import GuestSpec, constantly
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.marks import CordonedBy
from tests.execution.stage import NOON, Stage, move, power, sleep_steps

MOVE_A = move("a", "h1", "h3")


def begun(stage: Stage, step: Step, seconds_ago: float = 60) -> JournalEntry:
    """Let a former process have written down that a step begins."""
    at = stage.clock.now() - timedelta(seconds=seconds_ago)
    vm_id = stage.world.id_of(step.vm) if step.vm else None
    return stage.store.journal.begin(JournalEntry(at, "before-the-crash", step, vm_id))


def settled(stage: Stage) -> Settled:
    """Find out about the one thing that is open."""
    (found,) = [s for s in settle_the_past(stage.site) if s.entry is not None]
    return found


class TestMoves:
    def test_one_that_was_never_asked_for_is_undone(self, stage: Stage) -> None:
        entry = begun(stage, MOVE_A)
        assert settled(stage).verdict is Verdict.UNDONE
        assert stage.places()["a"] == "h1"
        after = stage.store.journal.entry(entry.id)
        assert after and after.state is EntryState.UNDONE

    def test_one_that_arrived_meanwhile_is_done(self, stage: Stage) -> None:
        begun(stage, MOVE_A)
        stage.world.move_by_hand("a", "h3")
        stage.wait(60)
        assert settled(stage).verdict is Verdict.DONE

    def test_one_that_still_runs_is_adopted_and_seen_to_its_end(self, stage: Stage) -> None:
        begun(stage, MOVE_A)
        stage.world.hang_migration("a")
        stage.world.move_by_hand("a", "h3")
        assert settled(stage).verdict is Verdict.ADOPTED
        stage.world.abort_migration(stage.world.id_of("a"))
        assert settled(stage).verdict is Verdict.UNDONE

    def test_one_that_may_still_be_on_the_wire_is_waited_for(self, stage: Stage) -> None:
        begun(stage, MOVE_A, seconds_ago=1)
        assert settled(stage).verdict is Verdict.ADOPTED
        stage.wait(30)
        assert settled(stage).verdict is Verdict.UNDONE

    def test_an_adopted_guest_counts_at_both_ends_and_is_left_alone(self, stage: Stage) -> None:
        begun(stage, MOVE_A, seconds_ago=1)
        assert [vm.name for vm in look(stage.site).guests_of("h3")] == ["a"]
        (outcome,) = stage.run(move("a", "h1", "h2")).outcomes
        assert outcome.result is Result.REFUSED

    def test_one_whose_ends_cannot_be_asked_freezes_what_it_touches(self, stage: Stage) -> None:
        begun(stage, MOVE_A)
        stage.world.make_unreachable("h1")
        found = settled(stage)
        assert (found.verdict, found.alarm) == (Verdict.UNKNOWN, True)
        assert {"vm:a", "host:h1", "host:h3"} <= look(stage.site).doubted
        stage.world.heal("h1")
        assert settled(stage).verdict is Verdict.UNDONE
        assert look(stage.site).doubts == ()

    def test_a_guest_that_runs_twice_is_an_alarm_and_freezes_both(self, stage: Stage) -> None:
        class Doubling(SimulatedPlatform):
            def whereabouts(self, vm_id: str) -> Whereabouts:
                return Whereabouts(active_on=("h1", "h3"), defined_on=("h1", "h3"))

        begun(stage, MOVE_A)
        doubled = stage.with_platform(Doubling(stage.world))
        found = settled(doubled)
        assert (found.verdict, found.alarm) == (Verdict.UNKNOWN, True)
        assert found.words == "runs on h1 and h3 at the same time"
        assert {"vm:a", "host:h1", "host:h3"} <= look(doubled.site).doubted

    def test_a_guest_that_is_nowhere_is_an_alarm(self, stage: Stage) -> None:
        class Losing(SimulatedPlatform):
            def whereabouts(self, vm_id: str) -> Whereabouts:
                return Whereabouts()

            def migration_status(self, order: MigrationOrder) -> MigrationStatus:
                return MigrationStatus(MigrationPhase.ENDED)

        begun(stage, MOVE_A)
        found = settled(stage.with_platform(Losing(stage.world)))
        assert (found.verdict, found.alarm) == (Verdict.FAILED, True)

    def test_a_guest_that_is_nowhere_may_be_where_nobody_was_asked(self, stage: Stage) -> None:
        class Losing(SimulatedPlatform):
            def whereabouts(self, vm_id: str) -> Whereabouts:
                return Whereabouts(not_asked={"h2": "does not answer"})

        begun(stage, MOVE_A)
        assert settled(stage.with_platform(Losing(stage.world))).verdict is Verdict.UNKNOWN

    def test_an_orphan_that_outlived_its_deadline_is_given_up(self, stage: Stage) -> None:
        stage.world.hang_migration("a")
        stage.world.move_by_hand("a", "h3")
        begun(stage, MOVE_A, seconds_ago=121)
        found = settled(stage)
        assert (found.verdict, found.words) == (Verdict.ADOPTED, "given up after 2 min, and it still runs")
        assert settled(stage).verdict is Verdict.UNDONE
        assert stage.is_running("a")

    def test_an_orphan_that_cannot_be_stopped_becomes_a_doubt(self, stage: Stage) -> None:
        class Stubborn(SimulatedPlatform):
            def abort_migration(self, order: MigrationOrder) -> None:
                raise PlatformError("h1", "abort", "the monitor is busy")

        stage.world.hang_migration("a")
        stage.world.move_by_hand("a", "h3")
        begun(stage, MOVE_A, seconds_ago=200)
        stubborn = stage.with_platform(Stubborn(stage.world))
        assert settled(stubborn).verdict is Verdict.UNKNOWN
        assert "vm:a" in look(stubborn.site).doubted

    def test_a_guest_that_arrived_is_not_sent_on_before_its_arrival_is_settled(self, stage: Stage) -> None:
        begun(stage, MOVE_A)
        stage.world.move_by_hand("a", "h3")
        stage.wait(60)
        (outcome,) = stage.run(move("a", "h3", "h2")).outcomes
        assert outcome.result is Result.REFUSED and "an earlier step has not ended" in outcome.detail

    def test_a_guest_that_is_at_its_source_is_not_undone_while_the_target_is_silent(self, stage: Stage) -> None:
        """The target may hold a copy that the source knows nothing of."""
        begun(stage, MOVE_A)
        stage.world.make_unreachable("h3")
        assert settled(stage).verdict is Verdict.UNKNOWN


class TestPowerOff:
    def test_a_host_that_went_is_marked_as_ours(self, stage: Stage) -> None:
        begun(stage, power(Action.POWER_OFF, "h3"))
        stage.world.shut_down("h3")
        stage.wait(60)
        assert settled(stage).verdict is Verdict.DONE
        assert stage.store.marks.of("h3").asleep_by_us

    def test_one_that_may_still_go_is_waited_for_and_takes_no_guests(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "to sleep", stage.clock.now())
        begun(stage, power(Action.POWER_OFF, "h3"))
        assert settled(stage).verdict is Verdict.ADOPTED
        assert stage.store.marks.of("h3").cordon is not None

    def test_one_that_was_asked_and_never_went_may_yet_go_and_stays_closed(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "to sleep", stage.clock.now())
        begun(stage, power(Action.POWER_OFF, "h3"), seconds_ago=301)
        found = settled(stage)
        assert (found.verdict, found.alarm) == (Verdict.UNDONE, True)
        assert stage.store.marks.of("h3").cordon is not None
        assert stage.store.marks.of("h3").quarantine is not None

    def test_one_that_has_guests_now_stays_closed_and_is_an_alarm(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "to sleep", stage.clock.now())
        begun(stage, power(Action.POWER_OFF, "h3"), seconds_ago=301)
        stage.world.add_guest(GuestSpec("late", 1, 512, constantly(0.1)), "h3")
        found = settled(stage)
        assert (found.verdict, found.alarm) == (Verdict.UNDONE, True)
        assert stage.store.marks.of("h3").cordon is not None
        stage.wait(3600)
        assert stage.is_running("late")

    def test_a_bmc_that_says_off_while_the_host_answers_is_not_believed(self, stage: Stage) -> None:
        begun(stage, power(Action.POWER_OFF, "h3"))
        stage.world.swap_bmcs("h3", "h2")
        stage.world.stop_guest("c")
        stage.world.cut_power("h2")
        assert settled(stage).verdict is Verdict.ADOPTED
        assert not stage.store.marks.of("h3").asleep_by_us

    def test_one_that_nobody_can_see_stays_a_doubt(self, stage: Stage) -> None:
        begun(stage, power(Action.POWER_OFF, "h3"), seconds_ago=301)
        stage.world.crash("h3")
        stage.world.stop_bmc("h3")
        assert settled(stage).verdict is Verdict.UNKNOWN
        assert "host:h3" in look(stage.site).doubted
        assert not stage.store.marks.of("h3").asleep_by_us


class TestPowerOn:
    @pytest.fixture
    def asleep(self, stage: Stage) -> Stage:
        stage.make_ready_for_sleep("h3")
        stage.run(*sleep_steps("h3"))
        return stage

    def test_a_host_that_answers_meanwhile_is_taken_back(self, asleep: Stage) -> None:
        begun(asleep, power(Action.POWER_ON, "h3"))
        asleep.world.power_on("h3")
        asleep.wait(200)
        assert settled(asleep).verdict is Verdict.DONE
        marks = asleep.store.marks.of("h3")
        assert (marks.asleep_by_us, marks.cordon) == (False, None)

    def test_one_that_still_boots_is_waited_for_and_is_no_doubt(self, asleep: Stage) -> None:
        begun(asleep, power(Action.POWER_ON, "h3"))
        asleep.world.power_on("h3")
        assert settled(asleep).verdict is Verdict.ADOPTED
        assert look(asleep.site).doubts == ()

    def test_one_that_was_never_asked_sleeps_on(self, asleep: Stage) -> None:
        begun(asleep, power(Action.POWER_ON, "h3"))
        assert settled(asleep).verdict is Verdict.UNDONE
        assert asleep.phase("h3") == "off"
        assert asleep.store.marks.of("h3").asleep_by_us

    def test_one_that_never_comes_leaves_the_power_scheme(self, asleep: Stage) -> None:
        begun(asleep, power(Action.POWER_ON, "h3"), seconds_ago=601)
        asleep.world.never_boots("h3")
        asleep.world.power_on("h3")
        found = settled(asleep)
        assert (found.verdict, found.alarm) == (Verdict.FAILED, True)
        assert asleep.store.marks.of("h3").quarantine is not None


class TestMarks:
    def test_a_cordon_that_outlived_its_plan_is_lifted(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "to sleep", NOON)
        settle_the_past(stage.site)
        assert stage.store.marks.of("h3").cordon is None

    def test_a_cordon_of_a_running_plan_stays(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h2")
        runner = stage.runner(*sleep_steps("h2", "move-c"), move("c", "h2", "h3"))
        runner.advance()
        settle_the_past(stage.site, held=runner.held())
        assert stage.store.marks.of("h2").cordon is not None

    def test_a_cordon_of_an_operator_stays(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "disk swap", NOON, by=CordonedBy.OPERATOR)
        settle_the_past(stage.site)
        assert stage.store.marks.of("h3").cordon is not None

    def test_a_host_that_is_to_be_emptied_stays_closed(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "to sleep", NOON)
        stage.store.memory.intend_sleep("h3", "night", NOON)
        settle_the_past(stage.site)
        assert stage.store.marks.of("h3").cordon is not None

    def test_a_sleeper_that_somebody_woke_is_taken_back(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        stage.run(*sleep_steps("h3"))
        stage.world.power_on("h3")
        stage.wait(200)
        (found,) = settle_the_past(stage.site)
        assert "somebody woke it" in found.words
        assert stage.run(move("a", "h1", "h3")).done
