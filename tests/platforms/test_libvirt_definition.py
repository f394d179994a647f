"""What is read from the definitions of guests and the capabilities of hosts."""

from __future__ import annotations

import pytest

from balancer.domain.vm import CpuMode
from balancer.platforms.libvirt.capabilities import host_facts
from balancer.platforms.libvirt.definition import LABELS, Definition, SharedStorage, read_definition

SHARED = SharedStorage(paths=("/srv/guests",), pools=frozenset({"ceph"}))


def guest(devices: str = "", rest: str = "<vcpu>2</vcpu>") -> Definition:
    xml = f"<domain><name>g</name><memory unit='KiB'>2097152</memory>{rest}<devices>{devices}</devices></domain>"
    return read_definition(xml, SHARED)


def disk(kind: str, source: str, device: str = "disk") -> str:
    return f"<disk type='{kind}' device='{device}'>{source}<target dev='vda'/></disk>"


@pytest.mark.parametrize(
    ("xml", "why_not"),
    [
        (disk("file", "<source file='/srv/guests/a.qcow2'/>"), None),
        (disk("file", "<source file='/srv/guests-old/a.qcow2'/>"), "its disk /srv/guests-old/a.qcow2"),
        (disk("file", "<source file='/srv/guests/../local/a.qcow2'/>"), "its disk /srv/guests/../local/a.qcow2"),
        (disk("block", "<source dev='/dev/vg0/a'/>"), "its disk /dev/vg0/a"),
        (disk("network", "<source protocol='rbd' name='pool/a'/>"), None),
        (disk("volume", "<source pool='ceph' volume='a'/>"), None),
        (disk("volume", "<source pool='default' volume='a'/>"), "its disk default/a"),
        (disk("vhostuser", "<source type='unix' path='/run/a.sock'/>"), "its disk /run/a.sock"),
        (disk("file", "", device="cdrom"), None),
        (disk("file", "<source file='/iso/debian.iso'/>", device="cdrom"), "its disk /iso/debian.iso"),
    ],
)
def test_a_disk_that_only_this_host_has_holds_its_guest(xml: str, why_not: str | None) -> None:
    expected = f"{why_not} is on this host alone" if why_not else None
    assert (guest(xml).bound_by or guest(xml).why_alone) == expected


@pytest.mark.parametrize(
    ("devices", "why_not"),
    [
        (
            "<hostdev type='pci'><source><address domain='0x0000' bus='0x3b'/></source></hostdev>",
            "it uses a device of this host (pci domain=0x0000 bus=0x3b)",
        ),
        (
            "<interface type='hostdev'><source><address type='pci' bus='0x3b'/></source></interface>",
            "it uses a network card of this host (bus=0x3b)",
        ),
        (
            "<filesystem type='mount'><source dir='/export/a'/></filesystem>",
            "it shares the directory /export/a with this host",
        ),
    ],
)
def test_a_device_of_the_host_holds_its_guest(devices: str, why_not: str) -> None:
    assert (guest(devices).bound_by or guest(devices).why_alone) == why_not


def test_networks_and_pools_that_a_guest_needs() -> None:
    cards = (
        "<interface type='network'><source network='lan' bridge='virbr0'/></interface>"
        "<interface type='bridge'><source bridge='br0'/></interface>"
        "<interface type='direct'><source dev='eth1' mode='bridge'/></interface>"
        "<interface type='user'/>"
    )
    read = guest(cards + disk("volume", "<source pool='ceph' volume='a'/>"))
    assert (read.networks, read.pools) == (("br0", "eth1", "lan"), ("ceph",))


@pytest.mark.parametrize(
    ("cpu", "mode"),
    [
        ("", CpuMode.CUSTOM),
        ("<cpu mode='custom'><model>qemu64</model></cpu>", CpuMode.CUSTOM),
        ("<cpu mode='host-model'/>", CpuMode.HOST_MODEL),
        ("<cpu mode='host-passthrough'/>", CpuMode.HOST_PASSTHROUGH),
        ("<cpu mode='maximum'/>", CpuMode.HOST_PASSTHROUGH),
    ],
)
def test_how_a_guest_is_bound_to_its_cpu(cpu: str, mode: CpuMode) -> None:
    assert guest(rest=cpu).cpu_mode is mode


