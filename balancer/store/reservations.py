"""Room that is held at the target of a move, from before it is asked for until its end is known."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from balancer.store.database import Database
from balancer.store.tables import reservations


class Overbooked(Exception):
    """The room was promised to another move since it was looked at."""


@dataclass(frozen=True)
class Reservation:
    """What a guest will need at its target; `entry` is the journal's, 0 until it is written."""

    vm_key: str
    vm: str
    source: str
    target: str
    memory_mib: float
    cpu_cores: float
    since: datetime
    until: datetime
    entry: int = 0

    def __str__(self) -> str:
        return f"{self.memory_mib:.0f} MiB for {self.vm} until {self.until:%H:%M}"


@dataclass(frozen=True)
class Claim:
    """A reservation that is asked for, and those that were known when it was found to fit."""

    wanted: Reservation
    known: frozenset[int]


class Reservations:
    """All reservations. One is made in the transaction that begins its move, and goes in the one that ends it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[Reservation, ...]:
        """Return what is reserved, the oldest first."""
        with self._database.reading("read the reservations") as connection:
            return reservations_in(connection)

    def sweep(self, now: datetime, still_open: Collection[int]) -> tuple[Reservation, ...]:
        """Let go of reservations whose time is over, or whose step is not open any more; return them."""
        gone = tuple(each for each in self.all() if each.until <= now or each.entry not in still_open)
        if gone:
            with self._database.writing("sweep the reservations") as connection:
                release_in(connection, *(each.entry for each in gone))
        return gone


def reservations_in(connection: Connection) -> tuple[Reservation, ...]:
    """Return what is reserved, the oldest first."""
    return tuple(map(_reservation, connection.execute(select(reservations).order_by(reservations.c.entry))))


def claim_in(connection: Connection, claim: Claim, entry: int) -> None:
    """Reserve within the transaction that begins a move; Overbooked where others have come first.

    Whether the room suffices was found out on a look at the world. What was reserved at that host since is not in it.
    """
    wanted = claim.wanted
    touching = (reservations.c.target == wanted.target) | (reservations.c.vm_key == wanted.vm_key)
    for other in map(_reservation, connection.execute(select(reservations).where(touching))):
        if other.vm_key == wanted.vm_key:
            raise Overbooked(f"{wanted.vm} has room reserved on {other.target} already")
        if other.entry not in claim.known:
            raise Overbooked(f"room on {wanted.target} was reserved for {other.vm} a moment ago")
    connection.execute(insert(reservations), {**vars(wanted), "entry": entry})


def release_in(connection: Connection, *entries: int) -> None:
    """Let go of what was reserved for these journal entries."""
    if entries:
        connection.execute(delete(reservations).where(reservations.c.entry.in_(entries)))


def known_of(found: Iterable[Reservation]) -> frozenset[int]:
    """Return what a claim that was judged with these reservations in mind has to know."""
    return frozenset(each.entry for each in found)


def _reservation(row: Row[Any]) -> Reservation:
    return Reservation(**row._mapping)
