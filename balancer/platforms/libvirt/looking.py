"""One look at one host, through its own connection: everything that it says, nothing concluded from it yet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from balancer.domain.vm import VmState
from balancer.platforms.libvirt.capabilities import HostFacts, host_facts
from balancer.platforms.libvirt.definition import Definition, SharedStorage, read_definition
from balancer.platforms.libvirt.jobs import Part, part_in_migration, vm_state
from balancer.platforms.libvirt.library import Connection, Domain, library
from balancer.platforms.libvirt.samples import Counters, RunKey, guest_sample, host_sample
from balancer.platforms.libvirt.words import is_not_found

KIB_PER_MIB = 1024
BYTES_PER_GIB = 1024**3


@dataclass(frozen=True)
class Sighting:
    """A guest as one host lists it."""

    id: str
    name: str
    host: str
    state: VmState
    definition: Definition
    vcpus: int
    memory_mib: float
    run: int | None = None  # None: it is not active
    part: Part = Part.NONE
    persistent: bool = True
    autostart: bool = False
    memory_used_mib: float | None = None
    disk_gib: float | None = None
    dirty_mib_per_s: float | None = None

    @property
    def is_active(self) -> bool:
        return self.run is not None

    @property
    def run_key(self) -> RunKey:
        return self.id, self.run if self.run is not None else -1


@dataclass(frozen=True)
class HostLook:
    """What one host said."""

    host: str
    seen_at: datetime
    facts: HostFacts
    cpus: float
    memory_mib: float
    memory_used_mib: float | None
    networks: tuple[str, ...] | None
    pools: tuple[str, ...] | None
    guests: tuple[Sighting, ...]
    counters: Counters


def look(connection: Connection, host: str, now: datetime, shared_paths: tuple[str, ...]) -> HostLook:
    """Ask for all at once, in a dozen calls and one more for each guest. Raises libvirt's own error."""
    libvirt = library()
    shared = shared_storage(connection, shared_paths)
    info = connection.getInfo()
    memory = _or_none(lambda: connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS))
    return HostLook(
        host=host,
        seen_at=now,
        facts=host_facts(connection.getCapabilities()),
        cpus=float(info[2]),
        memory_mib=memory["total"] / KIB_PER_MIB if memory else float(info[1]),
        memory_used_mib=_memory_used_mib(memory) if memory else None,
        networks=networks_of(connection),
        pools=_or_none(lambda: _names(connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE))),
        guests=_guests(connection, host, shared),
        counters=count(connection),
    )


def shared_storage(connection: Connection, shared_paths: tuple[str, ...]) -> SharedStorage:
    """Say what each host has alike: what the site file names, and what the pools say of themselves."""
    return SharedStorage((*shared_paths, *_shared_pool_paths(connection)), frozenset(_shared_pools(connection)))


def count(connection: Connection) -> Counters:
    """Read what only grows, of the host and of each active guest."""
    libvirt = library()
    wanted = libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_VCPU
    host = _or_none(lambda: connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS))
    at = time.monotonic()
    guests = connection.getAllDomainStats(wanted, _only_active())
    return Counters(
        host=host_sample(at, host) if host else None,
        guests={(d.UUIDString(), d.ID()): guest_sample(at, stats) for d, stats in guests},
    )


def _guests(connection: Connection, host: str, shared: SharedStorage) -> tuple[Sighting, ...]:
    libvirt = library()
    wanted = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_BALLOON
    wanted |= libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_DIRTYRATE
    flags = {
        "autostart": _ids(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)),
        "persistent": _ids(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)),
    }
    # Disks of guests that are shut off are not asked for: their storage may be gone, and the question hang.
    listed: list[tuple[Domain, Mapping[str, Any]]] = [
        (d, {}) for d in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE)
    ]
    # A guest that starts between the two calls is in both lists: the later one, as active, replaces the earlier.
    listed += connection.getAllDomainStats(wanted, _only_active())
    sightings = (_sighting(domain, stats, host, shared, flags) for domain, stats in listed)
    return tuple({sighting.id: sighting for sighting in sightings if sighting is not None}.values())


