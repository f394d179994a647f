"""IPMI keeps the contract, against a real BMC simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.network_bmc import NetworkBench, NetworkContract
from tests.power.ipmi_bench import bench as started_bmc


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[NetworkBench]:
    with started_bmc(tmp_path) as bmc:
        yield NetworkBench(bmc, host_uuid=bmc.guid)


class TestIpmiSwitch(NetworkContract):
    pass
