"""Migrations that arrived, as foretold and as measured; what they teach is for others to say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from balancer.domain.pace import PastMigration
from balancer.store.database import Database
from balancer.store.tables import past_migrations

KEPT = 2000  # rows; older ones say little about lines and hosts as they are now


class PastMigrations:
    """The list of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, migration: PastMigration) -> None:
        """Write one down."""
        with self._database.writing("remember how a migration went") as connection:
            note_in(connection, migration)

    def latest(self, limit: int = 300) -> tuple[PastMigration, ...]:
        """Return the last ones, newest first."""
        with self._database.reading("read how migrations went") as connection:
            rows = connection.execute(select(past_migrations).order_by(past_migrations.c.id.desc()).limit(limit))
            return tuple(map(_past, rows))


def note_in(connection: Connection, migration: PastMigration) -> None:
    """Write one down within a transaction, and let go of what is too old."""
    written = connection.execute(insert(past_migrations).values(**migration.model_dump()))
    number = written.inserted_primary_key
    if number is not None:
        connection.execute(delete(past_migrations).where(past_migrations.c.id <= number[0] - KEPT))


def _past(row: Row[Any]) -> PastMigration:
    return PastMigration.model_validate({name: value for name, value in row._mapping.items() if name != "id"})