def _sighting(
    domain: Domain, stats: Mapping[str, Any], host: str, shared: SharedStorage, flags: Mapping[str, frozenset[str]]
) -> Sighting | None:
    """Put together what is known of one guest; None if it has gone meanwhile."""
    try:
        definition = read_definition(domain.XMLDesc(0), shared)
        part = part_in_migration(domain, stats["state.state"], stats["state.reason"]) if stats else Part.NONE
    except library().libvirtError as error:
        if is_not_found(error):
            return None
        raise
    guest_id = domain.UUIDString()
    memory_mib = stats["balloon.current"] / KIB_PER_MIB if "balloon.current" in stats else definition.memory_mib
    return Sighting(
        id=guest_id,
        name=domain.name(),
        host=host,
        state=vm_state(stats["state.state"]) if stats else VmState.SHUT_OFF,
        definition=definition,
        vcpus=max(1, stats["vcpu.current"]) if "vcpu.current" in stats else definition.vcpus,
        memory_mib=memory_mib,
        run=domain.ID() if stats else None,
        part=part,
        persistent=guest_id in flags["persistent"],
        autostart=guest_id in flags["autostart"],
        memory_used_mib=_guest_memory_used_mib(stats, memory_mib),
        disk_gib=_disk_gib(stats, definition.local_disks),
        dirty_mib_per_s=_dirty_mib_per_s(stats),
    )


def _guest_memory_used_mib(stats: Mapping[str, Any], memory_mib: float) -> float | None:
    """What of its memory the host has had to give it; QEMU's own needs, which come on top, left out."""
    return min(memory_mib, stats["balloon.rss"] / KIB_PER_MIB) if "balloon.rss" in stats else None


def _disk_gib(stats: Mapping[str, Any], local: tuple[str, ...]) -> float | None:
    """Return the size of the disks that are here alone, or of all where none is."""
    disks = [key.removesuffix(".capacity") for key in stats if key.startswith("block.") and key.endswith(".capacity")]
    here = [disk for disk in disks if stats.get(f"{disk}.path") in local] or disks
    sizes = [stats[f"{disk}.capacity"] for disk in here]
    return sum(sizes) / BYTES_PER_GIB if sizes else None


def _dirty_mib_per_s(stats: Mapping[str, Any]) -> float | None:
    measured = library().VIR_DOMAIN_DIRTYRATE_MEASURED
    if "dirtyrate.calc_status" not in stats or stats["dirtyrate.calc_status"] != measured:
        return None
    return float(max(0, stats["dirtyrate.megabytes_per_second"])) if "dirtyrate.megabytes_per_second" in stats else None


def _memory_used_mib(stats: Mapping[str, int]) -> float:
    """What could not be given to a guest; the kernel gives up buffers and cache when asked."""
    free = sum(stats[part] for part in ("free", "buffers", "cached") if part in stats)
    return max(0, stats["total"] - free) / KIB_PER_MIB


def memory_free_mib(connection: Connection) -> float | None:
    """Return what could be given to a guest now; None where the hypervisor does not say."""
    memory = _or_none(lambda: connection.getMemoryStats(library().VIR_NODE_MEMORY_STATS_ALL_CELLS))
    return memory["total"] / KIB_PER_MIB - _memory_used_mib(memory) if memory else None


def networks_of(connection: Connection) -> tuple[str, ...] | None:
    """Name what a guest may be plugged into; None where the hypervisor does not say."""
    found: tuple[str, ...] | None = _or_none(lambda: _networks(connection))
    return found


def _networks(connection: Connection) -> tuple[str, ...]:
    """Name all that a guest's network card may be plugged into: virtual networks, bridges, interfaces."""
    networks = _names(connection.listAllNetworks(library().VIR_CONNECT_LIST_NETWORKS_ACTIVE))
    return tuple(sorted({*networks, *connection.listInterfaces()}))


def _shared_pools(connection: Connection) -> tuple[str, ...]:
    """Name the pools that live on a network, so that another host sees the same volumes."""
    libvirt = library()
    kinds = ("NETFS", "RBD", "ISCSI", "ISCSI_DIRECT", "GLUSTER")
    flags = sum(getattr(libvirt, f"VIR_CONNECT_LIST_STORAGE_POOLS_{kind}") for kind in kinds)
    return _or_none(lambda: _names(connection.listAllStoragePools(flags))) or ()


def _shared_pool_paths(connection: Connection) -> tuple[str, ...]:
    """Name the directories at which network file systems are mounted by a pool."""
    pools = _or_none(lambda: connection.listAllStoragePools(library().VIR_CONNECT_LIST_STORAGE_POOLS_NETFS)) or ()
    paths = (ElementTree.fromstring(pool.XMLDesc(0)).findtext("target/path") for pool in pools)
    return tuple(path for path in paths if path)


def _only_active() -> int:
    """Active guests only, and no waiting for one that is busy with a job."""
    libvirt = library()
    return int(libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)


def _names(things: Any) -> tuple[str, ...]:
    return tuple(sorted(thing.name() for thing in things))


def _ids(domains: Any) -> frozenset[str]:
    return frozenset(domain.UUIDString() for domain in domains)


def _or_none(ask: Any) -> Any:
    """None where this hypervisor has no such thing; every other failure is one."""
    libvirt = library()
    try:
        return ask()
    except libvirt.libvirtError as error:
        if error.get_error_code() in {libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_CONNECT}:
            return None
        raise
