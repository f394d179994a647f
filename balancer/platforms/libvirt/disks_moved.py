"""Local disks that go by way of storage volumes: of a guest that is shut off, and those that lie above a base image.

libvirt moves the definition alone of the one, and makes no file at the target for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from balancer.errors import PlatformError
from balancer.platforms.libvirt.library import Connection, library

FILE_IN_THE_WAY = "if the directory is shared, name it under `shared_paths`; else see what the file is, and remove it"

CHUNK_BYTES = 256 * 1024  # what libvirt takes in one message at most


def pool_at(connection: Connection, directory: str) -> Any | None:
    """Return the active pool whose volumes lie in a directory; None where there is none."""
    for pool in connection.listAllStoragePools(library().VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        path = ElementTree.fromstring(pool.XMLDesc(0)).findtext("target/path")
        if path is not None and PurePosixPath(path) == PurePosixPath(directory):
            return pool
    return None


def home_of(connection: Connection, disk: str) -> Any | None:
    """Return the active pool that a disk lies in, by its path or as `pool/volume`; None where there is none."""
    if disk.startswith("/"):
        return pool_at(connection, str(PurePosixPath(disk).parent))
    name = str(PurePosixPath(disk).parent)
    pools = connection.listAllStoragePools(library().VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
    return next((pool for pool in pools if pool.name() == name), None)


def volume_at(connection: Connection, path: str) -> Any | None:
    """Return the volume that lies at a path, or is called `pool/volume`; None where no pool knows of one."""
    pool = home_of(connection, path)
    if pool is None:
        return None
    pool.refresh(0)
    try:
        return pool.storageVolLookupByName(PurePosixPath(path).name)
    except library().libvirtError as error:
        if error.get_error_code() == library().VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def are_there(connection: Connection, paths: Iterable[str]) -> tuple[str, ...]:
    """Name the paths at which a host has a file already.

    Where it has, its directory may be the very one that the disk lies in, shared without the site file saying so: a
    copy would then be written over its original.
    """
    return tuple(path for path in paths if volume_at(connection, path) is not None)


def homeless(connection: Connection, paths: Iterable[str]) -> tuple[str, ...]:
    """Name the paths of which a host cannot say whether it has such a file: no pool of its lies there."""
    return tuple(path for path in paths if home_of(connection, path) is None)


def remove_disks(connection: Connection, vm_id: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Remove what was copied from the end that has no use for it any more; say which files stay, and for whom."""
    volumes = {path: volume for path in paths if (volume := volume_at(connection, path)) is not None}
    needed = users_of(connection, vm_id, volumes)
    for path, volume in volumes.items():
        if path not in needed:
            volume.delete(0)
    return tuple(f"{path} stays for {user}" for path, user in needed.items())


def users_of(connection: Connection, vm_id: str, paths: Iterable[str]) -> dict[str, str]:
    """Say of each disk that something beside its guest needs, what that is: another guest, or a disk above it."""
    wanted = {path: path for path in paths}
    if not wanted:
        return {}
    volumes = ((path, volume_at(connection, path)) for path in list(wanted))
    wanted |= {volume.path(): path for path, volume in volumes if volume is not None}
    return {wanted[disk]: user for disk, user in _uses(connection, vm_id) if disk in wanted}


def _uses(connection: Connection, vm_id: str) -> Iterator[tuple[str, str]]:
    """Yield each disk that another guest is defined with, and each that a volume lies above, with its user."""
    libvirt = library()
    for domain in connection.listAllDomains(0):
        if domain.UUIDString() != vm_id:
            for source in ElementTree.fromstring(domain.XMLDesc(0)).iterfind("devices/disk//source"):
                pool, volume = source.get("pool"), source.get("volume")
                yield (f"{pool}/{volume}" if pool else source.get("file") or source.get("dev") or ""), domain.name()
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        for volume in pool.listAllVolumes(0):
            base = ElementTree.fromstring(volume.XMLDesc(0)).findtext("backingStore/path")
            if base:
                yield base, f"the disk {volume.path()} above it"


def copy_disk(source: Connection, target: Connection, host: str, path: str, copied: Callable[[int], None]) -> None:
    """Copy a disk to the same path on another host, where no file of that name may be; a broken copy is removed."""
    made = make_place(target, host, path, described(source, path))
    try:
        _stream(source, volume_at(source, path), target, made, copied)
    except BaseException:
        made.delete(0)
        raise


def described(connection: Connection, path: str, with_base: bool = False) -> str | None:
    """Describe a disk, so that one like it can be made on another host; None where it lies in no pool."""
    volume = volume_at(connection, path)
    return None if volume is None else _like(volume, with_base)


def make_place(connection: Connection, host: str, path: str, like: str | None) -> Any:
    """Make an empty disk where no file of that name may be, and return its volume."""
    operation, pool = f"make a place for the disk {path}", pool_at(connection, str(PurePosixPath(path).parent))
    if like is None or pool is None:
        where = "the source" if like is None else host
        way_out = f"define a storage pool at {PurePosixPath(path).parent} there"
        raise PlatformError(host, operation, f"{where} has no storage pool there", way_out)
    if are_there(connection, [path]):
        raise PlatformError(host, operation, "a file of that name is there already", FILE_IN_THE_WAY)
    return pool.createXML(like, 0)


def _like(volume: Any, with_base: bool) -> str:
    """Describe a volume of the same name, size and format, and leave what is particular to the old one.

    A copy has no base even where the original has one: what is sent of it is all that can be read from it.
    """
    old = ElementTree.fromstring(volume.XMLDesc(0))
    new = ElementTree.Element("volume")
    ElementTree.SubElement(new, "name").text = old.findtext("name")
    ElementTree.SubElement(new, "capacity").text = old.findtext("capacity")
    kind = old.find("target/format")
    if kind is not None:
        ElementTree.SubElement(ElementTree.SubElement(new, "target"), "format", dict(kind.attrib))
    base = old.find("backingStore")
    if with_base and base is not None:
        above = ElementTree.SubElement(new, "backingStore")
        above.extend(part for part in base if part.tag in {"path", "format"})
    return ElementTree.tostring(new, "unicode")


def _stream(source: Connection, old: Any, target: Connection, new: Any, copied: Callable[[int], None]) -> None:
    reading, writing = source.newStream(0), target.newStream(0)
    old.download(reading, 0, 0, 0)
    new.upload(writing, 0, 0, 0)
    try:
        while data := reading.recv(CHUNK_BYTES):
            sent = 0
            while sent < len(data):
                sent += writing.send(data[sent:])
            copied(len(data))
    except PlatformError:
        for stream in (reading, writing):
            stream.abort()  # a volume that is being written cannot be removed
        raise
    reading.finish()
    writing.finish()
