"""Where each guest was last seen, or put by us; and which guests somebody else has moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from balancer.store.database import Database
from balancer.store.tables import sightings, strays


@dataclass(frozen=True)
class Sighting:
    """Where a guest was at a moment."""

    vm_key: str
    host: str
    at: datetime


@dataclass(frozen=True)
class Stray:
    """A guest that was moved without us; `at` is when that was seen."""

    at: datetime
    vm_key: str
    vm: str
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.vm} from {self.source} to {self.target}"


class Sightings:
    """The last sight of each guest, and the list of moves that were not ours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, Sighting]:
        """Return where each guest was last, by Vm.key."""
        with self._database.reading("read where guests were") as connection:
            return {row.vm_key: Sighting(row.vm_key, row.host, row.at) for row in connection.execute(select(sightings))}

    def note(self, seen: Iterable[Sighting], gone: Iterable[str], moved: Iterable[Stray]) -> None:
        """Remember where guests were seen now, which are no more, and which somebody moved."""
        with self._database.writing("remember where guests were") as connection:
            for sighting in seen:
                put_in(connection, sighting)
            for key in gone:
                connection.execute(delete(sightings).where(sightings.c.vm_key == key))
            for stray in moved:
                connection.execute(insert(strays).values(**vars(stray)))

    def strays_since(self, moment: datetime) -> tuple[Stray, ...]:
        """Return what was moved without us from a moment on, oldest first."""
        with self._database.reading("read what was moved without us") as connection:
            rows = connection.execute(select(strays).where(strays.c.at >= moment).order_by(strays.c.id))
            return tuple(Stray(row.at, row.vm_key, row.vm, row.source, row.target) for row in rows)


def put_in(connection: Connection, sighting: Sighting) -> None:
    """Remember where a guest is."""
    here = sightings.c.vm_key == sighting.vm_key
    if not connection.execute(update(sightings).where(here).values(host=sighting.host, at=sighting.at)).rowcount:
        connection.execute(insert(sightings).values(**vars(sighting)))
