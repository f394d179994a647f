"""What each cycle found, a line each, to be searched; the whole of the last ones is kept in files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from balancer.store.database import Database
from balancer.store.tables import cycles

KEPT_DAYS = 90


@dataclass(frozen=True)
class CycleLine:
    """One cycle: when, what it said, and the numbers that people follow over time."""

    plan_id: str
    at: datetime
    sentence: str
    mode: str
    moves: int
    hosts_on: int
    watts: float
    imbalance: float
    gap: float | None
    doubts: int


class Cycles:
    """The cycles of the last weeks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, line: CycleLine) -> None:
        """Write one cycle down, and forget those that are old."""
        with self._database.writing("note a cycle", lazily=True) as connection:
            connection.execute(delete(cycles).where(cycles.c.at < line.at - timedelta(days=KEPT_DAYS)))
            connection.execute(delete(cycles).where(cycles.c.plan_id == line.plan_id))
            connection.execute(insert(cycles).values(**asdict(line)))

    def latest(
        self, limit: int = 50, skipped: int = 0, said: str = "", only_moves: bool = False
    ) -> tuple[CycleLine, ...]:
        """Return cycles whose sentence has these words, newest first."""
        question = select(cycles).order_by(cycles.c.at.desc())
        for word in said.split():
            question = question.where(cycles.c.sentence.icontains(word, autoescape=True))
        if only_moves:
            question = question.where(cycles.c.moves > 0)
        with self._database.reading("read the cycles") as connection:
            return tuple(map(_line, connection.execute(question.limit(limit).offset(skipped))))

    def between(self, since: datetime, until: datetime) -> tuple[CycleLine, ...]:
        """Return the cycles in [since, until), oldest first."""
        question = select(cycles).where(cycles.c.at >= since, cycles.c.at < until).order_by(cycles.c.at)
        with self._database.reading("read the cycles") as connection:
            return tuple(map(_line, connection.execute(question)))

    def span(self) -> tuple[datetime, datetime] | None:
        """Return when the oldest and the newest cycle were; None where there is none."""
        with self._database.reading("read the cycles") as connection:
            oldest, newest = connection.execute(select(func.min(cycles.c.at), func.max(cycles.c.at))).one()
        return None if oldest is None else (oldest, newest)

    def of(self, plan_id: str) -> CycleLine | None:
        """Return one cycle; None where it is not known."""
        with self._database.reading("read a cycle") as connection:
            row = connection.execute(select(cycles).where(cycles.c.plan_id == plan_id)).one_or_none()
        return None if row is None else _line(row)


def _line(row: Row[Any]) -> CycleLine:
    return CycleLine(**row._mapping)
