"""What every BMC that is asked over the network is held to besides."""

from __future__ import annotations

import time
from typing import Protocol

from balancer.power.base import PowerSwitch
from tests.contracts.power_contract import PowerContract


class Bmc(Protocol):
    """A BMC that can be frozen, and its machine."""

    has_power: bool

    @property
    def wishes(self) -> list[str]: ...

    def freeze(self) -> None: ...

    def switch(self, *, password: str = ..., deadline_seconds: float = ...) -> PowerSwitch: ...


class NetworkBench:
    """A BMC on a loopback port."""

    def __init__(self, bmc: Bmc, host_uuid: str) -> None:
        self.bmc = bmc
        self.switch: PowerSwitch = bmc.switch()
        self.host_uuid = host_uuid

    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def with_wrong_password(self) -> PowerSwitch:
        return self.bmc.switch(password="not-its-own")

    def silence(self) -> None:
        self.bmc.freeze()
        self.switch = self.bmc.switch(deadline_seconds=2)


class NetworkContract(PowerContract):
    """What a host is already it is not asked for; soft and hard are told apart."""

    def test_a_host_that_is_on_is_not_asked_to_go_on_again(self, bench: NetworkBench) -> None:
        bench.switch.power_on()
        assert bench.bmc.wishes == []

    def test_a_host_that_is_off_is_not_shut_down_again(self, bench: NetworkBench) -> None:
        bench.bmc.has_power = False
        bench.switch.shut_down()
        bench.switch.cut_power()
        assert bench.bmc.wishes == []

    def test_soft_and_hard_are_told_apart(self, bench: NetworkBench) -> None:
        bench.switch.shut_down()
        bench.bmc.has_power = True
        bench.switch.cut_power()
        assert bench.bmc.wishes == ["shutdown", "power 0"]
