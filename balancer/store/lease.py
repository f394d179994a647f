"""One balancer acts on a cluster: who, under which token, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from balancer.errors import StoreError
from balancer.store.database import Database
from balancer.store.tables import lease


class LeaseLost(StoreError):
    """Another balancer acts on this cluster now, or this one waited too long; it may not act."""


@dataclass(frozen=True)
class Holder:
    """Who holds the lease, and until when."""

    owner: str
    token: int
    until: datetime


class Lease:
    """The right to act. A token is never given twice, so that one who was slow is told apart from one who took over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, owner: str, seconds: float, now: datetime) -> int | None:
        """Take the lease where it is free, run out or one's own; None where somebody else holds it."""
        self._make_row(now)
        free = (lease.c.until <= now) | (lease.c.owner == owner)
        values = {"owner": owner, "token": lease.c.token + 1, "until": now + timedelta(seconds=seconds)}
        with self._database.writing("take the lease") as connection:
            taken = connection.execute(update(lease).where(free).values(**values)).rowcount
            token = connection.execute(select(lease.c.token)).scalar_one()
        return int(token) if taken else None

    def renew(self, token: int, seconds: float, now: datetime) -> bool:
        """Hold the lease for longer; False where it has been lost: stop acting then."""
        mine = (lease.c.token == token) & (lease.c.until > now)
        with self._database.writing("renew the lease") as connection:
            values = {"until": now + timedelta(seconds=seconds)}
            return bool(connection.execute(update(lease).where(mine).values(**values)).rowcount)

    def release(self, token: int, now: datetime) -> None:
        """Give the lease back, so that another may act at once."""
        with self._database.writing("release the lease") as connection:
            connection.execute(update(lease).where(lease.c.token == token).values(until=now, owner=""))

    def holds(self, token: int, now: datetime, for_seconds: float = 0.0) -> bool:
        """Whether this token may act now, and for so long."""
        with self._database.reading("read the lease") as connection:
            return _is_held(connection, token, now + timedelta(seconds=for_seconds))

    def holder(self, now: datetime) -> Holder | None:
        """Say who may act now; None where nobody may."""
        with self._database.reading("read the lease") as connection:
            row = connection.execute(select(lease).where(lease.c.until > now)).one_or_none()
        return Holder(row.owner, row.token, row.until) if row else None

    def _make_row(self, now: datetime) -> None:
        with self._database.reading("read the lease") as connection:
            if connection.execute(select(lease.c.token)).one_or_none():
                return
        try:
            with self._database.writing("make the lease") as connection:
                connection.execute(insert(lease).values(one=1, owner="", token=0, until=now))
        except StoreError as failed:
            # Two balancers start in the same instant on a new store: the row of the other one is as good.
            if not isinstance(failed.__cause__, IntegrityError):
                raise


def refuse_unless_held(connection: Connection, token: int, now: datetime, store: str) -> None:
    """Stop an action in the transaction that would begin it, where its balancer has lost the right to act."""
    if not _is_held(connection, token, now):
        raise LeaseLost(
            store, "act", "the lease of this balancer has been lost", "another one may be acting: it goes on"
        )


def _is_held(connection: Connection, token: int, until: datetime) -> bool:
    held = (lease.c.token == token) & (lease.c.until > until)
    return connection.execute(select(lease.c.one).where(held)).one_or_none() is not None
