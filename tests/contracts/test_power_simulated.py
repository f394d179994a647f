"""The simulated switch keeps the contract, and shows what can go wrong with a BMC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from balancer.clock import HandSetClock
from balancer.errors import PowerError
from balancer.power.base import PowerState, PowerSwitch
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import HostSpec, Phase
from balancer.simulation.world import World
from tests.contracts.power_contract import PowerContract


class SimulatedBench:
    """Two hosts of a simulated world; the first one is the bench's."""

    def __init__(self) -> None:
        self.clock = HandSetClock(datetime(2026, 11, 23, tzinfo=UTC))
        self.world = World(self.clock, [HostSpec("h1", 16, 65536), HostSpec("h2", 16, 65536)])
        self.switch = SimulatedSwitch(self.world, "h1")
        self.host_uuid = self.world.hosts["h1"].spec.id

    def let_time_pass(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def with_wrong_password(self) -> PowerSwitch:
        self.world.wrong_bmc_password("h1")
        return self.switch

    def silence(self) -> None:
        self.world.stop_bmc("h1")


@pytest.fixture
def bench() -> SimulatedBench:
    return SimulatedBench()


class TestSimulatedSwitch(PowerContract):
    pass


def test_swapped_cables_switch_the_other_host_and_its_guid_tells(bench: SimulatedBench) -> None:
    bench.world.swap_bmcs("h1", "h2")
    assert bench.switch.system_guid() == bench.world.hosts["h2"].spec.id
    bench.switch.cut_power()
    assert bench.world.hosts["h1"].phase is Phase.UP
    assert bench.world.hosts["h2"].phase is Phase.OFF


def test_a_bmc_that_does_not_know_says_unknown_and_not_off(bench: SimulatedBench) -> None:
    bench.switch.cut_power()
    bench.world.make_bmc_vague("h1")
    assert bench.switch.state() is PowerState.UNKNOWN


def test_a_busy_bmc_says_so(bench: SimulatedBench) -> None:
    bench.world.busy_bmc("h1")
    with pytest.raises(PowerError, match="h1: switch on: the BMC: busy"):
        bench.switch.power_on()


def test_a_host_that_refuses_to_shut_down_stays_on_until_its_power_is_cut(bench: SimulatedBench) -> None:
    bench.world.refuse_soft_shutdown("h1")
    bench.switch.shut_down()
    bench.let_time_pass(3600)
    assert bench.switch.state() is PowerState.ON
    bench.switch.cut_power()
    assert bench.switch.state() is PowerState.OFF


def test_a_host_that_never_boots_has_power_and_nothing_else(bench: SimulatedBench) -> None:
    bench.switch.cut_power()
    bench.world.never_boots("h1")
    bench.switch.power_on()
    bench.let_time_pass(3600)
    assert bench.switch.state() is PowerState.ON
    assert not bench.world.hosts["h1"].answers
