"""How long each host took to wake, so that it is woken as early as its slower boots ask for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from balancer.store.database import Database
from balancer.store.tables import boots

KEPT: Final = 20  # of each host: with fewer the slowest counts, and what is older tells of another firmware
TOLD_BY: Final = 0.95  # of its boots were no slower


class Boots:
    """The last boots of all hosts, from the request until they were ready."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self) -> dict[str, int]:
        """Return how many boots are known, by host."""
        with self._database.reading("count the boots") as connection:
            rows: Any = connection.execute(select(boots.c.host, func.count()).group_by(boots.c.host))
            return {host: int(times) for host, times in rows}


def note_boot(connection: Connection, host: str, at: datetime, seconds: float) -> float:
    """Write a boot down within a transaction; return what nineteen of twenty boots of the host do not exceed."""
    connection.execute(insert(boots).values(host=host, at=at, seconds=seconds))
    newest = select(boots.c.id, boots.c.seconds).where(boots.c.host == host).order_by(boots.c.id.desc()).limit(KEPT)
    kept = connection.execute(newest).all()
    connection.execute(delete(boots).where((boots.c.host == host) & (boots.c.id < min(row.id for row in kept))))
    return slow_one(row.seconds for row in kept)


def slow_one(seconds: Iterable[float]) -> float:
    """Return the shortest time that covers nineteen of twenty boots; of a few, the longest."""
    rising = sorted(seconds)
    return rising[min(len(rising) - 1, max(0, -int(-len(rising) * TOLD_BY // 1) - 1))]
