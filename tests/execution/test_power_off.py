"""Trying to make the balancer cut the power of a host that somebody needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.plan import Action, Step
from balancer.domain.violation import Violation
from balancer.domain.vm import Vm, VmState
from balancer.errors import PlatformError
from balancer.execution import Limits, Outcome, Result, look, reasons_against_power_off
from balancer.platforms.base import MigrationOrder
from balancer.platforms.simulated import SimulatedPlatform
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import GuestSpec, constantly
from balancer.simulation.world import World
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.marks import IdentityProof, ProofMethod
from tests.execution.stage import NOON, Stage, build, move, power

OFF_H3 = power(Action.POWER_OFF, "h3")


@pytest.fixture
def ripe(stage: Stage) -> Stage:
    """h3 is empty and everything that may be asked for is so: it would be switched off."""
    stage.make_ready_for_sleep("h3")
    assert reasons_against_power_off(stage.site, "h3", look(stage.site), Limits()) == []
    return stage


def switch_off(stage: Stage, **limits: object) -> Outcome:
    (outcome,) = stage.run(OFF_H3, limits=Limits(**limits)).outcomes  # type: ignore[arg-type]
    return outcome


class Platform(SimulatedPlatform):
    """The simulated platform, with words put into its mouth."""

    sees: Callable[[Cluster], Cluster] = staticmethod(lambda cluster: cluster)
    reasons: tuple[str, ...] | None = None
    fails_to_list_guests = False

    def observe(self) -> Cluster:
        return self.sees(super().observe())

    def reasons_to_stay_on(self, host: str) -> tuple[str, ...]:
        if self.fails_to_list_guests:
            raise PlatformError(host, "list what runs here", "timed out")
        return super().reasons_to_stay_on(host) if self.reasons is None else self.reasons


def with_words(stage: Stage, **words: object) -> Stage:
    platform = Platform(stage.world)
    for name, value in words.items():
        setattr(platform, name, value)
    return stage.with_platform(platform)


def with_guest_seen(**changes: object) -> Callable[[Cluster], Cluster]:
    def sees(cluster: Cluster) -> Cluster:
        ghost = Vm(name="ghost", host="h3", vcpus=1, memory_mib=1.0).model_copy(update=changes)
        return cluster.model_copy(update={"vms": (*cluster.vms, ghost)})

    return sees


# -- each of these breaks one condition of a host that is otherwise ripe


def may_not_sleep(stage: Stage) -> Stage:
    hosts = tuple(h.model_copy(update={"may_sleep": h.name != "h3"}) for h in stage.site.file.hosts)
    return replace(stage, site=replace(stage.site, file=stage.site.file.model_copy(update={"hosts": hosts})))


def enough_asleep(stage: Stage) -> Stage:
    file = stage.site.file.model_copy(update={"max_hosts_asleep": 0})
    return replace(stage, site=replace(stage.site, file=file))


def in_maintenance_by_nobody_knows_whom(stage: Stage) -> Stage:
    return with_words(stage, sees=lambda cluster: cluster.with_host("h3", state=HostState.WAKING))


def a_doubt_elsewhere(stage: Stage) -> Stage:
    stage.world.forget_metrics("c")
    return stage


def a_host_elsewhere_is_silent(stage: Stage) -> Stage:
    stage.world.make_unreachable("h2")
    return stage


def the_look_shows_a_guest(stage: Stage) -> Stage:
    return with_words(stage, sees=with_guest_seen())


def the_look_shows_a_guest_of_unknown_state(stage: Stage) -> Stage:
    return with_words(stage, sees=with_guest_seen(state=VmState.UNKNOWN))


def the_look_shows_a_cold_guest_on_its_way(stage: Stage) -> Stage:
    return with_words(stage, sees=with_guest_seen(host="h1", moving_to="h3", state=VmState.SHUT_OFF))


def an_unsettled_step_names_it(stage: Stage) -> Stage:
    stage.store.journal.begin(JournalEntry(stage.clock.now(), "other", power(Action.WAIT_READY, "h3")))
    return stage


def the_hypervisor_lists_something(stage: Stage) -> Stage:
    return with_words(stage, reasons=("a disk of x is being copied",))


def the_hypervisor_cannot_be_asked(stage: Stage) -> Stage:
    return with_words(stage, fails_to_list_guests=True)


def a_shut_off_guest_is_defined_here(stage: Stage) -> Stage:
    stage.world.add_guest(GuestSpec("spare", 1, 512, constantly(0.1)), "h3", running=False)
    return stage


def it_is_not_cordoned(stage: Stage) -> Stage:
    stage.store.marks.uncordon("h3")
    return stage


def it_has_no_bmc(stage: Stage) -> Stage:
    return replace(stage, site=replace(stage.site, switches={}))


def its_bmc_is_dead(stage: Stage) -> Stage:
    stage.world.stop_bmc("h3")
    return stage


def its_bmc_does_not_know(stage: Stage) -> Stage:
    stage.world.make_bmc_vague("h3")
    return stage


def its_bmc_is_swapped(stage: Stage) -> Stage:
    stage.world.swap_bmcs("h3", "h1")
    return stage


def its_wake_is_not_proven(stage: Stage) -> Stage:
    stage.store.marks.release("h3")
    stage.store.marks.quarantine("h3", "-", stage.clock.now())
    stage.store.marks.release("h3")
    return stage


def its_wake_was_proven_too_long_ago(stage: Stage) -> Stage:
    stage.store.marks.prove_wake("h3", stage.clock.now() - timedelta(days=91))
    return stage


def it_is_in_quarantine(stage: Stage) -> Stage:
    stage.store.marks.quarantine("h3", "did not shut down", stage.clock.now())
    stage.store.marks.prove_wake("h3", stage.clock.now())
    return stage


BROKEN: dict[Callable[[Stage], Stage], str] = {
    may_not_sleep: "the site file does not say `may_sleep: true` for it",
    enough_asleep: "0 hosts sleep or fall asleep already, the site file allows 0",
    in_maintenance_by_nobody_knows_whom: "it is waking",
    a_doubt_elsewhere: "nothing sleeps while anything is in doubt: vm:c",
    a_host_elsewhere_is_silent: "nothing sleeps while anything is in doubt: host:h2",
    the_look_shows_a_guest: "it carries ghost",
    the_look_shows_a_guest_of_unknown_state: "it carries ghost",
    the_look_shows_a_cold_guest_on_its_way: "ghost is on its way to or from it",
    an_unsettled_step_names_it: "a step that touches it has not ended: wait ready h3",
    the_hypervisor_lists_something: "its hypervisor says: a disk of x is being copied",
    the_hypervisor_cannot_be_asked: "its hypervisor could not be asked what it runs: h3: list what runs here",
    a_shut_off_guest_is_defined_here: "spare is defined on it and could not start meanwhile",
    it_is_not_cordoned: "it is not cordoned",
    it_has_no_bmc: "it has no BMC in the site file",
    its_bmc_is_dead: "its BMC cannot be used",
    its_bmc_does_not_know: "its BMC says that it is unknown",
    its_bmc_is_swapped: "BMC of h3 at simulated:h3 is h1's; are the two entries exchanged?",
    its_wake_is_not_proven: "that it wakes has not been proven: balancer power test h3",
    its_wake_was_proven_too_long_ago: "that it wakes was proven more than 90 days ago",
    it_is_in_quarantine: "it left the power scheme: did not shut down",
}


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda broken: broken.__name__)
def test_one_broken_condition_is_enough_to_keep_the_power(ripe: Stage, break_it: Callable[[Stage], Stage]) -> None:
    stage = break_it(ripe)
    outcome = switch_off(stage)
    assert outcome.result is Result.REFUSED
    assert BROKEN[break_it] in outcome.detail
    stage.wait(600)
    assert {host: stage.phase(host) for host in stage.world.hosts} == dict.fromkeys(stage.world.hosts, "up")


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda broken: broken.__name__)
def test_the_condition_is_the_only_one_that_keeps_it(
    ripe: Stage, break_it: Callable[[Stage], Stage], request: pytest.FixtureRequest
) -> None:
    """So that taking the condition's code out turns the test above red."""
    stage = break_it(ripe)
    reasons = reasons_against_power_off(stage.site, "h3", look(stage.site), Limits())
    # Without a BMC, or with a dead one, its identity cannot be proven either: two locks on one door.
    doubly_locked = {it_has_no_bmc, its_bmc_is_dead}
    assert len(reasons) == (2 if break_it in doubly_locked else 1), reasons


