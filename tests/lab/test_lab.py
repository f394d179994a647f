"""The lab proves itself: what other tests conclude from it is only as true as this."""

import time

import pytest

from .commands import LabError
from .lab import Lab

pytestmark = pytest.mark.lab

MIGRATE = ["migrate", "--live", "--p2p", "--persistent", "--undefinesource"]


def busy_share(lab: Lab, host: str, seconds: float = 4) -> float:
    """CPUs in use on the host as its own libvirt counts them."""
    before = cpu_seconds(lab, host)
    time.sleep(seconds)
    return (cpu_seconds(lab, host) - before) / seconds


def cpu_seconds(lab: Lab, host: str) -> float:
    facts = dict(line.replace(" ", "").split(":") for line in lab.virsh(host, "nodecpustats").split())
    return (int(facts["user"]) + int(facts["system"])) / 1e9


def test_each_host_answers_under_its_own_name_and_its_bmc_agrees(lab: Lab) -> None:
    assert [lab.virsh(host.name, "hostname").strip() for host in lab.hosts] == ["hv1", "hv2", "hv3"]
    assert [lab.power_state(host.name) for host in lab.hosts] == ["on", "on", "on"]
