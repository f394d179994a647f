"""Real hypervisors with real guests keep the contract, and what only real ones can get wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from ruamel.yaml import YAML

from balancer.clock import WallClock
from balancer.domain.host import HostState
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteFile
from balancer.domain.vm import Movable, VmState
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder, MigrationPhase, Platform, Whereabouts
from balancer.platforms.libvirt import LibvirtPlatform
from balancer.platforms.libvirt.definition import CpuAsked
from balancer.platforms.libvirt.library import open_connection
from balancer.platforms.libvirt.questions import can_give
from tests.contracts.platform_contract import PlatformContract, begin_slowly, order_for, see_it_end, wait_until
from tests.lab import hosts
from tests.lab.fixtures import lab, shared_lab
from tests.lab.guests import Guest
from tests.lab.lab import Lab

__all__ = ["lab", "shared_lab"]
pytestmark = pytest.mark.lab

LABELS = "<l:labels xmlns:l='https://balancer.example/labels/1'><l:label key='app' value='shop'/></l:labels>"
HOOK = Path(__file__).parents[2] / "configs/libvirt-hook/qemu"


class LabBench:
    """Three hypervisors; on the first, a guest that runs and one that is shut off."""

    hosts = ("hv1", "hv2", "hv3")
    runner, sleeper = "web-1", "old-1"
    slow_mib_per_s = 4.0

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.opened: list[LibvirtPlatform] = []
        lab.start_guest(self.runner, "hv1", autostart=True, metadata=LABELS)
        lab.define_guest(Guest(self.sleeper), "hv1")
        lab.virsh("hv1", "autostart", self.sleeper)
        self.platform = self.another_platform()

    def another_platform(self) -> LibvirtPlatform:
        path = self.lab.site_file(platform={"kind": "libvirt", "poll_deadline_seconds": 10.0})
        site = SiteFile.model_validate(YAML(typ="safe").load(path))
        self.opened.append(LibvirtPlatform(site, WallClock()))
        return self.opened[-1]

    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def let_it_boot(self, vm: str) -> None:
        self.lab.wait_for_guests(vm)

    def make_unreachable(self, host: str) -> None:
        self.lab.kill_libvirtd(host)

    def heal(self, host: str) -> None:
        self.lab.start_libvirtd(host)

    def end_migrations(self) -> None:
        """A guest on its way cannot be removed from its target. Only one that is has a QEMU on two hosts."""
        # Asked of the processes: a test may have left a host whose libvirtd answers nobody.
        if all(len(self.lab.qemu_on(name)) < 2 for name in (self.runner, self.sleeper)):
            return
        for vm in self.platform.observe().vms:
            if vm.moving_to is not None and vm.id is not None:
                self.platform.abort_migration(MigrationOrder(Move(vm.name, vm.host, vm.moving_to), vm.id))
        wait_until(self, lambda: not any(vm.is_in_flight for vm in self.platform.observe().vms))


@pytest.fixture
def bench(lab: Lab) -> Iterator[LabBench]:
    bench = LabBench(lab)
    yield bench
    bench.end_migrations()
    for platform in bench.opened:
        platform.close()


class TestLibvirtPlatform(PlatformContract):
    pass


# -- looking


def test_readings_are_there_at_the_first_look(bench: LabBench) -> None:
    seen = bench.platform.observe()
    assert seen.doubts == ()
    guest = seen.vm(bench.runner)
    assert guest.cpu_used_cores is not None and guest.cpu_wait_share is not None
    assert guest.memory_mib == 96 and guest.labels == {"app": "shop"}
    assert all(host.cpu_used_cores is not None and host.memory_used_mib for host in seen.hosts)


def cpu_seconds(bench: LabBench, host: str) -> float:
    """The CPU time that the QEMU of the runner has used, by the kernel: what it gets depends on who else is busy."""
    for pid in hosts.processes(bench.lab.host(host)):
        if any(f"guest={bench.runner}," in word for word in hosts.command_line(pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise AssertionError(f"{bench.runner} does not run on {host}")


def test_the_cpu_that_a_guest_burns_is_read_on_the_guest_and_on_its_host(bench: LabBench) -> None:
    bench.lab.wait_for_guests(bench.runner)
    bench.lab.set_load(bench.runner, 80)
    bench.platform.observe()
    began, used = time.monotonic(), cpu_seconds(bench, "hv1")
    time.sleep(6)
    seen = bench.platform.observe()
    burnt = (cpu_seconds(bench, "hv1") - used) / (time.monotonic() - began)
    assert burnt > 0.1
    assert seen.vm(bench.runner).cpu_used_cores == pytest.approx(burnt, rel=0.3)
    assert seen.host("hv1").cpu_used_cores == pytest.approx(burnt, rel=0.5)
    idle = seen.host("hv3").cpu_used_cores
    assert idle is not None and idle < burnt / 2


def test_a_guest_that_runs_twice_is_an_alarm(bench: LabBench) -> None:
    twin = bench.lab.virsh("hv1", "dumpxml", bench.runner, "--inactive")
    bench.lab.virsh("hv2", "create", "/dev/stdin", given=twin)
    seen = bench.platform.observe()
    clashes = {doubt.subject: doubt.detail for doubt in seen.doubts if doubt.kind == "clash"}
    assert set(clashes) == {f"vm:{bench.runner}", "host:hv1", "host:hv2"}
    assert "it may run twice" in clashes[f"vm:{bench.runner}"]


def test_a_definition_that_was_left_behind_is_no_second_guest(bench: LabBench) -> None:
    left = bench.lab.virsh("hv1", "dumpxml", bench.runner, "--inactive")
    bench.lab.virsh("hv3", "define", "/dev/stdin", given=left)
    seen = bench.platform.observe()
    assert (seen.vm(bench.runner).host, seen.doubts) == ("hv1", ())
    assert [(old.vm, old.host, old.lives_on) for old in bench.platform.stale_definitions()] == [
        (bench.runner, "hv3", "hv1")
    ]


def test_two_guests_of_one_name_are_told_apart_by_their_uuids(bench: LabBench) -> None:
    bench.lab.define_guest(Guest(bench.sleeper, uuid=UUID("8a52d1f0-0000-4000-8000-000000000001")), "hv2")
    names = {vm.name for vm in bench.platform.observe().vms}
    assert f"{bench.sleeper}~8a52d1f0" in names
    assert len(names) == 3 and bench.sleeper not in names


# -- silence


def test_a_host_that_stands_still_delays_no_one_and_costs_no_second_thread(bench: LabBench) -> None:
    bench.platform.observe()
    threads = threading.active_count()
    bench.lab.freeze_host("hv1")
    try:
        for _ in range(3):
            seen = bench.platform.observe()
            assert seen.host("hv1").state is HostState.UNREACHABLE
            assert seen.host("hv2").state is HostState.UP
            assert seen.vm(bench.runner).state is VmState.UNKNOWN
        assert threading.active_count() <= threads
    finally:
        bench.lab.thaw_host("hv1")
    wait_until(bench, lambda: bench.platform.answers("hv1"))
    assert bench.platform.observe().vm(bench.runner).state is VmState.RUNNING


def test_a_connection_that_the_host_never_closed_is_found_dead(bench: LabBench) -> None:
    bench.platform.observe()
    bench.lab.link_down("hv1")
    assert bench.platform.observe().host("hv1").state is HostState.UNREACHABLE
    bench.lab.power_off("hv1")
    bench.lab.link_up("hv1")
    bench.lab.power_on("hv1")
    wait_until(bench, lambda: bench.platform.answers("hv1"))


def test_a_libvirtd_that_was_restarted_is_asked_anew(bench: LabBench) -> None:
    bench.platform.observe()
    bench.lab.kill_libvirtd("hv1")
    bench.lab.start_libvirtd("hv1")
    seen = bench.platform.observe()
    assert (seen.host("hv1").state, seen.vm(bench.runner).state) == (HostState.UP, VmState.RUNNING)


# -- moving


def test_a_guest_counts_on_through_its_migration(bench: LabBench) -> None:
    bench.lab.wait_for_guests(bench.runner)
    order = order_for(bench, bench.runner)
    before = bench.lab.counter(bench.runner)
    bench.platform.begin_migration(order)
    assert see_it_end(bench, order) == ""
    bench.lab.still_counting(bench.runner, since=before)
    assert bench.lab.qemu_on(bench.runner) == ["hv2"]


def test_a_transient_guest_stays_transient(bench: LabBench) -> None:
    bench.lab.start_guest("brief-1", "hv1", persistent=False)
    order = order_for(bench, "brief-1")
    bench.platform.begin_migration(order)
    assert see_it_end(bench, order) == ""
    assert bench.platform.whereabouts(order.vm_id) == Whereabouts(("hv2",), ())


def test_a_guest_on_its_way_is_active_at_its_source_alone(bench: LabBench) -> None:
    order = begin_slowly(bench)
    assert bench.lab.where(bench.runner) == ["hv1", "hv2"]  # libvirt lists the waiting end as well
    assert bench.platform.whereabouts(order.vm_id).active_on == ("hv1",)
    assert "its migration is under way (outgoing)" in " ".join(bench.platform.reasons_to_stay_on("hv1"))


def test_somebody_elses_migration_is_seen_as_one(bench: LabBench) -> None:
    order = begin_slowly(bench)
    stranger = bench.another_platform()
    guest = stranger.observe().vm(bench.runner)
    assert (guest.host, guest.moving_to, guest.state) == ("hv1", "hv2", VmState.MIGRATING)
    stranger.abort_migration(order)
    wait_until(bench, lambda: stranger.migration_status(order).phase is not MigrationPhase.RUNNING)
    assert stranger.whereabouts(order.vm_id).is_settled_on("hv1")


def test_an_aborted_migration_says_so(bench: LabBench) -> None:
    order = begin_slowly(bench)
    bench.platform.abort_migration(order)
    assert "it was given up on request, and the guest stays at its source" in see_it_end(bench, order)


def test_a_migration_can_be_given_up_the_moment_it_was_begun(bench: LabBench) -> None:
    order = order_for(bench, bench.runner, slowly=True)
    bench.platform.begin_migration(order)
    bench.platform.abort_migration(order)
    assert see_it_end(bench, order) != ""
    assert bench.platform.whereabouts(order.vm_id).is_settled_on("hv1")


def test_a_guest_leaves_once_at_a_time(bench: LabBench) -> None:
    order = begin_slowly(bench)
    elsewhere = MigrationOrder(Move(bench.runner, "hv1", "hv3"), order.vm_id)
    with pytest.raises(PlatformError, match="it is on its way already"):
        bench.platform.begin_migration(elsewhere)


def test_a_disk_that_is_being_copied_is_a_reason_to_stay_on(bench: LabBench) -> None:
    bench.lab.start_guest("files-1", "hv2", disk="local", persistent=False)
    copy = ["--dest", "/var/lib/libvirt/images/copy.raw", "--transient-job", "--bandwidth", "1"]
    bench.lab.virsh("hv2", "blockcopy", "files-1", "vda", *copy)
    try:
        assert bench.platform.reasons_to_stay_on("hv2") == ("files-1 is active here, its disk vda is being copied",)
    finally:
        bench.lab.virsh("hv2", "blockjob", "files-1", "vda", "--abort")


def test_a_local_disk_keeps_a_guest_where_it_is_and_says_why(bench: LabBench) -> None:
    bench.lab.start_guest("files-1", "hv1", disk="local")
    guest = bench.platform.observe().vm("files-1")
    assert (guest.movable, guest.storage) == (Movable.LIVE, "local")  # the policy says whether it is copied
    assert guest.why_not == "its disk /var/lib/libvirt/images/files-1.raw is on this host alone"
    order = order_for(bench, "files-1")
    bench.platform.begin_migration(order)
    error = see_it_end(bench, order)
    assert "Unsafe migration" in error and "an unsafe migration is never forced" in error
    assert bench.platform.whereabouts(order.vm_id).is_settled_on("hv1")


def test_a_shared_disk_comes_along(bench: LabBench) -> None:
    bench.lab.start_guest("db-1", "hv1", disk="shared")
    guest = bench.platform.observe().vm("db-1")
    assert (guest.movable, guest.storage) == (Movable.LIVE, "shared")
    order = order_for(bench, "db-1")
    bench.platform.begin_migration(order)
    assert see_it_end(bench, order) == ""
    assert bench.platform.whereabouts(order.vm_id).is_settled_on("hv2")


DIES_HALFWAY = """
import sys, time
from ruamel.yaml import YAML
from balancer.clock import WallClock
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteFile
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt import LibvirtPlatform
from balancer.platforms.libvirt.definition import CpuAsked
from balancer.platforms.libvirt.library import open_connection
from balancer.platforms.libvirt.questions import can_give

