"""What a guest's definition says: what it needs of a host, and what holds it there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import normpath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from balancer.domain.vm import CpuMode

LABELS = "https://balancer.example/labels/1"
"""In a guest's <metadata>: <labels xmlns="..."><label key="app" value="shop"/></labels>, `ask` beside `label`."""

_CPU_MODES = {
    "host-model": CpuMode.HOST_MODEL,
    "host-passthrough": CpuMode.HOST_PASSTHROUGH,
    "maximum": CpuMode.HOST_PASSTHROUGH,  # all that this host's QEMU can do: just as bound to the host
}
_INTERFACE_SOURCES = ("network", "bridge", "dev")
_DISK_SOURCES = ("file", "dev", "dir", "path")
_IN_KIB = {"b": 1 / 1024, "bytes": 1 / 1024, "k": 1, "KiB": 1, "KB": 1000 / 1024, "M": 1024, "MiB": 1024}
_IN_KIB |= {"MB": 1e6 / 1024, "G": 1024**2, "GiB": 1024**2, "GB": 1e9 / 1024, "T": 1024**3, "TiB": 1024**3}


@dataclass(frozen=True)
class SharedStorage:
    """What is the same on each host: directories that the site file names, and pools that live on a network."""

    paths: tuple[str, ...] = ()
    pools: frozenset[str] = frozenset()

    def has_path(self, path: str) -> bool:
        return any(PurePosixPath(normpath(path)).is_relative_to(shared) for shared in self.paths)


@dataclass(frozen=True)
class Disk:
    """One disk or CD drive; `local_source` is the file or device that only this host has."""

    target: str
    pool: str | None
    local_source: str | None
    device: str = "disk"


@dataclass(frozen=True)
class CpuAsked:
    """A guest's CPU, as a hypervisor can be asked whether it could give it."""

    virt_type: str
    arch: str
    machine: str
    xml: str


@dataclass(frozen=True)
class Definition:
    """A guest as it is defined."""

    vcpus: int
    memory_mib: float
    cpu_mode: CpuMode
    networks: tuple[str, ...]
    disks: tuple[Disk, ...]
    labels: dict[str, str]
    bound_by: str | None  # why it cannot leave its host, disks aside
    asks: dict[str, str] = field(default_factory=dict)
    why_dear: str | None = None  # why it should leave its host only for a good reason
    cpu: CpuAsked | None = None  # the CPU that it was given, where that is not simply its host's own

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(sorted({disk.pool for disk in self.disks if disk.pool}))

    @property
    def local_sources(self) -> tuple[str, ...]:
        return tuple(disk.local_source for disk in self.disks if disk.local_source)

    @property
    def local_disks(self) -> tuple[str, ...]:
        """The files and volumes that would have to come along; a CD stays behind."""
        return tuple(disk.local_source for disk in self.disks if disk.local_source and disk.device == "disk")

    @property
    def why_alone(self) -> str | None:
        """Say what of it is on this host alone, and would have to be copied; None where nothing is."""
        return f"its disk {self.local_sources[0]} is on this host alone" if self.local_sources else None


def read_definition(domain_xml: str, shared: SharedStorage) -> Definition:
    """Read a domain's XML."""
    root = ElementTree.fromstring(domain_xml)
    return Definition(
        vcpus=_vcpus(root),
        memory_mib=_memory_mib(root),
        cpu_mode=_cpu_mode(root),
        networks=_networks(root),
        disks=tuple(_disk(disk, shared) for disk in root.iterfind("devices/disk")),
        labels=_told(root, "label"),
        asks=_told(root, "ask"),
        bound_by=_bound_by(root),
        why_dear=next(_expenses(root), None),
        cpu=_cpu_asked(root),
    )


def _vcpus(root: Element) -> int:
    vcpu = root.find("vcpu")
    return 1 if vcpu is None else max(1, int(vcpu.get("current") or vcpu.text or 1))


