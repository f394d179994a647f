"""A look that knows why a host is silent: a sleeper is no doubt, and a host that went down under guests is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from balancer.domain.host import HostState
from balancer.domain.plan import Action
from balancer.domain.site_file import Bmc
from balancer.domain.vm import VmState
from balancer.execution import look
from balancer.execution.work import is_certainly_off
from balancer.store.journal import JournalEntry
from balancer.store.marks import IdentityProof, ProofMethod
from tests.execution.stage import NOON, Stage, move, power, sleep_steps


def test_a_host_that_we_put_to_sleep_is_on_standby_and_no_doubt(stage: Stage) -> None:
    stage.make_ready_for_sleep("h3")
    stage.run(*sleep_steps("h3"))
    seen = look(stage.site)
    host = seen.host("h3")
    assert (host.state, host.asleep_by_us, host.cordoned) == (HostState.STANDBY, True, True)
    assert seen.doubts == ()


def test_a_sleeper_whose_bmc_is_dead_is_a_doubt(stage: Stage) -> None:
    stage.make_ready_for_sleep("h3")
    stage.run(*sleep_steps("h3"))
    stage.world.stop_bmc("h3")
    seen = look(stage.site)
    assert seen.host("h3").state is HostState.UNREACHABLE
    assert seen.doubted == {"host:h3"}


def test_an_empty_host_that_somebody_switched_off_is_off(stage: Stage) -> None:
    look(stage.site)
    stage.world.cut_power("h3")
    seen = look(stage.site)
    assert (seen.host("h3").state, seen.host("h3").asleep_by_us) == (HostState.POWERED_OFF, False)
    assert seen.doubts == ()


def test_a_host_that_went_down_under_guests_stays_a_doubt(stage: Stage) -> None:
    look(stage.site)
    stage.world.cut_power("h1")
    seen = look(stage.site)
    assert seen.host("h1").state is HostState.UNREACHABLE
    assert "host:h1" in seen.doubted
    assert seen.vm("a").state is VmState.UNKNOWN


def test_a_host_that_falls_silent_under_guests_while_it_shuts_down_is_a_doubt(stage: Stage) -> None:
    look(stage.site)
    stage.store.journal.begin(JournalEntry(NOON, "p", power(Action.POWER_OFF, "h1")))
    stage.world.make_unreachable("h1")
    assert "host:h1" in look(stage.site).doubted


def test_a_host_that_shuts_down_as_it_was_asked_is_no_doubt(stage: Stage) -> None:
    stage.make_ready_for_sleep("h3")
    stage.runner(power(Action.POWER_OFF, "h3")).advance()
    seen = look(stage.site)
    assert (seen.host("h3").state, seen.doubts) == (HostState.DRAINING, ())


def test_a_silent_host_that_nobody_touched_stays_a_doubt(stage: Stage) -> None:
    stage.world.make_unreachable("h3")
    assert look(stage.site).doubted == {"host:h3"}


def test_what_speaks_against_sleep_is_said_in_words(stage: Stage) -> None:
    assert look(stage.site).host("h3").may_sleep
    stage.store.marks.quarantine("h3", "it did not come", NOON)
    assert (
        look(stage.site).host("h3").sleep_blocked_by == "it did not come; when that is mended: balancer power test h3"
    )


def test_a_host_that_was_never_seen_to_wake_says_so_until_it_was(stage: Stage) -> None:
    assert look(stage.site).host("h3").sleep_blocked_by == "it was never seen to wake: balancer power test h3"
    stage.store.marks.prove_wake("h3", NOON)
    assert look(stage.site).host("h3").sleep_blocked_by is None


def test_a_guest_counts_at_both_ends_from_the_moment_its_move_is_written_down(stage: Stage) -> None:
    stage.store.journal.begin(JournalEntry(NOON, "p", move("a", "h1", "h3"), stage.world.id_of("a")))
    assert [vm.name for vm in look(stage.site).guests_of("h3")] == ["a"]


def test_a_learned_boot_time_and_a_proven_wake_show(stage: Stage) -> None:
    stage.store.marks.prove_wake("h3", NOON, 77.0)
    assert look(stage.site).host("h3").wake_proven_at == NOON


class TestCertainlyOff:
    def test_silence_alone_is_not_off(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        stage.world.make_unreachable("h3")
        assert not is_certainly_off(stage.site, "h3")

    def test_a_bmc_that_was_never_proven_is_not_believed(self, stage: Stage) -> None:
        stage.world.cut_power("h3")
        assert not is_certainly_off(stage.site, "h3")

    def test_a_bmc_that_moved_since_its_proof_is_not_believed(self, stage: Stage) -> None:
        stage.world.cut_power("h3")
        proof = IdentityProof(NOON - timedelta(days=1), ProofMethod.GUID, "simulated:elsewhere", None, None)
        stage.store.marks.prove_identity("h3", proof)
        assert not is_certainly_off(stage.site, "h3")
        stage.store.marks.prove_identity("h3", replace(proof, address="simulated:h3"))
        assert is_certainly_off(stage.site, "h3")

    def test_a_host_that_answers_is_not_off_whatever_a_bmc_says(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        stage.world.swap_bmcs("h3", "h2")
        stage.world.cut_power("h2")
        assert not is_certainly_off(stage.site, "h3")

    def test_where_only_silence_tells_it_is_believed_of_a_host_that_was_put_to_sleep(self, stage: Stage) -> None:
        stage.make_ready_for_sleep("h3")
        wire = {"kind": "wake_on_lan", "mac": "52:54:00:00:00:03", "probe": "h3:22", "silence_means_off": True}
        bmc = Bmc.model_validate(wire)
        hosts = tuple(h.model_copy(update={"bmc": bmc}) if h.name == "h3" else h for h in stage.site.file.hosts)
        site = replace(stage.site, file=stage.site.file.model_copy(update={"hosts": hosts}))
        stage.world.cut_power("h3")
        assert not is_certainly_off(site, "h3")
        stage.store.marks.fell_asleep("h3", stage.clock.now())
        assert is_certainly_off(site, "h3")

    def test_switching_a_host_off_leaves_the_proof_of_whose_bmc_it_was(self, stage: Stage) -> None:
        stage.store.marks.cordon("h3", "to sleep", NOON)
        stage.store.marks.prove_wake("h3", NOON)
        stage.run(power(Action.POWER_OFF, "h3"))
        assert is_certainly_off(stage.site, "h3")
