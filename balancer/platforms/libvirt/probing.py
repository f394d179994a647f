"""What can be found out about hypervisors before there is a site file. Only looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from balancer.errors import PlatformError
from balancer.platforms.libvirt.capabilities import HostFacts, host_facts
from balancer.platforms.libvirt.library import Connection, library
from balancer.platforms.libvirt.link import HostLink, ask_all
from balancer.platforms.libvirt.looking import networks_of

NETWORK_POOLS = frozenset({"netfs", "gluster", "rbd", "iscsi", "iscsi-direct"})


@dataclass(frozen=True)
class Pool:
    """A storage pool that is active. `volumes` tells one directory from another of the same path."""

    name: str
    kind: str
    path: str
    capacity_bytes: int
    volumes: frozenset[str]

    @property
    def is_on_a_network(self) -> bool:
        return self.kind in NETWORK_POOLS


@dataclass(frozen=True)
class HostFound:
    """What one hypervisor said of itself and its host."""

    hostname: str
    libvirt: str
    hypervisor: str  # "QEMU 7.2.19"
    facts: HostFacts
    cpus: int
    memory_mib: float
    guests: int  # active ones
    pools: tuple[Pool, ...]
    networks: tuple[str, ...]


def probe_hosts(
    uris: Mapping[str, str], deadline_seconds: float
) -> tuple[dict[str, HostFound], dict[str, PlatformError]]:
    """Ask all hypervisors at the same time, each by its URI; returns answers and failures by host.

    MissingExtra where libvirt's bindings are not installed.
    """
    library()
    links = {host: HostLink(host, uri, deadline_seconds) for host, uri in uris.items()}
    try:
        return ask_all(links, "look at the host", dict.fromkeys(links, _look))
    finally:
        for link in links.values():
            link.close()


def _look(connection: Connection) -> HostFound:
    info = connection.getInfo()
    return HostFound(
        hostname=connection.getHostname(),
        libvirt=_version(connection.getLibVersion()),
        hypervisor=f"{connection.getType()} {_version(connection.getVersion())}",
        facts=host_facts(connection.getCapabilities()),
        cpus=int(info[2]),
        memory_mib=float(info[1]),
        guests=len(connection.listAllDomains(library().VIR_CONNECT_LIST_DOMAINS_ACTIVE)),
        pools=_pools(connection),
        networks=networks_of(connection) or (),
    )


def _version(number: int) -> str:
    """libvirt's 9000004 is 9.0.4."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _pools(connection: Connection) -> tuple[Pool, ...]:
    libvirt = library()
    try:
        listed = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        return tuple(_pool(ElementTree.fromstring(pool.XMLDesc()), frozenset(pool.listVolumes())) for pool in listed)
    except libvirt.libvirtError as error:
        if error.get_error_code() in {libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_CONNECT}:
            return ()  # its storage driver is not installed
        raise


def _pool(said: ElementTree.Element, volumes: frozenset[str]) -> Pool:
    return Pool(
        name=said.findtext("name") or "",
        kind=said.get("type") or "",
        path=said.findtext("target/path") or "",
        capacity_bytes=int(said.findtext("capacity") or 0),
        volumes=volumes,
    )
