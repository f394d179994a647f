"""What was begun, written down before it is done, so that the next start can find out what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, insert, select, update

from balancer.domain.plan import Action, Step
from balancer.errors import StoreError
from balancer.store import lease
from balancer.store.database import Database
from balancer.store.reservations import Claim, claim_in
from balancer.store.tables import journal


class EntryState(StrEnum):
    """What became of a step."""

    BEGUN = "begun"
    UNKNOWN = "unknown"  # out of time and not seen: its guest and hosts stay frozen until somebody looks
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


class Phase(StrEnum):
    """How far one migration has come. What comes before `request` touches nothing, so the journal begins there."""

    PREPARE = "prepare"  # both ends are asked what speaks against it
    REQUEST = "request"  # room is reserved at the target, it is written down, the source is asked
    TRANSFER = "transfer"  # memory is copied; the source stays the truth
    FINALISE = "finalise"  # the job is over; both ends are asked who has the guest
    COMPLETE = "complete"  # one of them has it: reservation released, what it cost remembered


UNSETTLED = (EntryState.BEGUN, EntryState.UNKNOWN)
_STILL_OPEN = select(journal).where(journal.c.state.in_(UNSETTLED)).order_by(journal.c.id)


@dataclass(frozen=True)
class JournalEntry:
    """One step that was begun. `id` is 0 until it is written; `settled_at` is when its end was seen."""

    at: datetime
    plan_id: str
    step: Step
    vm_id: str | None = None
    state: EntryState = EntryState.BEGUN
    detail: str = ""
    settled_at: datetime | None = None
    id: int = 0
    phase: Phase | None = None

    @property
    def action(self) -> Action:
        return self.step.action

    @property
    def vm(self) -> str | None:
        return self.step.vm

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.step.hosts

    @property
    def is_settled(self) -> bool:
        return self.state not in UNSETTLED

    def concerns(self, vm: str, vm_id: str | None) -> bool:
        """Whether it is about this guest; names are for people, so the id decides where both are known."""
        if self.vm_id and vm_id:
            return self.vm_id == vm_id
        return self.vm == vm

    def __str__(self) -> str:
        phase = f", in {self.phase}" if self.phase and not self.is_settled else ""
        return f"{self.step} ({self.state} since {self.at:%H:%M:%S}{phase})"


class Journal:
    """The list of steps. An entry is on the disk when `begin` returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, entry: JournalEntry, token: int | None = None, claim: Claim | None = None) -> JournalEntry:
        """Write down that a step begins now; with a token, only while its lease is held (LeaseLost otherwise).

        With a claim room is reserved in the same transaction, or nothing is written at all (Overbooked).
        """
        with self._database.writing(f"begin {entry.step}") as connection:
            if token is not None:
                lease.refuse_unless_held(self._database, connection, token, entry.at)
            written = connection.execute(insert(journal), _columns(entry))
            number = written.inserted_primary_key
            assert number is not None
            if claim is not None:
                claim_in(connection, claim, number[0])
        return replace(entry, id=number[0])

    def enter(self, entry: JournalEntry, phase: Phase) -> JournalEntry:
        """Write down that a migration has come to its next phase.

        Recovery begins at the phase that is written, and finds the rest out by asking; so it may be one behind.
        """
        with self._database.writing(f"write down that step {entry.id} is in {phase}", lazily=True) as connection:
            connection.execute(update(journal).where(journal.c.id == entry.id).values(phase=phase))
        return replace(entry, phase=phase)

    def settle(self, number: int, state: EntryState, detail: str, at: datetime) -> None:
        """Write down what became of a step; one that is settled stays as it was settled."""
        with self._database.writing(f"settle step {number} of the journal") as connection:
            changed = settle_in(connection, number, state, detail, at)
        if not changed:
            self.refuse_unknown(number)

    def remark(self, number: int, detail: str) -> None:
        """Add to what is known of a step that has not ended."""
        with self._database.writing(f"remark on step {number} of the journal") as connection:
            connection.execute(update(journal).where(journal.c.id == number).values(detail=detail))

    def refuse_unknown(self, number: int) -> None:
        """Refuse to settle what was never written; what was settled before is left as it is."""
        entry = self.entry(number)
        if entry is None:
            raise StoreError(self._database.name, f"settle entry {number}", "there is no such entry in the journal")

    def entry(self, number: int) -> JournalEntry | None:
        """Return one entry; None where there is none of this number."""
        found = self._find(select(journal).where(journal.c.id == number))
        return found[0] if found else None

    def unsettled(self) -> tuple[JournalEntry, ...]:
        """Return the steps whose end nobody has seen yet, oldest first."""
        with self._database.reading("read the journal") as connection:
            return unsettled_in(connection)

    def latest(self, limit: int = 100) -> tuple[JournalEntry, ...]:
        """Return the last steps, newest first."""
        return self._find(select(journal).order_by(journal.c.id.desc()).limit(limit))

    def about_guest(self, name: str, limit: int = 20) -> tuple[JournalEntry, ...]:
        """Return the last moves of a guest, newest first."""
        return self._find(select(journal).where(journal.c.vm == name).order_by(journal.c.id.desc()).limit(limit))

    def about_host(self, name: str, limit: int = 20) -> tuple[JournalEntry, ...]:
        """Return the last steps that touched a host: how it was switched, and who came and went."""
        touched = (journal.c.host == name) | (journal.c.source == name) | (journal.c.target == name)
        return self._find(select(journal).where(touched).order_by(journal.c.id.desc()).limit(limit))

    def between(self, since: datetime, until: datetime) -> tuple[JournalEntry, ...]:
        """Return the steps that began in [since, until), oldest first."""
        return self._find(select(journal).where(journal.c.at >= since, journal.c.at < until).order_by(journal.c.id))

    def slept_since(self, since: datetime) -> dict[str, int]:
        """Return how often each host was put to sleep from a moment on."""
        done = (journal.c.action == Action.POWER_OFF) & (journal.c.state == EntryState.DONE) & (journal.c.at >= since)
        question = select(journal.c.host, func.count()).where(done).group_by(journal.c.host)
        with self._database.reading("count the sleeps") as connection:
            return {host: int(times) for host, times in connection.execute(question)}

    def last_switched(self, host: str) -> JournalEntry | None:
        """Return the last step that switched a host on or off; None where none did."""
        switching = journal.c.action.in_((Action.POWER_OFF, Action.POWER_ON)) & (journal.c.host == host)
        found = self._find(select(journal).where(switching).order_by(journal.c.id.desc()).limit(1))
        return found[0] if found else None

    def _find(self, question: Select[Any]) -> tuple[JournalEntry, ...]:
        with self._database.reading("read the journal") as connection:
            return tuple(map(_entry, connection.execute(question)))