def test_a_ripe_host_goes(ripe: Stage) -> None:
    assert switch_off(ripe).result is Result.DONE
    assert ripe.phase("h3") == "off"


def test_shut_off_guests_are_accepted_by_the_policys_word(ripe: Stage) -> None:
    a_shut_off_guest_is_defined_here(ripe)
    assert switch_off(ripe, accept_shut_off_guests=True).result is Result.DONE


def test_a_promise_that_needs_the_host_keeps_its_power(ripe: Stage) -> None:
    def keep_three(before: Cluster, during: Cluster) -> list[Violation]:
        on = sum(host.is_on for host in during.hosts)
        return [Violation("hosts_on", "site:lab", 3 - on, f"{on} hosts on, 3 wanted")] if on < 3 else []

    (outcome,) = ripe.run(OFF_H3, gate=keep_three).outcomes
    assert (outcome.result, ripe.phase("h3")) == (Result.REFUSED, "up")


def test_a_host_that_a_guest_is_moving_to_keeps_its_power(ripe: Stage) -> None:
    ripe.store.marks.uncordon("h3")
    runner = ripe.runner(move("a", "h1", "h3"))
    runner.advance()
    ripe.store.marks.cordon("h3", "to sleep", ripe.clock.now())
    assert switch_off(ripe).result is Result.REFUSED
    runner.run_to_end()
    assert ripe.is_running("a") and ripe.place_of("a") == "h3"


