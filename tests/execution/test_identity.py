"""Whose BMC is it? And the test that finds out by watching."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from balancer.execution import Limits, look, prove_identity, prove_power, reasons_against_power_off
from balancer.platforms.simulated import SimulatedPlatform
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import GuestSpec, constantly
from balancer.store.marks import ProofMethod
from tests.execution.stage import Stage, build


class TestByGuid:
    def test_a_guid_that_is_the_hypervisors_uuid_is_a_proof(self, stage: Stage) -> None:
        assert prove_identity(stage.site, "h3").proof
        proof = stage.store.marks.of("h3").identity
        assert proof and (proof.method, proof.address) == (ProofMethod.GUID, "simulated:h3")

    def test_two_bmcs_that_were_exchanged_are_said_to_be(self, stage: Stage) -> None:
        stage.world.swap_bmcs("h1", "h2")
        found = prove_identity(stage.site, "h1")
        assert found.why_not == "BMC of h1 at simulated:h1 is h2's; are the two entries exchanged?"
        assert found.is_another
        assert stage.store.marks.of("h1").identity is None

    def test_a_uuid_that_two_hypervisors_share_proves_nothing(self, stage: Stage) -> None:
        class Twins(SimulatedPlatform):
            def host_uuid(self, host: str) -> str | None:
                return super().host_uuid("h1")

        found = prove_identity(stage.with_platform(Twins(stage.world)).site, "h1")
        assert found.proof is None and "so it tells nothing" in found.why_not

    def test_a_bmc_without_a_guid_needs_the_test(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": []}, bmc_has_guid=False)
        found = prove_identity(stage.site, "h1")
        assert found.proof is None and found.why_not.endswith("balancer power test h1")

    def test_a_bmc_that_does_not_answer_proves_nothing(self, stage: Stage) -> None:
        stage.world.stop_bmc("h3")
        assert "could not be asked" in prove_identity(stage.site, "h3").why_not


class TestByWatching:
    @pytest.fixture
    def nameless(self, tmp_path: Path) -> Stage:
        """The same cluster, with BMCs that report no GUID."""
        return build(tmp_path, {"h1": ["a"], "h2": ["c"], "h3": []}, bmc_has_guid=False)

    def test_a_host_that_goes_and_returns_alone_may_sleep_from_then_on(self, nameless: Stage) -> None:
        tested = prove_power(nameless.site, "h3")
        assert tested.passed, tested
        assert tested.words == "went and returned alone, and answered after 2 min"
        marks = nameless.store.marks.of("h3")
        assert marks.identity and marks.identity.method is ProofMethod.WITNESSED
        assert marks.wake_proven_at is not None and marks.cordon is None and not marks.asleep_by_us
        assert nameless.world.casualties == []
        nameless.store.marks.cordon("h3", "to sleep", nameless.clock.now())
        assert reasons_against_power_off(nameless.site, "h3", look(nameless.site), Limits()) == []

    def test_a_host_with_guests_is_not_tested(self, nameless: Stage) -> None:
        tested = prove_power(nameless.site, "h1")
        assert not tested.passed and "it carries a" in tested.words
        nameless.wait(600)
        assert nameless.is_running("a")
        assert nameless.store.marks.of("h1").cordon is None

    def test_a_bmc_that_is_known_to_be_anothers_is_not_tried(self, stage: Stage) -> None:
        stage.world.swap_bmcs("h3", "h1")
        tested = prove_power(stage.site, "h3")
        assert not tested.passed and "are the two entries exchanged?" in tested.words
        stage.wait(600)
        assert stage.is_running("a") and stage.phase("h1") == "up"

    def test_a_host_that_another_goes_down_with_is_not_proven(self, nameless: Stage) -> None:
        """The BMC of h3 is in truth h2's, and nothing but watching could tell."""
        nameless.world.swap_bmcs("h3", "h2")
        tested = prove_power(nameless.site, "h3")
        assert not tested.passed
        assert "h2 went silent while h3 was tested; is simulated:h3 the BMC of h2?" in tested.words
        assert {host: nameless.phase(host) for host in nameless.world.hosts} == dict.fromkeys(["h1", "h2", "h3"], "up")
        marks = nameless.store.marks.of("h3")
        assert marks.identity is None and marks.wake_proven_at is None and marks.quarantine

    def test_a_host_that_does_not_return_is_not_proven(self, nameless: Stage) -> None:
        nameless.world.never_boots("h3")
        tested = prove_power(nameless.site, "h3")
        assert not tested.passed and "did not wake within 10 min" in tested.words
        assert nameless.store.marks.of("h3").identity is None

    def test_a_host_that_does_not_go_is_not_proven(self, nameless: Stage) -> None:
        nameless.world.refuse_soft_shutdown("h3")
        tested = prove_power(nameless.site, "h3")
        assert not tested.passed and "was still on after 5 min" in tested.words

    def test_a_guest_that_comes_in_the_last_moment_stops_the_test(self, nameless: Stage) -> None:
        class Late(SimulatedPlatform):
            def reasons_to_stay_on(self, host: str) -> tuple[str, ...]:
                if nameless.store.journal.unsettled() and "late" not in nameless.world.guests:
                    nameless.world.add_guest(GuestSpec("late", 1, 512, constantly(0.1)), host)
                return super().reasons_to_stay_on(host)

        tested = prove_power(nameless.with_platform(Late(nameless.world)).site, "h3")
        assert not tested.passed and "late is running" in tested.words
        nameless.wait(600)
        assert nameless.is_running("late")
        assert nameless.store.marks.of("h3").cordon is None

    def test_a_test_ends_a_quarantine(self, nameless: Stage) -> None:
        nameless.store.marks.quarantine("h3", "did not shut down", nameless.clock.now())
        assert prove_power(nameless.site, "h3").passed
        assert nameless.store.marks.of("h3").quarantine is None

    def test_a_lease_that_is_renewed_meanwhile_brings_the_host_back(self, nameless: Stage) -> None:
        token = nameless.store.lease.acquire("us", 30, nameless.clock.now())
        assert token is not None
        site = replace(nameless.site, token=token)
        tested = prove_power(site, "h3", meanwhile=lambda: site.store.lease.renew(token, 30, site.now))
        assert tested.passed and nameless.phase("h3") == "up"

    def test_a_moved_bmc_has_to_be_tested_again(self, nameless: Stage) -> None:
        prove_power(nameless.site, "h3")
        nameless.store.marks.cordon("h3", "to sleep", nameless.clock.now())

        class Elsewhere(SimulatedSwitch):
            @property
            def address(self) -> str:
                return "simulated:elsewhere"

        switches = {**nameless.site.switches, "h3": Elsewhere(nameless.world, "h3")}
        site = replace(nameless.site, switches=switches)
        (reason,) = reasons_against_power_off(site, "h3", look(site), Limits())
        assert "is not the one that was tested" in reason
