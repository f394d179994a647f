"""Local disks of a guest that is shut off: libvirt moves its definition alone, so they go by way of storage volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def volume_at(connection: Connection, path: str) -> Any | None:
    """Return the volume that lies at a path; None where no pool knows of one."""
    pool = pool_at(connection, str(PurePosixPath(path).parent))
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


def remove_disks(connection: Connection, paths: Iterable[str]) -> None:
    """Remove what was copied from the end that has no use for it any more."""
    for volume in (volume_at(connection, path) for path in paths):
        if volume is not None:
            volume.delete(0)


def copy_disk(source: Connection, target: Connection, host: str, path: str, copied: Callable[[int], None]) -> None:
    """Copy a disk to the same path on another host, where no file of that name may be; a broken copy is removed."""
    operation = f"copy the disk {path}"
    volume, pool = volume_at(source, path), pool_at(target, str(PurePosixPath(path).parent))
    if volume is None or pool is None:
        where = "the source" if volume is None else host
        way_out = f"define a storage pool at {PurePosixPath(path).parent} there"
        raise PlatformError(host, operation, f"{where} has no storage pool there", way_out)
    if are_there(target, [path]):
        raise PlatformError(host, operation, "a file of that name is there already", FILE_IN_THE_WAY)
    made = pool.createXML(_like(volume), 0)
    try:
        _stream(source, volume, target, made, copied)
    except BaseException:
        made.delete(0)
        raise


def _like(volume: Any) -> str:
    """Describe a volume of the same name, size and format, and leave what is particular to the old one."""
    old = ElementTree.fromstring(volume.XMLDesc(0))
    new = ElementTree.Element("volume")
    ElementTree.SubElement(new, "name").text = old.findtext("name")
    ElementTree.SubElement(new, "capacity").text = old.findtext("capacity")
    kind = old.find("target/format")
    if kind is not None:
        ElementTree.SubElement(ElementTree.SubElement(new, "target"), "format", dict(kind.attrib))
    return ElementTree.tostring(new, "unicode")


def _stream(source: Connection, old: Any, target: Connection, new: Any, copied: Callable[[int], None]) -> None:
    reading, writing = source.newStream(0), target.newStream(0)
    old.download(reading, 0, 0, 0)
    new.upload(writing, 0, 0, 0)
    while data := reading.recv(CHUNK_BYTES):
        sent = 0
        while sent < len(data):
            sent += writing.send(data[sent:])
        copied(len(data))
    reading.finish()
    writing.finish()
