"""Hosts that an operator wants empty. The wish stands until it is lifted, whatever restarts meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from balancer.store.database import Database
from balancer.store.tables import drains


@dataclass(frozen=True)
class Drain:
    """A host that is drained: since when, by whom, why; and since when it has been seen empty."""

    host: str
    since: datetime
    who: str
    why: str
    empty_since: datetime | None = None


class Drains:
    """All drained hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, host: str, who: str, why: str, at: datetime) -> bool:
        """Want a host empty; a wish that stands keeps its age. Say whether it is new."""
        with self._database.writing(f"drain {host}") as connection:
            if connection.execute(select(drains.c.host).where(drains.c.host == host)).one_or_none():
                return False
            connection.execute(insert(drains).values(host=host, since=at, who=who, why=why))
            return True

    def lift(self, host: str) -> Drain | None:
        """Let a host take guests again; return what was lifted, None where it was not drained."""
        lifted = self.all().get(host)
        with self._database.writing(f"undrain {host}") as connection:
            connection.execute(delete(drains).where(drains.c.host == host))
        return lifted

    def note_empty(self, host: str, since: datetime | None) -> None:
        """Remember since when a host has been seen empty; None when a guest is on it again."""
        with self._database.writing(f"note whether {host} is empty") as connection:
            connection.execute(update(drains).where(drains.c.host == host).values(empty_since=since))

    def all(self) -> Mapping[str, Drain]:
        """Return the drained hosts by name, the oldest wish first."""
        with self._database.reading("read the drained hosts") as connection:
            return drains_in(connection)


def drains_in(connection: Connection) -> Mapping[str, Drain]:
    """Return the drained hosts by name, the oldest wish first."""
    rows = connection.execute(select(drains).order_by(drains.c.since, drains.c.host))
    return {row.host: Drain(row.host, row.since, row.who, row.why, row.empty_since) for row in rows}
