"""The lab proves itself: what other tests conclude from it is only as true as this."""

import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from . import leftovers
from .commands import LabError, wait_until
from .hosts import HERE, processes
from .lab import Lab

pytestmark = pytest.mark.lab


def migrate(lab: Lab, guest: str, source: str, target: str, *options: str) -> None:
    peer_to_peer = ["migrate", "--live", "--p2p", "--persistent", "--undefinesource"]
    lab.virsh(source, *peer_to_peer, *options, guest, lab.host(target).uri)


def cpus_in_use(lab: Lab, host: str, seconds: float = 4) -> tuple[float, float]:
    """By the host's own libvirt, and by the kernel's account of the host's processes."""
    reading, used = cpu_seconds(lab, host), process_seconds(lab, host)
    time.sleep(seconds)
    return (cpu_seconds(lab, host) - reading) / seconds, (process_seconds(lab, host) - used) / seconds


def process_seconds(lab: Lab, host: str) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in processes(lab.host(host))]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(lab: Lab, host: str) -> float:
    lines = lab.virsh(host, "nodecpustats").split("\n")
    nanoseconds = {name: int(count) for name, _, count in (line.partition(":") for line in lines) if count}
    return (nanoseconds["user"] + nanoseconds["system"]) / 1e9


def memory_used_mib(lab: Lab, host: str) -> float:
    lines = lab.virsh(host, "nodememstats").split("\n")
    kib = {name.strip(): int(count.split()[0]) for name, _, count in (line.partition(":") for line in lines) if count}
    return (kib["total"] - kib["free"]) / 1024


def test_each_host_answers_under_its_own_name(lab: Lab) -> None:
    assert [lab.virsh(host.name, "hostname").strip() for host in lab.hosts] == ["hv1", "hv2", "hv3"]
    assert all(f"<uuid>{host.uuid}</uuid>" in lab.virsh(host.name, "capabilities") for host in lab.hosts)


def test_each_bmc_tells_the_uuid_of_its_host(lab: Lab) -> None:
    for host in lab.hosts:
        assert f"System GUID   : {host.uuid}" in lab.ipmitool(host.name, "mc", "guid")
        assert raw_guid(lab, host.name) == host.uuid.bytes_le


def raw_guid(lab: Lab, host: str) -> bytes:
    """As it comes over the wire."""
    return bytes.fromhex(lab.ipmitool(host, "raw", "0x06", "0x37"))


def test_swapped_bmcs_tell_on_themselves(lab: Lab) -> None:
    port_on_the_label = lab.bmc_port("hv1")
    lab.swap_bmcs("hv1", "hv2")
    assert lab.bmc_port("hv2") == port_on_the_label
    assert UUID(bytes_le=raw_guid(lab, "hv2")) == lab.host("hv2").uuid
    lab.power_off("hv2")
    assert [lab.power_state(host.name) for host in lab.hosts] == ["on", "off", "on"]


def test_a_guest_counts_on_while_it_moves_and_still_takes_orders(lab: Lab) -> None:
    lab.start_guest("web1", "hv1")
    lab.wait_for_guests("web1")
    before = lab.counter("web1")
    migrate(lab, "web1", "hv1", "hv2")
    after = lab.still_counting("web1", before)
    assert (after.boot_id, lab.where("web1"), lab.qemu_on("web1")) == (before.boot_id, ["hv2"], ["hv2"])
    assert lab.defined_on("web1") == ["hv2"]
    lab.set_load("web1", 0)
    assert lab.counter("web1").load_percent == 0


def test_a_transient_guest_leaves_no_definition(lab: Lab) -> None:
    lab.start_guest("job1", "hv1", persistent=False)
    assert (lab.where("job1"), lab.defined_on("job1")) == (["hv1"], [])


def test_load_shows_on_its_own_host_only(lab: Lab) -> None:
    lab.start_guest("web1", "hv1", load_percent=60)
    lab.wait_for_guests("web1")
    # What it gets of the 60 % depends on who else uses the machine; what libvirt says of it must not.
    reading, used = cpus_in_use(lab, "hv1")
    assert reading == pytest.approx(used, abs=0.15)
    assert reading > 2 * cpus_in_use(lab, "hv2")[0]
    lab.set_load("web1", 0)
    assert cpus_in_use(lab, "hv1")[0] < reading / 2
    assert memory_used_mib(lab, "hv1") - memory_used_mib(lab, "hv2") == pytest.approx(96, abs=16)


def test_a_guest_that_writes_its_memory_says_so(lab: Lab) -> None:
    lab.start_guest("db1", "hv1", memory_mib=128)
    lab.wait_for_guests("db1")
    lab.write_memory("db1", 24)
    assert lab.counter("db1").memory_mib == 24
    lab.write_memory("db1", 24, on=False)
    assert lab.counter("db1").memory_mib == 0


