"""The last power test of each host, by hand or by itself: when, how it ended, what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from balancer.store.database import Database
from balancer.store.tables import power_tests


class TestResult(StrEnum):
    """How a power test ended."""

    __test__ = False  # for pytest, which takes each class of such a name for tests

    PASSED = "passed"
    FAILED = "failed"
    UNFINISHED = "unfinished"  # it was switched off, and nobody has seen it return


@dataclass(frozen=True)
class TestRecord:
    """One test of one host."""

    __test__ = False

    host: str
    at: datetime
    result: TestResult
    words: str = ""


class PowerTests:
    """The last test of each host."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, record: TestRecord) -> None:
        """Write down how far a test has come; what was known of an earlier one is forgotten."""
        with self._database.writing(f"note the power test of {record.host}") as connection:
            note_in(connection, record)

    def all(self) -> Mapping[str, TestRecord]:
        """Return the last test of each host that has had one."""
        with self._database.reading("read the power tests") as connection:
            rows = connection.execute(select(power_tests))
            return {row.host: TestRecord(row.host, row.at, TestResult(row.result), row.words) for row in rows}


def note_in(connection: Connection, record: TestRecord) -> None:
    """Write down how far a test has come, within a transaction."""
    connection.execute(delete(power_tests).where(power_tests.c.host == record.host))
    connection.execute(insert(power_tests).values(**vars(record)))
