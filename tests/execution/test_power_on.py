"""Waking: only what the balancer put to sleep, and awake is what answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.host import HostState
from balancer.domain.plan import Action
from balancer.execution import Limits, Outcome, Result, look
from balancer.execution.recovery import Verdict, settle_the_past
from balancer.platforms.simulated import SimulatedPlatform
from balancer.store.marks import CordonedBy
from tests.execution.stage import Stage, build, move, power, sleep_steps, wake_steps

ON_H3 = power(Action.POWER_ON, "h3")


@pytest.fixture
def asleep(stage: Stage) -> Stage:
    """h3 was put to sleep by the balancer."""
    stage.make_ready_for_sleep("h3")
    stage.run(*sleep_steps("h3"))
    assert stage.phase("h3") == "off"
    return stage


def wake(stage: Stage, **limits: object) -> Outcome:
    (outcome,) = stage.run(ON_H3, limits=Limits(**limits)).outcomes  # type: ignore[arg-type]
    return outcome


class TestWhoIsWoken:
    def test_a_host_that_somebody_else_switched_off_is_left_alone(self, stage: Stage) -> None:
        stage.world.cut_power("h3")
        outcome = wake(stage)
        assert outcome.result is Result.REFUSED
        assert "was not put to sleep by the balancer" in outcome.detail
        assert stage.phase("h3") == "off"

    def test_one_that_the_policy_lists_is_woken(self, stage: Stage) -> None:
        stage.world.cut_power("h3")
        assert wake(stage, wake=frozenset({"h3"})).result is Result.DONE
        assert stage.phase("h3") == "up"

    def test_doubts_elsewhere_do_not_keep_a_host_asleep(self, asleep: Stage) -> None:
        asleep.world.make_unreachable("h1")
        asleep.world.make_unreachable("h2")
        assert wake(asleep).result is Result.DONE


class TestWhenItIsAwake:
    def test_power_alone_is_not_enough(self, asleep: Stage) -> None:
        runner = asleep.runner(*wake_steps("h3"), move("a", "h1", "h3", "wait_ready-h3"))
        for _ in range(3):
            runner.advance()
            asleep.wait(10)
        assert asleep.site.switches["h3"].state() == "on"
        assert [p.step.id for p in runner.progress().running] == [ON_H3.id]
        assert look(asleep.site).host("h3").state is HostState.WAKING

    def test_a_host_that_does_not_come_is_named_and_left_for_a_person(self, asleep: Stage) -> None:
        asleep.world.never_boots("h3")
        report = asleep.run(*wake_steps("h3"), move("a", "h1", "h3", "wait_ready-h3"), move("c", "h2", "h1"))
        assert [o.result for o in report.outcomes] == [Result.FAILED, Result.SKIPPED, Result.SKIPPED, Result.DONE]
        (alarm,) = report.alarms
        assert "h3 did not wake within 10 min: its BMC says on, its hypervisor is silent" in alarm
        assert asleep.store.marks.of("h3").quarantine is not None

    def test_a_command_that_the_bmc_lost_is_asked_for_again(self, asleep: Stage) -> None:
        asleep.world.busy_bmc("h3")
        runner = asleep.runner(ON_H3)
        runner.advance()
        asleep.world.heal("h3")
        assert [o.result for o in runner.run_to_end().outcomes] == [Result.DONE]

    def test_a_bmc_that_says_on_of_a_silent_host_is_asked_all_the_same(self, asleep: Stage) -> None:
        asleep.world.make_bmc_lie("h3", says_on=True)
        assert wake(asleep).result is Result.DONE
        assert asleep.phase("h3") == "up"

    def test_a_dead_bmc_is_said_in_its_own_words(self, asleep: Stage) -> None:
        asleep.world.stop_bmc("h3")
        assert "the BMC: does not answer" in wake(asleep).detail

    def test_an_operators_cordon_outlives_the_sleep(self, asleep: Stage) -> None:
        asleep.store.marks.uncordon("h3")
        asleep.store.marks.cordon("h3", "disk swap", asleep.clock.now(), by=CordonedBy.OPERATOR)
        assert wake(asleep).result is Result.DONE
        assert asleep.store.marks.of("h3").cordon is not None

    def test_a_host_whose_guests_run_elsewhere_too_stays_closed(self, asleep: Stage) -> None:
        class Clashing(SimulatedPlatform):
            def observe(self) -> Cluster:
                clash = Doubt(subject="host:h3", kind="clash", detail="a may run twice")
                return super().observe().model_copy(update={"doubts": (clash,)})

        outcome = wake(asleep.with_platform(Clashing(asleep.world)))
        assert (outcome.result, outcome.alarm) == (Result.FAILED, True)
        assert asleep.store.marks.of("h3").cordon is not None

    def test_that_it_woke_is_a_proof_that_it_wakes(self, asleep: Stage) -> None:
        asleep.wait(3600)
        wake(asleep)
        assert asleep.store.marks.of("h3").wake_proven_at == asleep.clock.now()


class TestReady:
    """Answering is not enough: what guests need has to be there, and to last."""

    @pytest.fixture
    def furnished(self, tmp_path: Path) -> Stage:
        """h3 has a pool and a network, and was put to sleep by the balancer."""
        stage = build(tmp_path, {"h1": ["a"], "h2": [], "h3": []}, pools=("images",), networks=("lan",))
        stage.make_ready_for_sleep("h3")
        stage.run(*sleep_steps("h3"))
        return stage

    def test_it_answers_for_a_while_before_guests_come(self, furnished: Stage) -> None:
        begun = furnished.clock.now()
        assert wake(furnished).result is Result.DONE
        waited = (furnished.clock.now() - begun).total_seconds()
        assert waited >= 120 + 15

    @pytest.mark.parametrize(("lost", "said"), [("images", "storage pool images"), ("lan", "network lan")])
    def test_one_without_a_pool_or_a_network_of_before_stays_closed(
        self, furnished: Stage, lost: str, said: str
    ) -> None:
        furnished.world.lose("h3", lost)
        report = furnished.run(*wake_steps("h3"), move("a", "h1", "h3", "wait_ready-h3"))
        assert [o.result for o in report.outcomes] == [Result.FAILED, Result.SKIPPED, Result.SKIPPED]
        assert said in report.alarms[0]
        marks = furnished.store.marks.of("h3")
        assert marks.cordon is not None and marks.quarantine is not None
        assert furnished.place_of("a") == "h1"

    def test_one_whose_pool_comes_up_late_is_waited_for(self, furnished: Stage) -> None:
        furnished.world.lose("h3", "images")
        runner = furnished.runner(ON_H3)
        for _ in range(20):
            runner.advance()
            furnished.wait(10)
        assert runner.advance()
        furnished.world.heal("h3")
        assert [o.result for o in runner.run_to_end().outcomes] == [Result.DONE]
        assert furnished.store.marks.of("h3").cordon is None

    def test_one_that_is_not_measured_is_waited_for_and_awake_at_the_deadline_all_the_same(
        self, furnished: Stage
    ) -> None:
        furnished.world.forget_metrics("h3")
        begun = furnished.clock.now()
        assert wake(furnished).result is Result.DONE
        assert (furnished.clock.now() - begun).total_seconds() >= furnished.site.file.wake_deadline_seconds
        assert look(furnished.site).is_doubted(look(furnished.site).host("h3"))

    def test_after_a_restart_in_its_middle_it_is_held_to_the_same(self, furnished: Stage) -> None:
        furnished.world.lose("h3", "images")
        furnished.runner(ON_H3).advance()
        reborn = furnished.after_restart()
        reborn.wait(300)
        assert [each.verdict for each in settle_the_past(reborn.site)] == [Verdict.ADOPTED]
        reborn.wait(400)
        settle_the_past(reborn.site)
        marks = reborn.store.marks.of("h3")
        assert marks.cordon is not None and marks.quarantine is not None


class TestHowLongItTakes:
    def test_the_slowest_of_a_few_boots_counts(self, asleep: Stage) -> None:
        for seconds in (100.0, 300.0, 120.0):
            asleep.store.marks.prove_wake("h3", asleep.clock.now(), seconds)
        assert asleep.store.marks.of("h3").boot_seconds == 300.0
        assert look(asleep.site).host("h3").boot_seconds == 300.0

    def test_of_many_one_slow_boot_is_an_accident_and_old_ones_are_forgotten(self, asleep: Stage) -> None:
        for seconds in (500.0, 300.0, *(100.0 + n for n in range(19))):
            asleep.store.marks.prove_wake("h3", asleep.clock.now(), seconds)
        assert asleep.store.marks.of("h3").boot_seconds == 118.0
        assert asleep.store.boots.counts() == {"h3": 20}
