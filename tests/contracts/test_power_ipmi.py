"""IPMI keeps the contract, against a real BMC simulator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.power.base import PowerSwitch
from tests.contracts.power_contract import PowerContract
from tests.power.ipmi_bench import Bench
from tests.power.ipmi_bench import bench as started_bmc


class IpmiBench:
    """A BMC on a loopback port."""

    def __init__(self, bmc: Bench) -> None:
        self._bmc = bmc
        self.switch: PowerSwitch = bmc.switch()
        self.host_uuid = bmc.guid

    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def with_wrong_password(self) -> PowerSwitch:
        return self._bmc.switch(password="not-its-own")

    def silence(self) -> None:
        self._bmc.freeze()
        self.switch = self._bmc.switch(deadline_seconds=1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[IpmiBench]:
    with started_bmc(tmp_path) as bmc:
        yield IpmiBench(bmc)


class TestIpmiSwitch(PowerContract):
    pass
