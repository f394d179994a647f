"""What steadies the balancer: when each thing was last touched, what was spent, what is intended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from balancer.store.database import Database
from balancer.store.tables import intentions, spending, touches


@dataclass(frozen=True)
class Touch:
    """When a guest (`vm:<key>`) or a host (`host:h1`) was last moved or switched, and how often in a row it failed."""

    subject: str
    last_at: datetime
    failures: int = 0


@dataclass(frozen=True)
class Spent:
    """What moving has cost so far."""

    moves: int = 0
    mib: float = 0.0


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
            failures = touches.c.failures + 1 if failed else 0
            here = touches.c.subject == subject
            changed = connection.execute(update(touches).where(here).values(last_at=at, failures=failures))
            if not changed.rowcount:
                connection.execute(insert(touches).values(subject=subject, last_at=at, failures=int(failed)))

    def touches(self) -> Mapping[str, Touch]:
        """Return when each thing was last touched, by subject."""
        with self._database.reading("read the cool-downs") as connection:
            rows = connection.execute(select(touches))
            return {row.subject: Touch(row.subject, row.last_at, row.failures) for row in rows}

    def spend(self, at: datetime, moves: int, mib: float) -> None:
        """Remember what was spent on moves."""
        with self._database.writing("remember what was spent") as connection:
            connection.execute(insert(spending).values(at=at, moves=moves, mib=mib))

    def spent_since(self, since: datetime) -> Spent:
        """Return what was spent on moves from a moment on."""
        with self._database.reading("read what was spent") as connection:
            question = select(func.sum(spending.c.moves), func.sum(spending.c.mib)).where(spending.c.at >= since)
            moves, mib = connection.execute(question).one()
        return Spent(int(moves or 0), float(mib or 0.0))

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
