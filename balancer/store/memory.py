"""What steadies the balancer: what was touched and left when, what was spent, wished for, intended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from balancer.store.database import Database
from balancer.store.tables import departures, intentions, spending, touches, watch, wishes


@dataclass(frozen=True)
class Touch:
    """When a guest (`vm:<key>`) or a host (`host:h1`) was last moved or switched, and how often in a row it failed."""

    subject: str
    last_at: datetime
    failures: int = 0


@dataclass(frozen=True)
class Spent:
    """What moving has cost so far, and when the first of it was spent."""

    moves: int = 0
    mib: float = 0.0
    oldest_at: datetime | None = None


@dataclass(frozen=True)
class Departure:
    """The host that a guest (`vm:<key>`) left last."""

    subject: str
    source: str
    at: datetime


@dataclass(frozen=True)
class Watch:
    """When the last cycle looked, and since when each of its wishes has been there in every cycle."""

    at: datetime
    since: Mapping[str, datetime]


@dataclass(frozen=True)
class Intention:
    """A host that is being emptied for sleep, over more than one cycle."""

    host: str
    since: datetime
    why: str


class Memory:
    """Cool-downs, budget and intentions; they outlive a restart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def touch(self, subject: str, at: datetime, failed: bool = False) -> None:
        """Remember that something was moved or switched; a success forgets earlier failures."""
        with self._database.writing(f"remember {subject}") as connection:
            touch_in(connection, subject, at, failed)

    def touches(self) -> Mapping[str, Touch]:
        """Return when each thing was last touched, by subject."""
        with self._database.reading("read the cool-downs") as connection:
            rows = connection.execute(select(touches))
            return {row.subject: Touch(row.subject, row.last_at, row.failures) for row in rows}

    def spend(self, at: datetime, moves: int, mib: float) -> None:
        """Remember what was spent on moves."""
        with self._database.writing("remember what was spent") as connection:
            spend_in(connection, at, moves, mib)

    def spent_since(self, since: datetime) -> Spent:
        """Return what was spent on moves from a moment on."""
        with self._database.reading("read what was spent") as connection:
            question = select(func.sum(spending.c.moves), func.sum(spending.c.mib), func.min(spending.c.at))
            moves, mib, oldest = connection.execute(question.where(spending.c.at >= since)).one()
        return Spent(int(moves or 0), float(mib or 0.0), oldest)

    def leave(self, subject: str, source: str, at: datetime) -> None:
        """Remember which host a guest left."""
        with self._database.writing(f"remember where {subject} came from") as connection:
            leave_in(connection, subject, source, at)

    def departures_since(self, since: datetime) -> tuple[Departure, ...]:
        """Return which hosts guests left from a moment on."""
        with self._database.reading("read where guests came from") as connection:
            rows = connection.execute(select(departures).where(departures.c.at >= since))
            return tuple(Departure(row.subject, row.source, row.at) for row in rows)

    def wish(self, since: Mapping[str, datetime], at: datetime) -> None:
        """Remember what a cycle wished for; whatever it did not is forgotten."""
        with self._database.writing("remember the wishes") as connection:
            connection.execute(delete(wishes))
            if since:
                connection.execute(insert(wishes), [{"what": what, "since": moment} for what, moment in since.items()])
            if not connection.execute(update(watch).values(at=at)).rowcount:
                connection.execute(insert(watch).values(one=1, at=at))

    def watched(self) -> Watch | None:
        """Return the wishes of the last cycle, and when it looked; None where there was none."""
        with self._database.reading("read the wishes") as connection:
            at = connection.execute(select(watch.c.at)).scalar_one_or_none()
            since = {row.what: row.since for row in connection.execute(select(wishes))}
        return None if at is None else Watch(at, since)

    def intend_sleep(self, host: str, why: str, at: datetime) -> None:
        """Remember that a host is to be emptied for sleep; an intention that stands keeps its age."""
        with self._database.writing(f"remember to empty {host}") as connection:
            if not connection.execute(select(intentions).where(intentions.c.host == host)).one_or_none():
                connection.execute(insert(intentions).values(host=host, since=at, why=why))

    def drop_intention(self, host: str) -> None:
        """Forget that a host was to be emptied; the caller reports the reason."""
        with self._database.writing(f"forget to empty {host}") as connection:
            connection.execute(delete(intentions).where(intentions.c.host == host))

    def intentions(self) -> tuple[Intention, ...]:
        """Return the hosts that are being emptied, oldest first."""
        with self._database.reading("read the intentions") as connection:
            rows = connection.execute(select(intentions).order_by(intentions.c.since, intentions.c.host))
            return tuple(Intention(row.host, row.since, row.why) for row in rows)


def touch_in(connection: Connection, subject: str, at: datetime, failed: bool) -> None:
    """Remember that something was moved or switched."""
    failures = touches.c.failures + 1 if failed else 0
    here = touches.c.subject == subject
    changed = connection.execute(update(touches).where(here).values(last_at=at, failures=failures))
    if not changed.rowcount:
        connection.execute(insert(touches).values(subject=subject, last_at=at, failures=int(failed)))


def spend_in(connection: Connection, at: datetime, moves: int, mib: float) -> None:
    """Remember what was spent on moves."""
    connection.execute(insert(spending).values(at=at, moves=moves, mib=mib))


def leave_in(connection: Connection, subject: str, source: str, at: datetime) -> None:
    """Remember which host a guest left."""
    connection.execute(delete(departures).where(departures.c.subject == subject))
    connection.execute(insert(departures).values(subject=subject, source=source, at=at))
