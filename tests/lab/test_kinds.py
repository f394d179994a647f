"""Every kind of migration on real hypervisors: what it does to a guest that writes, and what the guest has kept."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from balancer.clock import WallClock
from balancer.domain.migration import MigrationKind, MigrationOptions
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteFile
from balancer.domain.vm import VmState
from balancer.platforms.base import MigrationOrder, MigrationPhase, MigrationStatus, Whereabouts
from balancer.platforms.libvirt import LibvirtPlatform

from .commands import wait_until
from .guests import Counter
from .lab import Lab
from .test_lab import disk_came_along

pytestmark = pytest.mark.lab

SLOW = 6.0  # MiB/s; the guest below writes several times that
WRITES_MIB = 60


@pytest.fixture
def platform(lab: Lab) -> Iterator[LibvirtPlatform]:
    site = SiteFile.model_validate(YAML(typ="safe").load(lab.site_file()))
    opened = LibvirtPlatform(site, WallClock())
    yield opened
    opened.close()


def id_of(platform: LibvirtPlatform, vm: str) -> str:
    vm_id = platform.observe().vm(vm).id
    assert vm_id is not None
    return vm_id


def order(
    platform: LibvirtPlatform,
    vm: str,
    kind: MigrationKind = "live",
    mib_per_s: float | None = None,
    **options: object,
) -> MigrationOrder:
    return MigrationOrder(
        Move(vm, "hv1", "hv2"), id_of(platform, vm), kind, mib_per_s, MigrationOptions.model_validate(options)
    )


def send(platform: LibvirtPlatform, wanted: MigrationOrder) -> None:
    assert platform.preflight(wanted) == ()
    platform.begin_migration(wanted)


def ended(platform: LibvirtPlatform, wanted: MigrationOrder, seconds: float = 90) -> MigrationStatus:
    wait_until(lambda: platform.migration_status(wanted).phase is MigrationPhase.ENDED, seconds, f"over: {wanted}")
    return platform.migration_status(wanted)


def under_way(platform: LibvirtPlatform, wanted: MigrationOrder) -> None:
    wait_until(lambda: bool(platform.migration_status(wanted).share_done), 30, f"under way: {wanted}")


def a_writer(lab: Lab) -> Counter:
    """A guest that rewrites its memory without end, faster than a slow line copies it."""
    lab.start_guest("busy", "hv1", memory_mib=160)
    lab.wait_for_guests("busy")
    lab.write_memory("busy", WRITES_MIB)
    return lab.counter("busy")


def passes(lab: Lab, vm: str) -> int:
    """How often all of its memory, or what it wrote meanwhile, has been begun to be copied."""
    said = re.search(r"Iteration:\s+(\d+)", lab.virsh("hv1", "domjobinfo", vm))
    return int(said[1]) if said else 0


def arrived_once(lab: Lab, platform: LibvirtPlatform, vm: str, since: Counter) -> bool:
    """Whether it runs on, without a reboot, on its target and there alone, with its one definition."""
    lab.still_counting(vm, since)
    where = platform.whereabouts(id_of(platform, vm))
    return where == Whereabouts(("hv2",), ("hv2",)) and lab.qemu_on(vm) == ["hv2"] and lab.defined_on(vm) == ["hv2"]


# -- a guest that writes faster than the line copies


def test_a_busy_writer_never_arrives_by_itself_and_does_by_post_copy(lab: Lab, platform: LibvirtPlatform) -> None:
    before = a_writer(lab)
    plain = order(platform, "busy", mib_per_s=SLOW)
    send(platform, plain)
    wait_until(lambda: passes(lab, "busy") >= 3, 90, "copied twice over: busy")
    assert platform.migration_status(plain).phase is MigrationPhase.RUNNING
    platform.abort_migration(plain)
    assert "given up on request" in ended(platform, plain).error

    quick = order(platform, "busy", mib_per_s=SLOW, post_copy=True)
    send(platform, quick)
    assert ended(platform, quick).error == ""
    assert arrived_once(lab, platform, "busy", before)


def test_warm_a_busy_writer_is_stopped_for_what_is_left(lab: Lab, platform: LibvirtPlatform) -> None:
    before = a_writer(lab)
    wanted = order(platform, "busy", "warm", mib_per_s=SLOW, stop_seconds=12.0)
    send(platform, wanted)
    status = ended(platform, wanted)
    assert status.error == ""
    # QEMU sends the rest as fast as the line can: the stop is shorter than the one that was allowed for.
    assert status.downtime_ms is not None and 0 < status.downtime_ms < 12_000
    assert status.copied_mib is not None and status.copied_mib > 100
    assert arrived_once(lab, platform, "busy", before)


@pytest.mark.long
def test_slowed_down_a_busy_writer_arrives(lab: Lab, platform: LibvirtPlatform) -> None:
    before = a_writer(lab)
    wanted = order(platform, "busy", mib_per_s=8.0, auto_converge=True, stop_seconds=0.5)
    send(platform, wanted)
    status = ended(platform, wanted, seconds=400)
    assert status.error == ""
    assert arrived_once(lab, platform, "busy", before)


# -- disks


def test_a_local_disk_is_copied_and_its_old_file_is_gone(lab: Lab, platform: LibvirtPlatform) -> None:
    lab.start_guest("files", "hv1", disk="local")
    lab.wait_for_guests("files")
    (why,) = platform.preflight(order(platform, "files"))
    assert "is on hv1 alone: put it on shared storage, or let the policy copy it" in why
    before = lab.counter("files")
    wanted = order(platform, "files", copy_storage="all")
    send(platform, wanted)
    assert ended(platform, wanted).error == ""
    assert arrived_once(lab, platform, "files", before)
    assert not (lab.local_dir("hv1") / "files.raw").exists()
    assert disk_came_along(lab, "files", "hv2")


@pytest.mark.long
def test_a_disk_is_not_copied_over_a_file(lab: Lab, platform: LibvirtPlatform) -> None:
    lab.start_guest("files", "hv1", disk="local")
    (lab.local_dir("hv2") / "files.raw").write_text("somebody else's")
    wanted = order(platform, "files", copy_storage="all")
    (why,) = platform.preflight(wanted)
    assert "hv2 has a file /var/lib/libvirt/images/files.raw already" in why
    platform.begin_migration(wanted)
    assert "already" in ended(platform, wanted).error
    assert (lab.local_dir("hv2") / "files.raw").read_text() == "somebody else's"
    assert platform.whereabouts(wanted.vm_id).is_settled_on("hv1")


def test_restarted_a_guest_takes_its_disk_along_and_counts_meanwhile(lab: Lab, platform: LibvirtPlatform) -> None:
    lab.start_guest("files", "hv1", disk="local", autostart=True)
    lab.wait_for_guests("files")
    last = lab.counter("files")
    wanted = order(platform, "files", "cold", copy_storage="all", restart=True)
    send(platform, wanted)
    wait_until(lambda: lab.qemu_on("files") == [], 60, "down: files")
    seen = platform.observe().vm("files")
    if seen.is_in_flight:  # a guest that small may be back before it is looked at
        assert seen.state is VmState.MIGRATING
    status = ended(platform, wanted)
    assert status.error == "" and status.copied_mib == pytest.approx(8)
    assert (lab.where("files"), lab.defined_on("files")) == (["hv2"], ["hv2"])
    assert platform.observe().vm("files").autostart
    wait_until(lambda: lab.found_on_disk("files") is not None, 60, "up again: files")
    found = lab.found_on_disk("files")
    assert found is not None and found[0] == last.boot_id and found[1] >= last.tick
    assert not (lab.local_dir("hv1") / "files.raw").exists()


def test_a_restart_that_cannot_be_finished_brings_the_guest_back(lab: Lab, platform: LibvirtPlatform) -> None:
    lab.start_guest("files", "hv1", disk="local")
    lab.wait_for_guests("files")
    (lab.local_dir("hv2") / "files.raw").write_text("somebody else's")
    wanted = order(platform, "files", "cold", copy_storage="all", restart=True)
    platform.begin_migration(wanted)
    assert "a file of that name is there already" in ended(platform, wanted).error
    assert platform.whereabouts(wanted.vm_id).is_settled_on("hv1")
    assert (lab.local_dir("hv1") / "files.raw").exists()


# -- what breaks on the way


@pytest.mark.long
def test_a_line_that_breaks_in_post_copy_costs_no_guest_and_leaves_one_definition(
    lab: Lab, platform: LibvirtPlatform
) -> None:
    before = a_writer(lab)
    wanted = order(platform, "busy", mib_per_s=4.0, post_copy=True)
    send(platform, wanted)
    running = ["list", "--name", "--state-running"]
    wait_until(lambda: "busy" in lab.virsh("hv2", *running).split(), 60, "switched over: busy")
    lab.link_down("hv2")
    wait_until(lambda: platform.migration_status(wanted).phase is MigrationPhase.CUT, 60, "cut: busy")
    assert lab.where("busy") == ["hv1", "hv2"]
    assert platform.whereabouts(wanted.vm_id).active_on == ("hv1",)
    lab.link_up("hv2")
    assert ended(platform, wanted, seconds=150).error == ""
    assert arrived_once(lab, platform, "busy", before)


@pytest.mark.long
def test_a_post_copy_that_qemu_itself_gave_up_is_resumed(lab: Lab, platform: LibvirtPlatform) -> None:
    """Here the line is away for so long that QEMU breaks off: nothing but an order of ours brings the rest over.

    Emulated, a guest that waits for the memory which an interrupt needs stops all of its QEMU; what is needed often has
    come after some seconds. The target has to notice too that the line is gone, and does by what it sends in vain.
    """
    before = a_writer(lab)
    wanted = order(platform, "busy", mib_per_s=4.0, post_copy=True)
    send(platform, wanted)
    running = ["list", "--name", "--state-running"]
    wait_until(lambda: "busy" in lab.virsh("hv2", *running).split(), 60, "switched over: busy")
    time.sleep(5)
    lab.give_lines_up_soon("hv1", "hv2")
    lab.line_down("hv2", towards="hv1")
    wait_until(lambda: "post-copy failed" in lab.virsh("hv2", "domstate", "busy", "--reason"), 60, "broken off: busy")
    wait_until(lambda: lab.ask_qemu("hv1", "busy", "query-migrate")["status"] == "postcopy-paused", 60, "paused: busy")
    wait_until(lambda: platform.migration_status(wanted).phase is MigrationPhase.CUT, 60, "cut: busy")
    lab.line_up("hv2", towards="hv1")
    assert ended(platform, wanted, seconds=60).error == ""
    assert arrived_once(lab, platform, "busy", before)


def test_whose_libvirtd_dies_in_mid_flight_the_guest_stays_or_arrives_and_runs_once(
    lab: Lab, platform: LibvirtPlatform
) -> None:
    lab.start_guest("web", "hv1")
    lab.wait_for_guests("web")
    for host in ("hv2", "hv1"):
        before = lab.counter("web")
        wanted = order(platform, "web", mib_per_s=4.0)
        send(platform, wanted)
        under_way(platform, wanted)
        lab.kill_libvirtd(host)
        lab.start_libvirtd(host)
        wait_until(lambda: len(lab.qemu_on("web")) == 1, 60, "at one end: web")
        lab.still_counting("web", before)
        assert lab.where("web") == lab.defined_on("web") == lab.qemu_on("web") == ["hv1"]
        assert platform.whereabouts(wanted.vm_id).is_settled_on("hv1")


# -- refused before it begins


def test_two_guests_of_one_name_are_found_out_before_anything_moves(lab: Lab, platform: LibvirtPlatform) -> None:
    lab.start_guest("web", "hv1")
    wanted = order(platform, "web")
    other = lab.virsh("hv1", "dumpxml", "web", "--inactive").replace(wanted.vm_id, wanted.vm_id[:-4] + "dead")
    lab.virsh("hv2", "define", "/dev/stdin", given=other)
    (why,) = platform.preflight(wanted)
    assert why.startswith("another guest on hv2 is called web too") and "rename one of the two" in why


def test_how_fast_a_guest_writes_is_measured_a_look_later(lab: Lab, platform: LibvirtPlatform) -> None:
    a_writer(lab)
    assert platform.observe().vm("busy").dirty_mib_per_s is None
    wait_until(lambda: platform.observe().vm("busy").dirty_mib_per_s is not None, 20, "measured: busy")
    rate = platform.observe().vm("busy").dirty_mib_per_s
    assert rate is not None and rate > SLOW
