"""Redfish keeps the contract, against sushy-tools' emulator of a BMC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.network_bmc import NetworkBench, NetworkContract
from tests.power.redfish_bench import bench as started_bmc


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[NetworkBench]:
    with started_bmc(tmp_path) as bmc:
        yield NetworkBench(bmc, host_uuid=bmc.systems[0])


class TestRedfishSwitch(NetworkContract):
    pass
