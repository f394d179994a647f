"""The end of a step: what follows from it is written in the transaction that closes it, all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.pace import PastMigration
from balancer.store import failures, halts, memory, past_migrations, power_tests, sightings
from balancer.store.database import Database
from balancer.store.journal import EntryState, Journal, JournalEntry, settle_in
from balancer.store.reservations import release_in


@dataclass(frozen=True)
class Consequences:
    """What is to be remembered of a step that has ended."""

    touched: str = ""  # vm:<key> or host:h1; empty: it leaves no trace
    failed: bool = False
    mib: float | None = None  # moved, for the budget
    came_from: str = ""
    arrived: sightings.Sighting | None = None
    failure: failures.Failure | None = None
    setback: failures.Setback | None = None
    shunned: failures.Shunned | None = None
    halt: halts.Halt | None = None
    past: PastMigration | None = None  # how a migration that arrived was foretold, and how it went
    tested: power_tests.TestRecord | None = None  # how far a power test has come


class Endings:
    """Closes steps of the journal."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database, self._journal = database, journal

    def write(self, entry: JournalEntry, state: EntryState, detail: str, at: datetime, then: Consequences) -> None:
        """Close a step and remember what follows; one that was closed before is left as it is, with no trace twice.

        The end of a move that is lost with the power is found out again: its guest is where it is.
        """
        lazily = entry.step.is_move
        with self._database.writing(f"settle step {entry.id} of the journal", lazily=lazily) as connection:
            was_open = settle_in(connection, entry.id, state, detail, at)
            if was_open:
                _remember(connection, at, then)
                if state not in {EntryState.BEGUN, EntryState.UNKNOWN}:
                    release_in(connection, entry.id)
                    halts.given_up_in(connection, entry.id)
        if not was_open:
            self._journal.refuse_unknown(entry.id)


def _remember(connection: Connection, at: datetime, then: Consequences) -> None:
    if then.tested is not None:
        power_tests.note_in(connection, then.tested)
    if then.touched:
        memory.touch_in(connection, then.touched, at, then.failed)
    if then.mib is not None:
        memory.spend_in(connection, at, 1, then.mib)
    if then.came_from:
        memory.leave_in(connection, then.touched, then.came_from, at)
    if then.arrived:
        sightings.put_in(connection, then.arrived)
        failures.forgive_in(connection, then.arrived.vm_key, then.arrived.host)
    if then.failure:
        failures.note_in(connection, then.failure)
    if then.setback:
        failures.put_off_in(connection, then.setback)
    if then.shunned:
        failures.shun_in(connection, then.shunned)
    if then.halt:
        halts.halt_in(connection, then.halt)
    if then.past:
        past_migrations.note_in(connection, then.past)
