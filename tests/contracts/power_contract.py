"""What every power switch is held to. Subclass `PowerContract` and give it a fixture `bench` with one BMC."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from balancer.errors import PowerError
from balancer.power.base import PowerState, PowerSwitch
from balancer.power.identity import same_machine


class PowerBench(Protocol):
    """One host that is on, its BMC, and ways to upset that BMC."""

    @property
    def switch(self) -> PowerSwitch: ...

    @property
    def host_uuid(self) -> str:
        """What the host's hypervisor says its UUID is."""
        ...

    def let_time_pass(self, seconds: float) -> None: ...

    def with_wrong_password(self) -> PowerSwitch:
        """Open the same BMC with a password that is not its own."""
        ...

    def silence(self) -> None:
        """Let the BMC answer no more; the host stays as it is."""
        ...


def wait_for(bench: PowerBench, wanted: PowerState, seconds: int = 120) -> PowerState:
    """Return the state that a host has once it is the wanted one, or when time is up."""
    for _ in range(seconds):
        if bench.switch.state() is wanted:
            break
        bench.let_time_pass(1)
    return bench.switch.state()


def ask_everything(switch: PowerSwitch) -> list[str]:
    """Ask a BMC for everything there is and return what it complained of."""
    complaints = []
    for ask in (switch.power_on, switch.shut_down, switch.cut_power, switch.system_guid, switch.state):
        with pytest.raises(PowerError) as complaint:
            ask()
        complaints.append(str(complaint.value))
    return complaints


class PowerContract:
    """A host that is on can be switched off and on again, and a BMC that fails says how."""

    def test_a_host_that_runs_reads_on(self, bench: PowerBench) -> None:
        assert bench.switch.state() is PowerState.ON

    def test_cutting_the_power_ends_in_off(self, bench: PowerBench) -> None:
        bench.switch.cut_power()
        assert wait_for(bench, PowerState.OFF) is PowerState.OFF

    def test_a_soft_shutdown_ends_in_off(self, bench: PowerBench) -> None:
        bench.switch.shut_down()
        assert wait_for(bench, PowerState.OFF) is PowerState.OFF

    def test_a_host_that_is_off_comes_on(self, bench: PowerBench) -> None:
        self.switch_off(bench)
        bench.switch.power_on()
        assert wait_for(bench, PowerState.ON) is PowerState.ON

    def test_switching_off_what_is_off_is_no_error(self, bench: PowerBench) -> None:
        self.switch_off(bench)
        bench.switch.cut_power()
        bench.switch.shut_down()
        assert bench.switch.state() is PowerState.OFF

    def test_switching_on_what_is_on_is_no_error(self, bench: PowerBench) -> None:
        bench.switch.power_on()
        assert bench.switch.state() is PowerState.ON

    def test_the_system_guid_is_that_of_the_host_and_reads_like_a_uuid(self, bench: PowerBench) -> None:
        guid = bench.switch.system_guid()
        assert guid == str(UUID(guid))
        assert same_machine(guid, bench.host_uuid)

    def test_a_bmc_has_an_address(self, bench: PowerBench) -> None:
        assert bench.switch.address

    def test_a_wrong_password_is_called_that_and_changes_nothing(self, bench: PowerBench) -> None:
        stranger = bench.with_wrong_password()
        for complaint in ask_everything(stranger):
            assert stranger.host in complaint
            assert "password" in complaint

    def test_a_silent_bmc_is_called_that_and_not_a_wrong_password(self, bench: PowerBench) -> None:
        bench.silence()
        for complaint in ask_everything(bench.switch):
            assert bench.switch.host in complaint
            assert "answer" in complaint
            assert "password" not in complaint

    def switch_off(self, bench: PowerBench) -> None:
        bench.switch.cut_power()
        assert wait_for(bench, PowerState.OFF) is PowerState.OFF
