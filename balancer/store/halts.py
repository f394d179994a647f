"""What holds the balancer back: an operator's pause, too many failures; and migrations that somebody wants given up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from balancer.store.database import Database
from balancer.store.tables import give_ups, halts

_RESUMED: Final = "resumed"  # not a halt: since when failures count anew


class HaltKind(StrEnum):
    """Why nothing is begun."""

    PAUSE = "pause"
    FAILURES = "failures"


@dataclass(frozen=True)
class Halt:
    """Nothing but waking is begun: since when, until when (None: until `balancer resume`), by whom, why."""

    kind: HaltKind
    since: datetime
    until: datetime | None
    who: str
    why: str

    def __str__(self) -> str:
        if self.kind is HaltKind.PAUSE:
            return f"paused by {self.who} since {self.since:%Y-%m-%d %H:%M}: {self.why}; balancer resume"
        until = f" until {self.until:%H:%M}" if self.until else ""
        return f"stopped{until} after too many failures: {self.why}; sooner: balancer resume"


@dataclass(frozen=True)
class GiveUp:
    """A migration in flight that somebody wants given up."""

    entry: int
    at: datetime
    who: str
    why: str


class Halts:
    """What holds the balancer back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_force(self, now: datetime) -> tuple[Halt, ...]:
        """Return what holds it back at a moment."""
        with self._database.reading("read whether it is paused") as connection:
            rows = connection.execute(select(halts).where(halts.c.kind != _RESUMED).order_by(halts.c.kind))
            found = [Halt(HaltKind(row.kind), row.since, row.until, row.who, row.why) for row in rows]
        return tuple(halt for halt in found if halt.until is None or halt.until > now)

    def pause(self, who: str, why: str, at: datetime) -> bool:
        """Begin nothing until `resume`; a pause that stands keeps its age. Say whether it is new."""
        with self._database.writing("pause") as connection:
            if connection.execute(select(halts.c.kind).where(halts.c.kind == HaltKind.PAUSE)).one_or_none():
                return False
            halt_in(connection, Halt(HaltKind.PAUSE, at, None, who, why))
            return True

    def resume(self, now: datetime) -> tuple[Halt, ...]:
        """Let the balancer go on; return what held it back."""
        lifted = self.in_force(now)
        with self._database.writing("resume") as connection:
            connection.execute(delete(halts))
            connection.execute(insert(halts).values(kind=_RESUMED, since=now, who="", why=""))
        return lifted

    def resumed_at(self) -> datetime | None:
        """Return when somebody last let the balancer go on: what failed before counts no more."""
        with self._database.reading("read when it was resumed") as connection:
            return connection.execute(select(halts.c.since).where(halts.c.kind == _RESUMED)).scalar_one_or_none()

    def give_up(self, entries: Collection[int], who: str, why: str, at: datetime) -> None:
        """Want these steps of the journal given up."""
        with self._database.writing("ask for migrations to be given up") as connection:
            for entry in entries:
                connection.execute(delete(give_ups).where(give_ups.c.entry == entry))
                connection.execute(insert(give_ups).values(entry=entry, at=at, who=who, why=why))

    def to_give_up(self) -> Mapping[int, GiveUp]:
        """Return what somebody wants given up, by journal entry."""
        with self._database.reading("read what is to be given up") as connection:
            return {row.entry: GiveUp(**row._mapping) for row in connection.execute(select(give_ups))}


def halt_in(connection: Connection, halt: Halt) -> None:
    """Hold the balancer back from now on."""
    connection.execute(delete(halts).where(halts.c.kind == halt.kind))
    connection.execute(insert(halts).values(**vars(halt)))


def given_up_in(connection: Connection, entry: int) -> None:
    """Forget that a step was to be given up: it has ended."""
    connection.execute(delete(give_ups).where(give_ups.c.entry == entry))