class TestIdentity:
    def test_a_witnessed_proof_serves_where_the_bmc_has_no_guid(self, tmp_path: Path) -> None:
        stage = witnessed_stage(tmp_path)
        assert switch_off(stage).result is Result.DONE

    @pytest.mark.parametrize(
        "stored",
        [
            IdentityProof(NOON, ProofMethod.WITNESSED, "simulated:elsewhere", None, None),
            IdentityProof(NOON, ProofMethod.WITNESSED, "simulated:h3", "another-guid", None),
            IdentityProof(NOON, ProofMethod.WITNESSED, "simulated:h3", None, "another-machine"),
        ],
        ids=["another address", "another guid", "another machine at the hypervisor's address"],
    )
    def test_a_changed_address_guid_or_machine_voids_the_proof(self, tmp_path: Path, stored: IdentityProof) -> None:
        stage = witnessed_stage(tmp_path)
        stage.store.marks.prove_identity("h3", stored)
        outcome = switch_off(stage)
        assert outcome.result is Result.REFUSED
        assert "is not the one that was tested" in outcome.detail

    def test_a_stored_guid_proof_does_not_serve_a_bmc_that_reports_none_now(self, tmp_path: Path) -> None:
        stage = witnessed_stage(tmp_path)
        proof = IdentityProof(stage.clock.now(), ProofMethod.GUID, "simulated:h3", None, None)
        stage.store.marks.prove_identity("h3", proof)
        assert switch_off(stage).result is Result.REFUSED