def unsettled_in(connection: Connection) -> tuple[JournalEntry, ...]:
    """Return the steps whose end nobody has seen yet, oldest first."""
    return tuple(map(_entry, connection.execute(_STILL_OPEN)))


def settle_in(connection: Connection, number: int, state: EntryState, detail: str, at: datetime) -> bool:
    """Write down what became of a step within a transaction; False where it was not open any more."""
    still_open = (journal.c.id == number) & journal.c.state.in_(UNSETTLED)
    values: dict[str, Any] = {"state": state, "detail": detail, "settled_at": None if state in UNSETTLED else at}
    if state is EntryState.DONE:
        values["phase"] = case((journal.c.phase.is_(None), None), else_=Phase.COMPLETE.value)
    return bool(connection.execute(update(journal).where(still_open).values(**values)).rowcount)


def _columns(entry: JournalEntry) -> dict[str, Any]:
    step = entry.step
    return {
        "at": entry.at,
        "plan_id": entry.plan_id,
        "step": step.model_dump_json(exclude_defaults=True, by_alias=True),
        "action": step.action,
        "vm_id": entry.vm_id,
        "vm": step.vm,
        "source": step.source,
        "target": step.target,
        "host": step.host,
        "state": entry.state,
        "detail": entry.detail,
        "phase": entry.phase,
    }


@lru_cache(maxsize=64)  # as many as are on their way at a time, and more
def _step(written: str) -> Step:
    """Read a step; what is open is read again before each move that begins, and a step never changes."""
    return Step.model_validate_json(written)


def _entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(
        at=row.at,
        plan_id=row.plan_id,
        step=_step(row.step),
        vm_id=row.vm_id,
        state=EntryState(row.state),
        detail=row.detail,
        settled_at=row.settled_at,
        id=row.id,
        phase=Phase(row.phase) if row.phase else None,
    )
