"""What speaks against a migration is said before it begins: guest, host, cause and way out in each sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from balancer.domain.migration import MigrationKind, MigrationOptions
from balancer.domain.placement import Move
from balancer.domain.vm import CpuMode
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.definition import Definition, Disk
from balancer.platforms.libvirt.preflight import Leaving, Offered, Versions, in_words, machines_of, reasons_against

NEW, OLD = Versions(9_000_000, 7_002_000), Versions(1_002_000, 1_005_000)
PLAIN = Definition(2, 2048.0, CpuMode.CUSTOM, ("br0",), (), {}, None)
WEB = Leaving("web", True, True, 2048.0, PLAIN, "kvm", "x86_64", "pc-i440fx-7.2", NEW, cpu_digest="aa")
HV2 = Offered(NEW, frozenset({"pc", "pc-i440fx-7.2"}), ("br0", "br1"), ("images",), 8192.0, cpu_digest="aa")
LOCAL = replace(PLAIN, disks=(Disk("vda", None, "/srv/web.raw"),))


def order(kind: MigrationKind = "live", **options: Any) -> MigrationOrder:
    return MigrationOrder(Move("web", "hv1", "hv2"), "id", kind, None, MigrationOptions(**options))


def said(of: MigrationOrder, guest: Leaving = WEB, offered: Offered = HV2) -> str:
    """The one reason that there is."""
    (reason,) = reasons_against(of, guest, offered)
    return reason


def test_nothing_speaks_against_a_plain_guest_on_a_host_that_has_all() -> None:
    assert reasons_against(order(), WEB, HV2) == ()
    assert reasons_against(order(post_copy=True, parallel=4, tls=True), WEB, HV2) == ()


def test_a_guest_that_is_not_there() -> None:
    assert "hv1 has no guest web" in reasons_against(order(), None, None)[0]


@pytest.mark.parametrize(
    ("guest", "offered", "words"),
    [
        ({"is_active": False}, {}, "a live migration, and web is shut off on hv1: plan it anew"),
        ({}, {"is_active": True}, "web is active on hv2 already: see which of the two is real"),
        ({}, {"same_name": "u2"}, "another guest on hv2 is called web too (u2): rename one of the two"),
        ({"definition": replace(PLAIN, bound_by="it uses a device of this host (pci)")}, {}, "web is bound to hv1"),
        ({}, {"gives_cpu": False}, "hv2 cannot give web its CPU, by libvirt's own comparison: give it a model that"),
        ({"machine": "pc-i440fx-9.9"}, {}, "hv2 knows no machine type pc-i440fx-9.9 (kvm, x86_64), which web has"),
        (
            {},
            {"networks": ("br1",)},
            "hv2 has no network or bridge br0 that is up, which web is plugged into: start it",
        ),
        ({}, {"memory_free_mib": 512.0}, "hv2 has 512 MiB of memory free, and web needs 2.0 GiB: make room there"),
        (
            {"cd_media": ("/iso/a.iso",)},
            {"lacks_files": ("/iso/a.iso",)},
            "holds /iso/a.iso, which hv2 lacks: eject it",
        ),
        (
            {"definition": LOCAL},
            {},
            "the disk /srv/web.raw of web is on hv1 alone: put it on shared storage, or let the",
        ),
        (
            {"definition": replace(PLAIN, disks=(Disk("vda", "ceph", None),))},
            {},
            "hv2 has no active storage pool ceph, which web uses: start it there",
        ),
        (
            {"definition": replace(PLAIN, cpu_mode=CpuMode.HOST_PASSTHROUGH), "cpu_digest": "bb"},
            {},
            "web uses the CPU of hv1 itself (host-passthrough), and hv2 has another: give it a CPU model that both",
        ),
    ],
)
def test_each_reason_names_guest_host_cause_and_way_out(
    guest: dict[str, Any], offered: dict[str, Any], words: str
) -> None:
    assert words in said(order(), replace(WEB, **guest), replace(HV2, **offered))


@pytest.mark.parametrize(
    ("guest", "offered", "words"),
    [
        ({}, {"lacks_pools_at": ("/srv",)}, "hv2 has no storage pool at /srv for a disk of web: define one there"),
        (
            {"disks_needed_by": {"/srv/web.raw": "shop"}},
            {},
            "is needed on hv1 by shop as well: leave it there, or give",
        ),
        ({}, {"files_in_the_way": ("/srv/web.raw",)}, "if the directory is shared, name it under `shared_paths`"),
    ],
)
def test_a_disk_that_would_be_copied_needs_a_place_and_an_empty_one(
    guest: dict[str, Any], offered: dict[str, Any], words: str
) -> None:
    copied = order(copy_storage="all")
    assert reasons_against(copied, replace(WEB, definition=LOCAL), HV2) == ()
    assert words in said(copied, replace(WEB, definition=LOCAL, **guest), replace(HV2, **offered))


def test_what_lies_above_a_base_image_needs_that_image() -> None:
    guest = replace(WEB, definition=LOCAL, base_images=("/srv/base.qcow2",))
    lacking = replace(HV2, lacks_files=("/srv/base.qcow2",))
    assert "lies above /srv/base.qcow2, which hv2 lacks" in said(order(copy_storage="incremental"), guest, lacking)
    assert reasons_against(order(copy_storage="all"), guest, lacking) == ()


def test_what_too_old_a_hypervisor_cannot_do_is_refused_early() -> None:
    old = replace(HV2, versions=OLD)
    reasons = reasons_against(order(post_copy=True), WEB, old)
    assert reasons == (
        "post-copy needs libvirt 1.3.3 on both hosts, and hv2 has 1.2.0: upgrade it, or leave post-copy out of "
        "`migration` in the policy",
        "post-copy needs QEMU 2.6.0 on both hosts, and hv2 has 1.5.0: upgrade it, or leave post-copy out of "
        "`migration` in the policy",
    )
    assert reasons_against(order(), WEB, old) == ()
    assert "and hv1 has 1.2.0" in reasons_against(order(parallel=2), replace(WEB, versions=OLD), HV2)[0]


def test_firmware_variables_and_tpm_state_are_not_left_behind() -> None:
    guest = replace(WEB, firmware_file="/var/nvram/web.fd", has_tpm=True)
    assert reasons_against(order(), guest, HV2) == (), "libvirt sends them along with a guest that runs"
    firmware, tpm = reasons_against(order("cold", restart=True), guest, HV2)
    assert "firmware variables of web (/var/nvram/web.fd)" in firmware and "would stay behind: move it live" in firmware
    assert "TPM of web" in tpm and "move it live" in tpm


def test_a_transient_guest_is_not_shut_down_to_be_moved() -> None:
    assert "shut down on hv1 it would be gone" in said(order("cold", restart=True), replace(WEB, is_persistent=False))


def test_a_guest_that_is_shut_off_needs_no_memory_and_no_such_cpu_yet() -> None:
    off = replace(WEB, is_active=False, definition=replace(PLAIN, cpu_mode=CpuMode.HOST_PASSTHROUGH), cpu_digest="bb")
    assert reasons_against(order("cold"), off, replace(HV2, memory_free_mib=1.0)) == ()


def test_machine_types_are_read_with_their_aliases_for_the_guests_own_kind() -> None:
    capabilities = (
        "<capabilities><guest><arch name='x86_64'><machine canonical='pc-i440fx-7.2'>pc</machine>"
        "<domain type='qemu'/><domain type='kvm'><machine>pc-kvm</machine></domain></arch></guest></capabilities>"
    )
    assert machines_of(capabilities, "kvm", "x86_64") == frozenset({"pc", "pc-i440fx-7.2", "pc-kvm"})
    assert machines_of(capabilities, "qemu", "x86_64") == frozenset({"pc", "pc-i440fx-7.2"})
    assert machines_of(capabilities, "kvm", "aarch64") is None


def test_versions_are_said_as_people_do() -> None:
    assert (in_words(9_000_000), in_words(1_003_003)) == ("9.0.0", "1.3.3")
