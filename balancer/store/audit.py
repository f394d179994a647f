"""Who did what, and when. Lines are added, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, or_, select

from balancer.store.database import Database
from balancer.store.tables import audit


@dataclass(frozen=True)
class AuditLine:
    """One thing that somebody did: `who` is a person or `balancer`, `subject` is host:h1, vm:db1 or plan:..."""

    at: datetime
    who: str
    what: str
    subject: str = ""


class Audit:
    """The list of what was done, by whom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, line: AuditLine) -> None:
        """Write one line down."""
        with self._database.writing("write the audit") as connection:
            values = {"at": line.at, "who": line.who, "what": line.what, "subject": line.subject}
            connection.execute(insert(audit).values(**values))

    def latest(self, limit: int = 100, skipped: int = 0, said: str = "") -> tuple[AuditLine, ...]:
        """Return the last lines that have each of these words, newest first."""
        question = select(audit).order_by(audit.c.id.desc())
        for word in said.split():
            here = (audit.c.who, audit.c.what, audit.c.subject)
            question = question.where(or_(*(column.icontains(word, autoescape=True) for column in here)))
        with self._database.reading("read the audit") as connection:
            rows = connection.execute(question.limit(limit).offset(skipped))
            return tuple(AuditLine(row.at, row.who, row.what, row.subject) for row in rows)

    def between(self, since: datetime, until: datetime) -> tuple[AuditLine, ...]:
        """Return the lines of [since, until), oldest first."""
        question = select(audit).where(audit.c.at >= since, audit.c.at < until).order_by(audit.c.id)
        with self._database.reading("read the audit") as connection:
            return tuple(AuditLine(row.at, row.who, row.what, row.subject) for row in connection.execute(question))
