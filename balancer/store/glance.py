"""Everything that a look at the world has to know of the past, read in one transaction: it fits together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from balancer.store.database import Database
from balancer.store.drains import Drain, drains_in
from balancer.store.failures import Shunned, shunned_in
from balancer.store.journal import JournalEntry, unsettled_in
from balancer.store.marks import HostMarks, marks_in
from balancer.store.reservations import Reservation, reservations_in


@dataclass(frozen=True)
class Glance:
    """What is open, marked, drained, shunned and reserved."""

    unsettled: tuple[JournalEntry, ...]
    marks: Mapping[str, HostMarks]
    drains: Mapping[str, Drain]
    shunned: Mapping[str, Shunned]
    reserved: tuple[Reservation, ...]


def glance(database: Database, now: datetime) -> Glance:
    """Read what a look at the world has to know."""
    with database.reading("read what is remembered") as connection:
        return Glance(
            unsettled_in(connection),
            marks_in(connection),
            drains_in(connection),
            shunned_in(connection, now),
            reservations_in(connection),
        )