def witnessed_stage(tmp_path: Path) -> Stage:
    """h3 is ripe, and its BMC was witnessed: it reports no GUID."""
    stage = build(tmp_path, {"h1": ["a"], "h2": [], "h3": []}, bmc_has_guid=False)
    now = stage.clock.now()
    stage.store.marks.cordon("h3", "to sleep", now)
    stage.store.marks.prove_wake("h3", now)
    uuid = stage.site.platform.host_uuid("h3")
    stage.store.marks.prove_identity("h3", IdentityProof(now, ProofMethod.WITNESSED, "simulated:h3", None, uuid))
    return stage


class MeddlingSwitch(SimulatedSwitch):
    """A BMC beside which somebody starts a guest, just before or just after the host is asked to shut down."""

    def __init__(self, world: World, host: str, before: Callable[[], None], after: Callable[[], None]) -> None:
        super().__init__(world, host)
        self._before, self._after = before, after

    def shut_down(self) -> None:
        self._before()
        super().shut_down()
        self._after()


def nothing() -> None:
    """Let nothing happen."""


class LastSecond(SimulatedPlatform):
    """A platform on which a guest is started between all the checks and the last question."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.world)
        self._stage = stage

    def reasons_to_stay_on(self, host: str) -> tuple[str, ...]:
        begun = self._stage.store.journal.unsettled()
        if begun and "late" not in self._stage.world.guests:
            self._stage.world.add_guest(GuestSpec("late", 1, 512, constantly(0.1)), host)
        return super().reasons_to_stay_on(host)


def meddled(stage: Stage, before: Callable[[], None] = nothing, after: Callable[[], None] = nothing) -> Stage:
    switches = {**stage.site.switches, "h3": MeddlingSwitch(stage.world, "h3", before, after)}
    return replace(stage, site=replace(stage.site, switches=switches))


class TestTheLastSecond:
    def test_a_guest_that_is_started_after_all_checks_keeps_the_power_on(self, ripe: Stage) -> None:
        stage = ripe.with_platform(LastSecond(ripe))
        outcome = switch_off(stage)
        assert (outcome.result, outcome.detail) == (Result.REFUSED, "in the last moment: late is running")
        stage.wait(600)
        assert stage.is_running("late") and stage.phase("h3") == "up"

    def test_power_is_never_cut_once_a_guest_was_seen_after_the_shutdown_began(self, ripe: Stage) -> None:
        def start_late() -> None:
            ripe.world.add_guest(GuestSpec("late", 1, 512, constantly(0.1)), "h3")

        ripe.world.refuse_soft_shutdown("h3")
        outcome = switch_off(meddled(ripe, after=start_late), hard_off_allowed=True)
        assert outcome.result is Result.FAILED and outcome.alarm
        assert "late is running" in outcome.detail
        ripe.wait(3600)
        assert ripe.is_running("late") and ripe.world.casualties == []

    def test_a_guest_that_came_and_went_still_forbids_to_cut(self, ripe: Stage) -> None:
        runner = meddled(ripe).runner(OFF_H3, limits=Limits(hard_off_allowed=True))
        ripe.world.refuse_soft_shutdown("h3")
        runner.advance()
        ripe.world.add_guest(GuestSpec("late", 1, 512, constantly(0.1)), "h3")
        runner.advance()
        ripe.world.stop_guest("late")
        runner.run_to_end()
        assert ripe.phase("h3") == "up"

    def test_a_host_that_went_down_under_a_guest_is_an_alarm_and_may_be_woken(self, ripe: Stage) -> None:
        ripe.world.refuse_soft_shutdown("h3")
        runner = ripe.runner(OFF_H3)
        runner.advance()
        ripe.world.add_guest(GuestSpec("late", 1, 512, constantly(0.1)), "h3")
        runner.advance()
        ripe.world.cut_power("h3")
        (outcome,) = runner.run_to_end().outcomes
        assert outcome.result is Result.FAILED and outcome.alarm
        assert outcome.detail == "it went down under guests: late is running"
        assert ripe.store.marks.of("h3").asleep_by_us


class TestASoftShutdownThatDoesNotEnd:
    def test_the_host_stays_on_and_leaves_the_power_scheme(self, ripe: Stage) -> None:
        ripe.world.refuse_soft_shutdown("h3")
        outcome = switch_off(ripe)
        assert outcome.result is Result.FAILED
        assert outcome.detail.startswith("was asked to shut down and was still on after 5 min")
        assert ripe.phase("h3") == "up"
        marks = ripe.store.marks.of("h3")
        assert marks.quarantine and marks.cordon and not marks.asleep_by_us

    def test_it_stays_open_to_nobody_since_it_may_yet_go(self, ripe: Stage) -> None:
        ripe.world.refuse_soft_shutdown("h3")
        switch_off(ripe)
        (outcome,) = ripe.run(move("a", "h1", "h3")).outcomes
        assert outcome.detail == "h3 takes no guests: it is cordoned"

    def test_its_power_is_cut_by_the_policys_word(self, ripe: Stage) -> None:
        ripe.world.refuse_soft_shutdown("h3")
        outcome = switch_off(ripe, hard_off_allowed=True)
        assert outcome.result is Result.DONE and outcome.detail.startswith("its power was cut after")
        assert ripe.phase("h3") == "off" and ripe.world.casualties == []

    def test_its_power_is_not_cut_by_a_balancer_that_was_overtaken(self, ripe: Stage) -> None:
        token = ripe.store.lease.acquire("old", 60, ripe.clock.now())
        stage = replace(ripe, site=replace(ripe.site, token=token))
        stage.world.refuse_soft_shutdown("h3")
        assert switch_off(stage, hard_off_allowed=True).result is Result.FAILED
        assert stage.phase("h3") == "up"

    def test_its_power_is_not_cut_when_its_hypervisor_was_never_seen_empty(self, ripe: Stage) -> None:
        """Silent from the moment that it was asked: who knows what somebody started there."""
        ripe.world.refuse_soft_shutdown("h3")
        stage = meddled(ripe, after=lambda: ripe.world.make_unreachable("h3"))
        assert switch_off(stage, hard_off_allowed=True).result is Result.FAILED
        assert stage.phase("h3") == "up"


def test_a_bmc_that_says_off_while_the_hypervisor_answers_is_not_believed(ripe: Stage) -> None:
    """Off is what both say: another host's BMC would say off at once."""
    ripe.world.refuse_soft_shutdown("h3")
    runner = ripe.runner(OFF_H3)
    runner.advance()
    ripe.world.swap_bmcs("h3", "h2")
    ripe.world.cut_power("h2")
    runner.advance()
    assert not ripe.store.marks.of("h3").asleep_by_us


