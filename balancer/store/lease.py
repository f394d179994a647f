"""One balancer acts on a cluster: who, under which token, and until when.

On a server the row of the lease is locked by whoever takes it, renews it or begins an action, so that no two of these
interleave, and the server's clock alone says what has run out. `now`, the caller's own moment, counts only where the
store is a file on the caller's machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
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
        with self._database.writing("take the lease") as connection:
            row = _locked(connection)
            moment = self._database.now(connection, now)
            if row.until > moment and row.owner != owner:
                return None
            taken = {"owner": owner, "token": row.token + 1, "until": moment + timedelta(seconds=seconds)}
            connection.execute(update(lease).values(**taken))
        return int(row.token) + 1

    def renew(self, token: int, seconds: float, now: datetime) -> bool:
        """Hold the lease for longer; False where it has been lost: stop acting then."""
        with self._database.writing("renew the lease") as connection:
            row = _locked(connection)
            moment = self._database.now(connection, now)
            if not _is_held(row, token, moment):
                return False
            connection.execute(update(lease).values(until=moment + timedelta(seconds=seconds)))
        return True

    def release(self, token: int, now: datetime) -> None:
        """Give the lease back, so that another may act at once."""
        with self._database.writing("release the lease") as connection:
            values = {"until": self._database.now(connection, now), "owner": ""}
            connection.execute(update(lease).where(lease.c.token == token).values(**values))

    def holds(self, token: int, now: datetime, for_seconds: float = 0.0) -> bool:
        """Whether this token may act now, and for so long."""
        with self._database.reading("read the lease") as connection:
            row = connection.execute(select(lease)).one_or_none()
            until = self._database.now(connection, now) + timedelta(seconds=for_seconds)
        return row is not None and _is_held(row, token, until)

    def holder(self, now: datetime) -> Holder | None:
        """Say who may act now; None where nobody may."""
        with self._database.reading("read the lease") as connection:
            row = connection.execute(select(lease)).one_or_none()
            moment = self._database.now(connection, now)
        return Holder(row.owner, row.token, row.until) if row and row.until > moment else None

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


def refuse_unless_held(database: Database, connection: Connection, token: int, now: datetime) -> None:
    """Stop an action in the transaction that would begin it, where its balancer has lost the right to act."""
    row = _locked(connection)
    # The clock is read once the row is ours: who had to wait for it may have waited too long.
    if not _is_held(row, token, database.now(connection, now)):
        cause = "the lease of this balancer has been lost"
        raise LeaseLost(database.name, "act", cause, "another one may be acting: it goes on")


def _locked(connection: Connection) -> Row[Any]:
    """Read the lease and keep everybody else from changing it until this transaction has ended."""
    return connection.execute(select(lease).with_for_update()).one()


def _is_held(row: Row[Any], token: int, moment: datetime) -> bool:
    return bool(row.token == token and row.until > moment)