@pytest.mark.parametrize(
    ("xml", "vcpus", "memory_mib"),
    [
        ("<vcpu>4</vcpu>", 4, 2048),
        ("<vcpu current='2'>8</vcpu><currentMemory unit='MiB'>512</currentMemory>", 2, 512),
        ("<currentMemory>524288</currentMemory>", 1, 512),
        ("<vcpu>1</vcpu><currentMemory unit='GB'>1</currentMemory>", 1, pytest.approx(953.67, abs=0.01)),
    ],
)
def test_a_guest_has_what_it_was_given_not_what_it_may_grow_to(xml: str, vcpus: int, memory_mib: float) -> None:
    read = guest(rest=xml)
    assert (read.vcpus, read.memory_mib) == (vcpus, memory_mib)


def test_labels_come_from_the_metadata() -> None:
    labels = "<l:labels xmlns:l='https://balancer.example/labels/1'><l:label key='app' value='shop'/></l:labels>"
    assert guest(rest=f"<metadata><other xmlns='urn:x'/>{labels}</metadata>").labels == {"app": "shop"}
    assert guest().labels == {}


def host(cpu: str) -> str:
    return f"<capabilities><host><uuid>F1501F2D-CDAD-594C-A260-13012ACC89D3</uuid>{cpu}</host></capabilities>"


def test_a_host_is_known_by_its_uuid_and_cpu() -> None:
    facts = host_facts(host("<cpu><arch>x86_64</arch><model>EPYC-Milan</model></cpu>"))
    assert (facts.uuid, facts.cpu_model) == ("f1501f2d-cdad-594c-a260-13012acc89d3", "EPYC-Milan")
    assert host_facts("<capabilities><host/></capabilities>").uuid is None


def test_hosts_of_one_cpu_have_one_digest_and_a_missing_feature_makes_another() -> None:
    one = (
        "<cpu><model>m</model><counter name='tsc' frequency='2596152000'/><feature name='a'/><feature name='b'/></cpu>"
    )
    same = (
        "<cpu><model>m</model><counter name='tsc' frequency='2596152001'/><feature name='b'/><feature name='a'/></cpu>"
    )
    less = "<cpu><model>m</model><feature name='a'/></cpu>"
    digests = [host_facts(host(cpu)).cpu_digest for cpu in (one, same, less)]
    assert digests[0] == digests[1] != digests[2]


def test_what_a_guest_asks_for_stands_beside_its_labels() -> None:
    told = '<label key="app" value="shop"/><ask key="movable" value="never"/><ask key="apart" value="shop-db"/>'
    read = guest(rest=f'<metadata><b:labels xmlns:b="{LABELS}">{told.replace("<", "<b:")}</b:labels></metadata>')
    assert read.labels == {"app": "shop"}
    assert read.asks == {"movable": "never", "apart": "shop-db"}


@pytest.mark.parametrize(
    ("xml", "why_dear"),
    [
        ("<vcpu>2</vcpu>", None),
        ("<cputune><vcpupin vcpu='0' cpuset='3'/></cputune>", "its vCPUs are pinned to cores"),
        ("<memoryBacking><hugepages/></memoryBacking>", "its memory is in huge pages"),
        ("<numatune><memory mode='strict' nodeset='0'/></numatune>", "its memory is bound to a NUMA node"),
    ],
)
def test_a_guest_that_is_tied_to_scarce_things_is_dear_to_move(xml: str, why_dear: str | None) -> None:
    assert guest(rest=xml).why_dear == why_dear
    assert guest(rest=xml).bound_by is None


def test_a_cpu_that_a_guest_was_given_can_be_asked_for_elsewhere() -> None:
    xml = "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
    xml += "<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>EPYC</model>"
    xml += "<feature policy='require' name='avx'/></cpu>"
    cpu = guest(rest=xml).cpu
    assert cpu is not None
    assert (cpu.arch, cpu.machine) == ("x86_64", "pc")
    assert "EPYC" in cpu.xml and "avx" in cpu.xml and "check" not in cpu.xml
    assert guest(rest="<cpu mode='host-passthrough'/>").cpu is None