def test_a_bmc_that_fails_while_it_is_asked_is_watched_all_the_same(ripe: Stage) -> None:
    runner = meddled(ripe, after=lambda: ripe.world.busy_bmc("h3")).runner(OFF_H3)
    runner.advance()
    assert runner.advance()
    ripe.world.heal("h3")
    assert [o.result for o in runner.run_to_end().outcomes] == [Result.DONE]


def test_what_was_begun_stands_in_the_journal_before_the_host_is_asked(ripe: Stage) -> None:
    stood: list[tuple[Step, EntryState]] = []

    def read_the_journal() -> None:
        stood.extend((entry.step, entry.state) for entry in ripe.store.journal.unsettled())

    switch_off(meddled(ripe, before=read_the_journal))
    assert [(step.id, state) for step, state in stood] == [(OFF_H3.id, EntryState.BEGUN)]


def test_what_was_begun_stands_in_the_journal_before_a_guest_is_moved(stage: Stage) -> None:
    stood: list[str] = []

    class Reading(SimulatedPlatform):
        def begin_migration(self, order: MigrationOrder) -> None:
            stood.extend(entry.step.id for entry in stage.store.journal.unsettled())
            super().begin_migration(order)

    stage.with_platform(Reading(stage.world)).run(move("a", "h1", "h3"))
    assert stood == ["move-a"]
