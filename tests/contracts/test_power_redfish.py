"""Redfish keeps the contract, against sushy-tools' emulator of a BMC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.power.base import PowerSwitch
from tests.contracts.power_contract import PowerContract
from tests.power.redfish_bench import Bench
from tests.power.redfish_bench import bench as started_bmc


class RedfishBench:
    """A BMC on a loopback port."""

    def __init__(self, bmc: Bench) -> None:
        self._bmc = bmc
        self.switch: PowerSwitch = bmc.switch()
        self.host_uuid = bmc.systems[0]

    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def with_wrong_password(self) -> PowerSwitch:
        return self._bmc.switch(password="not-its-own")

    def silence(self) -> None:
        self._bmc.freeze()
        self.switch = self._bmc.switch(deadline_seconds=2)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RedfishBench]:
    with started_bmc(tmp_path) as bmc:
        yield RedfishBench(bmc)


class TestRedfishSwitch(PowerContract):
    pass
