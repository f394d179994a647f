"""What has failed: how often, where, until when it is not tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from balancer.errors import Prospect
from balancer.store.database import Database
from balancer.store.tables import failures, setbacks, shunned


@dataclass(frozen=True)
class Failure:
    """One thing that failed: `subject` is vm:<key> or host:h1, `target` the host that a guest was to go to."""

    at: datetime
    subject: str
    target: str | None = None
    prospect: Prospect = Prospect.UNKNOWN
    detail: str = ""


@dataclass(frozen=True)
class Setback:
    """A guest that is not tried towards a host for a while."""

    vm_key: str
    target: str
    failures: int
    until: datetime
    why: str


@dataclass(frozen=True)
class Shunned:
    """A host that no guest is brought to for a while, since moves to it keep failing."""

    host: str
    since: datetime
    until: datetime
    why: str


class Failures:
    """The list of failures, and what follows from them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, moment: datetime) -> tuple[Failure, ...]:
        """Return what has failed from a moment on, oldest first."""
        with self._database.reading("read the failures") as connection:
            question = select(failures).where(failures.c.at >= moment).order_by(failures.c.id)
            rows = connection.execute(question)
            return tuple(Failure(r.at, r.subject, r.target, Prospect(r.prospect), r.detail) for r in rows)

    def setback(self, vm_key: str, target: str) -> Setback | None:
        """Return what is remembered of a guest and a host, over or not; None where moves between them went well."""
        with self._database.reading("read the setbacks") as connection:
            here = (setbacks.c.vm_key == vm_key) & (setbacks.c.target == target)
            row = connection.execute(select(setbacks).where(here)).one_or_none()
            return Setback(**row._mapping) if row else None

    def setbacks(self, now: datetime) -> tuple[Setback, ...]:
        """Return which guests are not tried towards which hosts at a moment."""
        with self._database.reading("read the setbacks") as connection:
            rows = connection.execute(select(setbacks).where(setbacks.c.until > now))
            return tuple(Setback(**row._mapping) for row in rows)

    def shunned(self, now: datetime) -> Mapping[str, Shunned]:
        """Return the hosts that are shunned at a moment, by name."""
        with self._database.reading("read the shunned hosts") as connection:
            return shunned_in(connection, now)

    def put_off(self, setback: Setback) -> None:
        """Remember that a guest is not tried towards a host for a while, where nothing was begun."""
        with self._database.writing(f"put a move to {setback.target} off") as connection:
            put_off_in(connection, setback)

    def pardon(self, host: str) -> bool:
        """Let guests be brought to a host again; say whether it was shunned."""
        with self._database.writing(f"take {host} as a target again") as connection:
            return bool(connection.execute(delete(shunned).where(shunned.c.host == host)).rowcount)


def shunned_in(connection: Connection, now: datetime) -> Mapping[str, Shunned]:
    """Return the hosts that are shunned at a moment, by name."""
    rows = connection.execute(select(shunned).where(shunned.c.until > now))
    return {row.host: Shunned(**row._mapping) for row in rows}


def note_in(connection: Connection, failure: Failure) -> None:
    """Add a failure to the list."""
    connection.execute(insert(failures).values(**vars(failure)))


def put_off_in(connection: Connection, setback: Setback) -> None:
    """Remember that a guest is not tried towards a host for a while."""
    here = (setbacks.c.vm_key == setback.vm_key) & (setbacks.c.target == setback.target)
    _put(connection, setbacks, here, vars(setback))


def forgive_in(connection: Connection, vm_key: str, target: str) -> None:
    """Forget earlier failures of a guest to come to a host: it has come."""
    connection.execute(delete(setbacks).where((setbacks.c.vm_key == vm_key) & (setbacks.c.target == target)))


def shun_in(connection: Connection, host: Shunned) -> None:
    """Remember that no guest is brought to a host for a while."""
    _put(connection, shunned, shunned.c.host == host.host, vars(host))


def _put(connection: Connection, table: Any, here: Any, values: Mapping[str, Any]) -> None:
    if not connection.execute(update(table).where(here).values(**values)).rowcount:
        connection.execute(insert(table).values(**values))
