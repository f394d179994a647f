"""The same tests for a store in a file and for one on a PostgreSQL server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from balancer.store import Store, open_store
from tests.store.postgres import Server, a_server, skip_without_postgres

Kind = Literal["sqlite", "postgresql"]


@dataclass
class Time:
    """Time that leases are held in: of a store in a file it is set by hand, a server has a clock of its own."""

    unit_seconds: float
    is_the_servers: bool
    now: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def units(self, number: float) -> float:
        """Return so many units of time in seconds."""
        return number * self.unit_seconds

    def passes(self, units: float) -> None:
        """Let time pass. A server does not care what we take the time to be: what we say stays what it was."""
        if self.is_the_servers:
            time.sleep(self.units(units))
        else:
            self.now += timedelta(seconds=self.units(units))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests of a run."""
    skip_without_postgres()
    with a_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def url(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/balancer.db"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(name="time")
def its_time(kind: Kind) -> Time:
    return Time(unit_seconds=0.02, is_the_servers=True) if kind == "postgresql" else Time(1.0, is_the_servers=False)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url, "lab")
    yield opened
    opened.close()
