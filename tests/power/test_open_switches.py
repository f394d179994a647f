"""From the site file to switches, one host's trouble not being the others'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from balancer.domain.site_file import SiteFile
from balancer.errors import PowerError
from balancer.power import open_switches

IPMI = {"kind": "ipmi", "address": "10.1.0.11", "user": "admin", "secret_ref": "file:hv1-bmc"}


def site(**bmcs: dict[str, Any] | None) -> SiteFile:
    hosts = [{"name": name, "bmc": bmc} for name, bmc in bmcs.items()]
    return SiteFile.model_validate(
        {"schema": "balancer.site/1", "cluster": "lab", "platform": {"kind": "libvirt"}, "hosts": hosts}
    )


def test_each_host_with_a_bmc_gets_a_switch(tmp_path: Path) -> None:
    (tmp_path / "hv1-bmc").write_text("pass")
    switches = open_switches(site(hv1=IPMI, hv2={**IPMI, "port": 6230}, hv3=None), tmp_path)
    assert {name: switch.address for name, switch in switches.items()} == {
        "hv1": "10.1.0.11:623",
        "hv2": "10.1.0.11:6230",
    }


def test_a_host_whose_secret_is_missing_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "hv1-bmc").write_text("pass")
    switches = open_switches(site(hv1=IPMI, hv2={**IPMI, "port": 6230, "secret_ref": "file:lost"}), tmp_path)
    assert switches["hv1"].address == "10.1.0.11:623"
    broken = switches["hv2"]
    for action in (broken.state, broken.power_on, broken.shut_down, broken.cut_power, broken.system_guid):
        with pytest.raises(PowerError, match="hv2: reading file:lost: no such file"):
            action()


def test_two_hosts_cannot_have_one_bmc() -> None:
    with pytest.raises(ValueError, match=r"gives the same BMC to several hosts: 10\.1\.0\.11:623"):
        site(hv1=IPMI, hv2={**IPMI, "user": "root"})


def test_an_entry_that_lacks_something_says_what(tmp_path: Path) -> None:
    switches = open_switches(site(hv1={"kind": "ipmi", "address": "10.1.0.11"}), tmp_path)
    with pytest.raises(PowerError, match=r"hv1: .* lacks .*secret_ref"):
        switches["hv1"].state()


def test_a_simulated_bmc_needs_a_simulated_platform(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="platform"):
        open_switches(site(hv1={"kind": "simulated"}), tmp_path)["hv1"].state()


REDFISH = {**IPMI, "kind": "redfish"}


@pytest.mark.parametrize(
    ("bmc", "address"),
    [
        (REDFISH, "10.1.0.11:443"),
        ({**REDFISH, "system": "437XR1138R2"}, "10.1.0.11:443/437XR1138R2"),
        ({"kind": "command", "commands": {"state": ["plug", "7"]}}, "plug 7"),
        ({"kind": "wake_on_lan", "mac": "52:54:00:12:34:56", "probe": "hv1:22"}, "wake-on-lan:52:54:00:12:34:56"),
    ],
)
def test_each_kind_opens_its_own_switch(tmp_path: Path, bmc: dict[str, Any], address: str) -> None:
    (tmp_path / "hv1-bmc").write_text("pass")
    assert open_switches(site(hv1=bmc), tmp_path)["hv1"].address == address


@pytest.mark.parametrize(
    ("bmc", "missing"),
    [
        ({"kind": "command", "commands": {"on": ["plug"]}}, "lacks `state:`"),
        ({"kind": "wake_on_lan", "mac": "52:54:00:12:34:56"}, "probe"),
        ({"kind": "suspend", "mac": "52:54:00:12:34:56", "probe": "hv1:22"}, "no `uri:`"),
    ],
)
def test_what_an_entry_lacks_is_said_when_it_is_used(tmp_path: Path, bmc: dict[str, Any], missing: str) -> None:
    with pytest.raises(PowerError, match=missing):
        open_switches(site(hv1=bmc), tmp_path)["hv1"].state()


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="has `mac:`, which belongs to wake_on_lan, suspend, not to `kind: ipmi`"):
        site(hv1={**IPMI, "mac": "52:54:00:12:34:56"})


def test_two_systems_of_one_bmc_are_two_switches() -> None:
    assert site(hv1={**REDFISH, "system": "1"}, hv2={**REDFISH, "system": "2"})
    with pytest.raises(ValueError, match="gives the same BMC to several hosts"):
        site(hv1=REDFISH, hv2=REDFISH)
