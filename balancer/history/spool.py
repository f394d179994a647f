"""What waits for the history server: on disk, in order, and no more than there is room for."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from balancer.history import tables

MAX_BYTES = 256 * 1024**2  # six hours of ten thousand guests, or days of a thousand, looked at once a minute


@dataclass(frozen=True)
class Batch:
    """Lines that are sent together."""

    id: int
    lines: str


class Spool:
    """Batches in the order in which they came; the oldest give way when the room is used up."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._engine = tables.open_engine(path)
        self._max_bytes = max_bytes

    def add(self, lines: Iterable[str]) -> int:
        """Add a batch; returns how many older ones had to go."""
        packed = zlib.compress("\n".join(lines).encode(), level=1)
        with self._engine.begin() as connection:
            connection.execute(sa.insert(tables.spool), {"lines": packed})
            return self._make_room(connection)

    def first(self) -> Batch | None:
        """Return the oldest batch, or None when nothing waits."""
        chosen = sa.select(tables.spool).order_by(tables.spool.c.id).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(chosen).first()
        return Batch(row.id, zlib.decompress(row.lines).decode()) if row else None

    def remove(self, batch: Batch) -> None:
        """Forget a batch that has arrived, or never will."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(tables.spool).where(tables.spool.c.id == batch.id))

    def pending(self) -> int:
        """Return how many batches wait."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(tables.spool)).scalar_one()

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _make_room(self, connection: sa.Connection) -> int:
        dropped = 0
        while self._bytes(connection) > self._max_bytes:
            oldest = sa.select(sa.func.min(tables.spool.c.id)).scalar_subquery()
            dropped += connection.execute(sa.delete(tables.spool).where(tables.spool.c.id == oldest)).rowcount
        return dropped

    def _bytes(self, connection: sa.Connection) -> int:
        size = sa.func.coalesce(sa.func.sum(sa.func.length(tables.spool.c.lines)), 0)
        return int(connection.execute(sa.select(size)).scalar_one())