platform = LibvirtPlatform(SiteFile.model_validate(YAML(typ="safe").load(open(sys.argv[1]))), WallClock())
order = MigrationOrder(Move(sys.argv[2], "hv1", "hv2"), sys.argv[3], "live", 8.0)
platform.begin_migration(order)
while not platform.migration_status(order).share_done:
    time.sleep(0.1)
print("under way", flush=True)
time.sleep(600)
"""


def test_a_migration_outlives_the_process_that_began_it(bench: LabBench) -> None:
    vm_id = bench.platform.observe().vm(bench.runner).id
    assert vm_id is not None
    command = [sys.executable, "-c", DIES_HALFWAY, str(bench.lab.site_file()), bench.runner, vm_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        process.send_signal(signal.SIGKILL)
    order = MigrationOrder(Move(bench.runner, "hv1", "hv2"), vm_id)
    assert bench.platform.migration_status(order).phase is MigrationPhase.RUNNING
    assert see_it_end(bench, order) == ""
    assert bench.platform.whereabouts(vm_id) == Whereabouts(("hv2",), ("hv2",))


# -- the hook


def refused(platform: Platform, bench: LabBench, order: MigrationOrder) -> str:
    platform.begin_migration(order)
    return see_it_end(bench, order)


def test_a_cordoned_host_lets_no_guest_start_and_none_arrive(bench: LabBench) -> None:
    hook = bench.lab.hooks_dir("hv2") / "qemu"
    hook.write_bytes(HOOK.read_bytes())
    hook.chmod(0o755)
    bench.lab.kill_libvirtd("hv2")
    bench.lab.start_libvirtd("hv2")
    mark = hook.parents[1] / "balancer-cordoned"
    mark.touch()
    try:
        order = order_for(bench, bench.runner)
        assert "is the host cordoned?" in refused(bench.platform, bench, order)
        assert bench.platform.whereabouts(order.vm_id).is_settled_on("hv1")
        bench.lab.define_guest(Guest("new-1"), "hv2")
        with pytest.raises(Exception, match="cordoned"):
            bench.lab.virsh("hv2", "start", "new-1")
    finally:
        mark.unlink()
    assert refused(bench.platform, bench, order) == ""


def test_each_hypervisor_says_which_cpus_it_can_give(bench: LabBench) -> None:
    seen = bench.platform.observe()
    assert seen.vm(bench.runner).cpu_models is None, "all three can give what the guest was given"
    models = ("qemu64", "EPYC-Milan", "Model-Of-Tomorrow")
    plain, odd, unheard_of = (
        CpuAsked("qemu", "x86_64", "pc", f"<cpu mode='custom' match='exact'><model>{model}</model></cpu>")
        for model in models
    )
    unknown = CpuAsked("qemu", "x86_64", "no-such-machine", plain.xml)
    with closing(open_connection(bench.lab.host("hv1").uri)) as connection:
        answers = can_give(connection, [plain, odd, unheard_of, unknown])
    assert answers == {plain: True, odd: False, unheard_of: False, unknown: False}
