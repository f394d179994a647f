"""Backup and restore of a store in a file. One on a server is kept by the server's own tools."""

from __future__ import annotations

import os
import shlex
import socket
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, delete, insert, select

from balancer.errors import Fault, InputError, StoreError
from balancer.store.copying import copy_into, copy_to, private_copy
from balancer.store.database import Database, engine_of, parsed_url
from balancer.store.examining import StoreFound, examine_store
from balancer.store.lease import Lease
from balancer.store.tables import SCHEMA_VERSION, lease

RESTORING_SECONDS = 120.0
"""For so long nobody else may act while the store is written over; it takes a second, and ends by itself."""


def back_up(url: str, target: Path, over: bool = False) -> StoreFound:
    """Copy the store of a site to a file while it is used, as it is: nothing is upgraded. Return what was copied."""
    file = _file_of(url, f"pg_dump --format=custom --file={shlex.quote(str(target))} {{}}")
    if not file.exists():
        raise StoreError(str(file), "back it up", "there is no store yet", "the first start makes it")
    _refuse_itself(file, target)
    if target.exists() and not over:
        raise InputError([Fault(str(target), "is there already", "another name, or --force to write over it")])
    if not target.absolute().parent.is_dir():
        folder = target.absolute().parent
        raise InputError([Fault(str(folder), "is no directory", f"mkdir -p {folder}")])
    found = _store_in(file)
    copy_to(file, target.absolute(), over)
    return found


def restore(url: str, source: Path, cluster: str, now: datetime) -> Path | None:
    """Put a backup in the place of a site's store, and return where the old one was kept; None where there was none.

    InputError or StoreError where the backup is not one of this cluster and of a version that is known, or where a
    balancer holds the lease. The old store is written over in one transaction, so that no process that has it open
    goes on with what is no longer the store.
    """
    file = _file_of(
        url, f"pg_restore --clean --if-exists --single-transaction --dbname={{}} {shlex.quote(str(source))}"
    )
    _refuse_itself(file, source)
    _refuse_unusable(source, cluster)
    if not file.parent.is_dir():
        raise StoreError(str(file), "restore it", f"there is no directory {file.parent}", f"mkdir -p {file.parent}")
    with private_copy(source, file.parent) as fresh:
        if not file.exists():
            _set_lease(fresh, token=0, now=now)
            copy_to(fresh, file)
            return None
        token = _taken_lease(file, now)
        kept = file.with_name(f"{file.name}.before-restore-{now:%Y%m%dT%H%M%S}Z")
        copy_to(file, kept)
        _set_lease(fresh, token, now)
        copy_into(fresh, file)
    return kept


def _file_of(url: str, on_a_server: str) -> Path:
    parsed = parsed_url(url)
    name = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() != "sqlite":
        command = on_a_server.format(shlex.quote(_for_its_tools(parsed)))
        raise InputError([Fault(name, "is on a server, which has tools of its own for this", command)])
    if not parsed.database or parsed.database == ":memory:":
        raise InputError([Fault(name, "is in memory, and nothing of it is kept", "name a file under `store:`")])
    return Path(parsed.database).absolute()


def _for_its_tools(url: URL) -> str:
    without = url.set(drivername="postgresql", password="")  # nosec B106  # none at all
    return without.render_as_string(hide_password=False).replace(":@", "@")


def _refuse_itself(file: Path, other: Path) -> None:
    if file.exists() and other.exists() and file.samefile(other):
        raise InputError([Fault(str(other), "is the store itself", "name another file")])


def _store_in(file: Path) -> StoreFound:
    """Look at a file that is to be a store; StoreError where it is none."""
    found = examine_store(f"sqlite:///{file.absolute()}")
    if found.opened is not None:
        found.opened.close()
    if found.schema is None:
        raise StoreError(
            str(file), "look at it", "it is no store of a balancer", "name a file that `store backup` wrote"
        )
    return found


def _refuse_unusable(source: Path, cluster: str) -> None:
    if not source.is_file():
        raise InputError([Fault(str(source), "is no file", "name one that `balancer store backup` wrote")])
    found = _store_in(source)
    assert found.schema is not None
    if not 1 <= found.schema <= SCHEMA_VERSION:
        cause = f"its schema is {found.schema}, this version knows 1 to {SCHEMA_VERSION}"
        raise StoreError(str(source), "restore it", cause, "use the version of balancer that wrote it")
    if found.cluster and cluster and found.cluster != cluster:
        cause = f"it belongs to cluster {found.cluster}, not {cluster}"
        raise StoreError(str(source), "restore it", cause, "one store per cluster")


def _taken_lease(file: Path, now: datetime) -> int:
    """Take the right to act from everybody, so that no balancer begins while its store is written over."""
    _store_in(file)
    database = Database(engine_of(parsed_url(f"sqlite:///{file}")))
    try:
        its_lease = Lease(database)
        token = its_lease.acquire(f"{socket.gethostname()}:{os.getpid()}:restore", RESTORING_SECONDS, now)
        if token is None:
            holder = its_lease.holder(now)
            cause = f"{holder.owner} acts with it, until {holder.until:%H:%M:%S} UTC" if holder else "it is in use"
            raise StoreError(str(file), "restore it", cause, "stop the balancer first: systemctl stop balancer")
        return token
    finally:
        database.close()


def _set_lease(fresh: Path, token: int, now: datetime) -> None:
    """Give the lease of a backup back, and let its tokens go on from the old store's: none is ever given twice."""
    database = Database(engine_of(parsed_url(f"sqlite:///{fresh}")))
    try:
        with database.writing("release the lease") as connection:
            known = connection.execute(select(lease.c.token)).scalar_one_or_none() or 0
            connection.execute(delete(lease))
            connection.execute(insert(lease).values(one=1, owner="", token=max(known, token), until=now))
    finally:
        database.close()