def _memory_mib(root: Element) -> float:
    """`currentMemory` is what the balloon leaves to the guest; without it, it has all of `memory`."""
    given = root.find("currentMemory")
    memory = root.find("memory") if given is None else given
    return 0.0 if memory is None else int(memory.text or 0) * _IN_KIB[memory.get("unit") or "KiB"] / 1024


def _cpu_mode(root: Element) -> CpuMode:
    cpu = root.find("cpu")
    return CpuMode.CUSTOM if cpu is None else _CPU_MODES.get(cpu.get("mode") or "custom", CpuMode.CUSTOM)


def _networks(root: Element) -> tuple[str, ...]:
    sources = (_first(interface.find("source"), _INTERFACE_SOURCES) for interface in root.iterfind("devices/interface"))
    return tuple(sorted({source for source in sources if source}))


def _disk(disk: Element, shared: SharedStorage) -> Disk:
    source, target = disk.find("source"), disk.find("target")
    pool = source.get("pool") if source is not None else None
    return Disk(
        target=(target.get("dev") or "?") if target is not None else "?",
        pool=pool,
        local_source=_local_source(source, pool, shared),
        device=disk.get("device") or "disk",
    )


def _local_source(source: Element | None, pool: str | None, shared: SharedStorage) -> str | None:
    """Return what of a disk is on this host alone: nothing of an empty drive, nothing of one that a network brings."""
    if source is None:
        return None
    if pool is not None:
        volume = f"{pool}/{source.get('volume')}"
        return None if pool in shared.pools else volume
    path = _first(source, _DISK_SOURCES)
    return path if path is not None and not shared.has_path(path) else None


def _told(root: Element, what: str) -> dict[str, str]:
    """Read the labels of a guest, or what it asks for."""
    told = root.iterfind(f"metadata/{{{LABELS}}}labels/{{{LABELS}}}{what}")
    return {key: each.get("value") or "" for each in told if (key := each.get("key"))}


def _cpu_asked(root: Element) -> CpuAsked | None:
    cpu, machine = root.find("cpu"), root.find("os/type")
    if cpu is None or cpu.find("model") is None or _cpu_mode(root) is not CpuMode.CUSTOM:
        return None
    wanted = Element("cpu", {key: value for key, value in cpu.items() if key in {"mode", "match"}})
    wanted.extend(part for part in cpu if part.tag in {"model", "vendor", "feature"})
    about = machine if machine is not None else Element("type")
    return CpuAsked(
        root.get("type") or "",
        about.get("arch") or "",
        about.get("machine") or "",
        ElementTree.tostring(wanted, "unicode"),
    )


def _expenses(root: Element) -> Iterator[str]:
    if root.find("cputune/vcpupin") is not None:
        yield "its vCPUs are pinned to cores"
    if root.find("memoryBacking/hugepages") is not None:
        yield "its memory is in huge pages"
    if root.find("numatune/memory[@mode='strict']") is not None:
        yield "its memory is bound to a NUMA node"


def _bound_by(root: Element) -> str | None:
    return next(_ties(root), None)


def _ties(root: Element) -> Iterator[str]:
    for device in root.iterfind("devices/hostdev"):
        yield f"it uses a device of this host ({device.get('type') or 'hostdev'} {_address(device)})".rstrip()
    for interface in root.iterfind("devices/interface[@type='hostdev']"):
        yield f"it uses a network card of this host ({_address(interface)})"
    for _ in root.iterfind("devices/disk[@type='nvme']"):
        yield "it uses an NVMe device of this host"
    for directory in root.iterfind("devices/filesystem"):
        shared = _first(directory.find("source"), ("dir", "file", "name"))
        yield f"it shares the directory {shared} with this host"
    if root.find("launchSecurity") is not None:
        yield "its memory is encrypted by this host's CPU"


def _address(device: Element) -> str:
    """Say which device it is, as the definition addresses it."""
    address = device.find("source/address")
    if address is None:
        return ""
    return " ".join(f"{key}={value}" for key, value in address.items() if key != "type")


def _first(element: Element | None, attributes: tuple[str, ...]) -> str | None:
    if element is None:
        return None
    return next((value for name in attributes if (value := element.get(name))), None)
