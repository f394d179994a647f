"""The store and the state directory: may they be written, is there room, who acts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from balancer.doctor.base import Examined, Finding, Standing
from balancer.store.examining import StoreFound
from balancer.store.tables import SCHEMA_VERSION

LITTLE_MIB, TOO_LITTLE_MIB = 1024, 100
"""The embedded history of a thousand guests takes some hundred MiB: below this a disk is soon full."""


def store(world: Examined) -> Iterator[Finding]:
    """Look at the store without making or changing it."""
    if world.store is None or world.site is None:
        return
    yield _version(world.store, world.site.cluster)
    if world.store.file is not None:
        yield from _writable(world.store.file)
    if world.remembered is not None:
        holder = world.remembered.lease.holder(world.now)
        words = f"{holder.owner} may act, until {holder.until:%H:%M:%S} UTC" if holder else "nobody acts"
        yield Finding(Standing.OK, words, about="lease")


def _version(found: StoreFound, cluster: str) -> Finding:
    if found.schema is None:
        return Finding(Standing.OK, f"{found.name} is made at the first start")
    if found.cluster and found.cluster != cluster:
        way_out = "one store per cluster: name another one under `store:`"
        return Finding(Standing.FAULT, f"{found.name} belongs to cluster {found.cluster}, not {cluster}", way_out)
    if found.schema > SCHEMA_VERSION:
        words = f"{found.name} has schema {found.schema}, this version {SCHEMA_VERSION}"
        return Finding(Standing.FAULT, words, "use the version of balancer that wrote it")
    if found.schema < SCHEMA_VERSION:
        words = f"{found.name} has schema {found.schema}: the next start brings it to {SCHEMA_VERSION}"
        way_out = "a copy is put beside it first" if found.file else "pg_dump it first"
        return Finding(Standing.WARNING, words, way_out)
    return Finding(Standing.OK, f"{found.name}, schema {found.schema}")


def state(world: Examined) -> Iterator[Finding]:
    """See that health file and embedded history can be written."""
    if world.settings.state.is_dir():
        yield from _writable(world.settings.state.absolute() / "history.db")


def _writable(file: Path) -> Iterator[Finding]:
    """See that a file can be written, or made, and how much room there is. SQLite writes beside it too."""
    folder = file.parent
    if not folder.is_dir():
        yield Finding(Standing.FAULT, f"there is no directory {folder}", f"mkdir -p {folder}")
        return
    refused = [path for path in (folder, file) if path.exists() and not os.access(path, os.W_OK)]
    if refused:
        yield Finding(Standing.FAULT, f"{refused[0]} cannot be written", "make it writable for the balancer's user")
    free_mib = shutil.disk_usage(folder).free / 2**20
    standing = Standing.FAULT if free_mib < TOO_LITTLE_MIB else Standing.OK
    standing = Standing.WARNING if TOO_LITTLE_MIB <= free_mib < LITTLE_MIB else standing
    way_out = "" if standing is Standing.OK else "make room: nothing is done while the store cannot be written"
    yield Finding(standing, f"{free_mib / 1024:.1f} GiB free in {folder}", way_out, "room")
