"""What speaks against a migration, asked of both ends before it is begun; each reason is a sentence with its way out.

The guest's side and the target's side are read apart, and compared by functions that touch nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from xml.etree import ElementTree

from balancer.domain.units import memory_in_words
from balancer.domain.vm import CpuMode
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.capabilities import host_facts
from balancer.platforms.libvirt.definition import Definition, read_definition
from balancer.platforms.libvirt.disks_moved import are_there, pool_at, users_of
from balancer.platforms.libvirt.library import Connection, library
from balancer.platforms.libvirt.looking import memory_free_mib, networks_of, shared_storage
from balancer.platforms.libvirt.questions import can_give, find

MILLION = 1_000_000
NEEDS_LIBVIRT = {"post_copy": 1_003_003, "tls": 3_002_000, "parallel": 5_002_000}
"""By option, the libvirt that both ends need: 1.3.3, 3.2.0, 5.2.0."""
NEEDS_QEMU = {"auto_converge": 1_006_000, "post_copy": 2_006_000, "tls": 2_007_000, "parallel": 4_000_000}


@dataclass(frozen=True)
class Versions:
    """How old a hypervisor is, as libvirt counts: 9.0.0 is 9 000 000."""

    libvirt: int
    qemu: int


@dataclass(frozen=True)
class Leaving:
    """A guest, as its source has it."""

    name: str
    is_active: bool
    is_persistent: bool
    memory_mib: float
    definition: Definition
    domain_type: str
    arch: str
    machine: str
    versions: Versions
    cpu_digest: str | None = None
    cd_media: tuple[str, ...] = ()
    base_images: tuple[str, ...] = ()
    firmware_file: str | None = None
    has_tpm: bool = False
    disks_needed_by: Mapping[str, str] = field(default_factory=dict)  # by disk, what else needs it


@dataclass(frozen=True)
class Offered:
    """What the target has for a guest."""

    versions: Versions
    machines: frozenset[str] | None  # None: it does not say
    networks: tuple[str, ...] | None
    pools: tuple[str, ...]
    memory_free_mib: float | None
    cpu_digest: str | None = None
    gives_cpu: bool | None = None
    same_name: str | None = None  # the UUID of another guest of this name
    is_active: bool = False
    lacks_pools_at: tuple[str, ...] = ()
    files_in_the_way: tuple[str, ...] = ()
    lacks_files: tuple[str, ...] = ()


def reasons_against(order: MigrationOrder, guest: Leaving | None, offered: Offered | None) -> tuple[str, ...]:
    """Say everything that speaks against a migration; empty where nothing does."""
    if guest is None or offered is None:
        return (f"{order.move.source} has no guest {order.move.vm} ({order.vm_id}): look again where it is",)
    return tuple(reason for rule in _RULES for reason in rule(order, guest, offered))


Rule = Callable[[MigrationOrder, Leaving, Offered], Iterator[str]]


def _state(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    if guest.is_active is not order.needs_running:
        state = "active" if guest.is_active else "shut off"
        yield f"a {order.kind} migration, and {guest.name} is {state} on {order.move.source}: plan it anew"
    if offered.is_active:
        yield f"{guest.name} is active on {order.move.target} already: see which of the two is real"
    if order.options.restart and not guest.is_persistent:
        yield f"{guest.name} is transient: shut down on {order.move.source} it would be gone; define it first"


def _name(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    if offered.same_name is not None:
        yield (
            f"another guest on {order.move.target} is called {guest.name} too ({offered.same_name}): "
            "rename one of the two"
        )


def _ties(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    if guest.definition.bound_by is not None:
        yield f"{guest.name} is bound to {order.move.source}, {guest.definition.bound_by}: take that from it first"


def _cpu(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    target = order.move.target
    passes_through = guest.definition.cpu_mode is CpuMode.HOST_PASSTHROUGH
    if guest.is_active and passes_through and guest.cpu_digest != offered.cpu_digest:
        yield (
            f"{guest.name} uses the CPU of {order.move.source} itself (host-passthrough), and {target} has another: "
            "give it a CPU model that both have"
        )
    elif offered.gives_cpu is False:
        yield f"{target} cannot give {guest.name} its CPU, by libvirt's own comparison: give it a model that both have"


def _machine(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    if offered.machines is not None and guest.machine and guest.machine not in offered.machines:
        yield (
            f"{order.move.target} knows no machine type {guest.machine} ({guest.domain_type}, {guest.arch}), which "
            f"{guest.name} has: bring its QEMU up to that of {order.move.source}, or give the guest an older type"
        )


def _versions(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    ends = {order.move.source: guest.versions, order.move.target: offered.versions}
    wanted = [option for option in ("auto_converge", "post_copy", "tls", "parallel") if getattr(order.options, option)]
    for option in wanted:
        for host, have in ends.items():
            said = option.replace("_", "-")
            for part, is_now, needed in (
                ("libvirt", have.libvirt, NEEDS_LIBVIRT.get(option, 0)),
                ("QEMU", have.qemu, NEEDS_QEMU[option]),
            ):
                if is_now < needed:
                    yield (
                        f"{said} needs {part} {in_words(needed)} on both hosts, and {host} has {in_words(is_now)}: "
                        f"upgrade it, or leave {said} out of `migration` in the policy"
                    )


def _networks(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    missing = [n for n in guest.definition.networks if offered.networks is not None and n not in offered.networks]
    if missing:
        yield (
            f"{order.move.target} has no network or bridge {', '.join(missing)} that is up, which {guest.name} is "
            "plugged into: start it there"
        )


def _storage(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    target, local = order.move.target, guest.definition.local_disks
    missing = [pool for pool in guest.definition.pools if pool not in offered.pools]
    if missing:
        yield f"{target} has no active storage pool {', '.join(missing)}, which {guest.name} uses: start it there"
    if local and not order.options.copies_storage:
        yield (
            f"the disk {local[0]} of {guest.name} is on {order.move.source} alone: put it on shared storage, or let "
            "the policy copy it (`migration: {copy_storage: all}`)"
        )
        return
    for path, user in guest.disks_needed_by.items():
        yield (
            f"the disk {path} of {guest.name} is needed on {order.move.source} by {user} as well: leave it there, or "
            "give each a disk of its own"
        )
    for directory in offered.lacks_pools_at:
        yield f"{target} has no storage pool at {directory} for a disk of {guest.name}: define one there"
    for path in offered.files_in_the_way:
        yield (
            f"{target} has a file {path} already, where a disk of {guest.name} would be copied to: if the directory is "
            "shared, name it under `shared_paths`; else see what the file is, and remove it"
        )
    volumes = [disk for disk in local if not disk.startswith("/")]
    if volumes and order.kind == "cold":
        yield f"the volume {volumes[0]} of {guest.name} cannot be copied while it is shut off: move it live"


def _media(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    for path in guest.cd_media:
        if path in offered.lacks_files:
            yield f"the drive of {guest.name} holds {path}, which {order.move.target} lacks: eject it, or put it there"
    for path in guest.base_images:
        if order.options.copy_storage == "incremental" and path in offered.lacks_files:
            yield (
                f"a disk of {guest.name} lies above {path}, which {order.move.target} lacks: put it there, or copy all "
                "(`copy_storage: all`)"
            )


def _memory(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    free = offered.memory_free_mib
    if order.needs_running and free is not None and free < guest.memory_mib:
        yield (
            f"{order.move.target} has {memory_in_words(free)} of memory free, and {guest.name} needs "
            f"{memory_in_words(guest.memory_mib)}: make room there"
        )


def _left_behind(order: MigrationOrder, guest: Leaving, offered: Offered) -> Iterator[str]:
    """libvirt sends these along with a guest that runs, and not with one that is shut off."""
    if order.kind != "cold":
        return
    if guest.firmware_file is not None:
        yield (
            f"the firmware variables of {guest.name} ({guest.firmware_file}) are on {order.move.source} alone and "
            "would stay behind: move it live, or put the file on shared storage"
        )
    if guest.has_tpm:
        yield (
            f"the state of the TPM of {guest.name} is on {order.move.source} alone and would stay behind: move it live"
        )


_RULES: tuple[Rule, ...] = (
    _state,
    _name,
    _ties,
    _cpu,
    _machine,
    _versions,
    _networks,
    _storage,
    _media,
    _memory,
    _left_behind,
)


def in_words(version: int) -> str:
    """Say a version as people do: 9000000 is 9.0.0."""
    return f"{version // MILLION}.{version // 1000 % 1000}.{version % 1000}"


# -- asking


def ask_source(connection: Connection, vm_id: str, shared_paths: tuple[str, ...]) -> Leaving | None:
    """Ask the source about a guest; None where it has none such."""
    domain = find(connection, vm_id)
    if domain is None:
        return None
    shared, root = shared_storage(connection, shared_paths), ElementTree.fromstring(domain.XMLDesc(0))
    definition = read_definition(domain.XMLDesc(0), shared)
    machine, firmware = root.find("os/type"), root.findtext("os/nvram")
    local_firmware = firmware if firmware and not shared.has_path(firmware) else None
    return Leaving(
        name=domain.name(),
        is_active=bool(domain.isActive()),
        is_persistent=bool(domain.isPersistent()),
        memory_mib=definition.memory_mib,
        definition=definition,
        domain_type=root.get("type") or "",
        arch=(machine.get("arch") or "") if machine is not None else "",
        machine=(machine.get("machine") or "") if machine is not None else "",
        versions=versions_of(connection),
        cpu_digest=host_facts(connection.getCapabilities()).cpu_digest,
        cd_media=tuple(d.local_source for d in definition.disks if d.local_source and d.device == "cdrom"),
        base_images=tuple(s for source in root.iterfind(".//backingStore/source") if (s := source.get("file"))),
        firmware_file=local_firmware,
        has_tpm=root.find("devices/tpm") is not None,
        disks_needed_by=users_of(connection, vm_id, definition.local_disks),
    )


def ask_target(connection: Connection, vm_id: str, guest: Leaving, is_active: bool) -> Offered:
    """Ask the target what it has for a guest."""
    libvirt, definition = library(), guest.definition
    files = [path for path in definition.local_disks if path.startswith("/")]
    homes = sorted({str(PurePosixPath(path).parent) for path in files})
    lacking = tuple(directory for directory in homes if pool_at(connection, directory) is None)
    wanted = (*guest.cd_media, *guest.base_images)
    there = are_there(connection, [path for path in wanted if path.startswith("/")])
    pools = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
    cpu = definition.cpu
    return Offered(
        versions=versions_of(connection),
        machines=machines_of(connection.getCapabilities(), guest.domain_type, guest.arch),
        networks=networks_of(connection),
        pools=tuple(pool.name() for pool in pools),
        memory_free_mib=memory_free_mib(connection),
        cpu_digest=host_facts(connection.getCapabilities()).cpu_digest,
        gives_cpu=can_give(connection, [cpu]).get(cpu) if cpu is not None and guest.is_active else None,
        same_name=_of_the_same_name(connection, guest.name, vm_id),
        is_active=is_active,
        lacks_pools_at=lacking,
        files_in_the_way=are_there(connection, definition.local_disks),
        lacks_files=tuple(path for path in wanted if path not in there),
    )


def versions_of(connection: Connection) -> Versions:
    return Versions(int(connection.getLibVersion()), int(connection.getVersion()))


def machines_of(capabilities_xml: str, domain_type: str, arch: str) -> frozenset[str] | None:
    """Return the machine types that a host knows for a kind of guest; None where it says nothing of such guests."""
    root = ElementTree.fromstring(capabilities_xml)
    found: set[str] = set()
    for guest in root.iterfind(f"guest/arch[@name='{arch}']"):
        kinds = [domain for domain in guest.iterfind("domain") if domain.get("type") == domain_type]
        for where in (guest, *kinds):
            for machine in where.iterfind("machine"):
                found |= {machine.text or "", machine.get("canonical") or ""}
    return frozenset(found - {""}) or None


def _of_the_same_name(connection: Connection, name: str, vm_id: str) -> str | None:
    libvirt = library()
    try:
        other = str(connection.lookupByName(name).UUIDString())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    return other if other != vm_id else None