def test_a_shared_disk_needs_no_copy_and_a_local_one_does(lab: Lab) -> None:
    lab.start_guest("db1", "hv1", disk="shared")
    lab.start_guest("db2", "hv1", disk="local")
    lab.wait_for_guests("db1", "db2")
    migrate(lab, "db1", "hv1", "hv2")
    with pytest.raises(LabError, match="Unsafe migration: Migration without shared storage is unsafe"):
        migrate(lab, "db2", "hv1", "hv2")
    migrate(lab, "db2", "hv1", "hv2", "--copy-storage-all")
    for name in ("db1", "db2"):
        assert disk_came_along(lab, name, "hv2")


def disk_came_along(lab: Lab, name: str, host: str) -> bool:
    """Started anew there, the guest finds on its disk what it wrote in its life before."""
    last = lab.counter(name)
    lab.virsh(host, "destroy", name)
    lab.virsh(host, "start", name)
    wait_until(lambda: lab.counter(name).boot_id != last.boot_id, 60, f"a new life of {name}")
    found = lab.found_on_disk(name)
    return found is not None and found[0] == last.boot_id and found[1] >= last.tick


def test_the_plug_takes_the_guests_along_and_leaves_their_definitions(lab: Lab) -> None:
    lab.start_guest("web1", "hv2")
    lab.ipmitool("hv2", "chassis", "power", "off")
    assert (lab.is_on("hv2"), lab.power_state("hv2"), lab.qemu_on("web1")) == (False, "off", [])
    lab.ipmitool("hv2", "chassis", "power", "on")
    lab.wait_for_host("hv2")
    assert (lab.where("web1"), lab.defined_on("web1")) == ([], ["hv2"])
    assert lab.power_orders("hv2")[-2:] == ["power 0", "power 1"]


def test_a_soft_shutdown_presses_the_guests_power_buttons_first(lab: Lab) -> None:
    lab.start_guest("web1", "hv2")
    lab.wait_for_guests("web1")
    lab.ipmitool("hv2", "chassis", "power", "soft")
    wait_until(lambda: not lab.is_on("hv2"), 30, "off: hv2")
    assert "reboot: Power down" in lab.console("web1").read_text()


def test_a_deaf_host_stays_on(lab: Lab) -> None:
    lab.ignore_soft_shutdown("hv2")
    lab.ipmitool("hv2", "chassis", "power", "soft")
    time.sleep(2)
    assert lab.libvirtd_running("hv2")


def test_a_host_takes_its_time_to_boot(lab: Lab) -> None:
    lab.set_boot_seconds("hv2", 3)
    lab.power_off("hv2")
    began = time.monotonic()
    lab.ipmitool("hv2", "chassis", "power", "on")
    assert lab.power_state("hv2") == "on"
    lab.wait_for_host("hv2")
    assert time.monotonic() - began > 3


def test_a_frozen_host_is_on_and_does_not_answer(lab: Lab) -> None:
    lab.start_guest("web1", "hv3")
    lab.freeze_host("hv3")
    assert (lab.libvirtd_running("hv3"), lab.power_state("hv3"), lab.qemu_on("web1")) == (False, "on", ["hv3"])
    lab.thaw_host("hv3")
    assert lab.libvirtd_running("hv3")


def test_a_pulled_cable_and_a_dead_libvirtd_leave_guests_alone(lab: Lab) -> None:
    lab.start_guest("web1", "hv3")
    lab.link_down("hv3")
    assert (lab.libvirtd_running("hv3"), lab.where("web1")) == (False, ["hv3"])
    lab.link_up("hv3")
    lab.kill_libvirtd("hv3")
    assert (lab.libvirtd_running("hv3"), lab.qemu_on("web1")) == (False, ["hv3"])
    lab.start_libvirtd("hv3")
    assert lab.where("web1") == ["hv3"]


def test_a_silent_bmc_leaves_its_host_alone(lab: Lab) -> None:
    lab.stop_bmc("hv1")
    with pytest.raises(LabError):
        lab.power_state("hv1")
    assert lab.libvirtd_running("hv1")
    lab.start_bmc("hv1")
    assert lab.power_state("hv1") == "on"


def test_secrets_are_for_their_owner_only(lab: Lab) -> None:
    assert [oct(path.stat().st_mode & 0o777) for path in sorted(lab.secrets_dir.iterdir())] == ["0o600"] * 3


@pytest.mark.parametrize(
    "seconds", [pytest.param(each, marks=() if each == 0.6 else pytest.mark.long) for each in (0.1, 0.3, 0.6, 1.2)]
)
def test_a_lab_whose_owner_was_killed_can_be_removed(lab: Lab, seconds: float) -> None:
    """At each of these moments something else is half there."""
    lab.down()
    owner = subprocess.Popen([sys.executable, "-m", "tests.lab", "up", "--guests", "web1@hv1"], cwd=HERE.parent.parent)
    time.sleep(seconds)
    owner.kill()
    owner.wait()
    Lab().down()
    assert leftovers.found(lab.directory) == []
    lab.up()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    leftovers.remove_directory(tmp_path)
    assert (tmp_path / "thesis.tex").exists()
    with pytest.raises(LabError, match="not empty"):
        leftovers.claim(tmp_path)


def test_there_is_one_lab_at_a_time(lab: Lab) -> None:
    with pytest.raises(LabError, match="another process"):
        Lab().up()
    assert lab.libvirtd_running("hv1")
