"""What people were told, so that nothing is told twice; and what is still to be delivered to each target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from balancer.domain.notices import Kind, Severity
from balancer.store.database import Database
from balancer.store.tables import letters, told

MOST_LETTERS = 500  # that wait for one target; the oldest give way


@dataclass(frozen=True)
class Told:
    """One thing that is the case, or was a moment ago.

    likeness: another one means that it has changed
    told_at: None while it has not lasted for long enough; over_since: None while it is the case
    ends: whether people are told of its end
    """

    kind: Kind
    subject: str
    severity: Severity
    likeness: str
    title: str
    since: datetime
    told_at: datetime | None = None
    over_since: datetime | None = None
    ends: bool = True

    @property
    def key(self) -> Key:
        return self.kind, self.subject


@dataclass(frozen=True)
class Letter:
    """One message that a target has yet to get."""

    target: str
    at: datetime
    kind: Kind
    severity: Severity
    title: str
    body: str
    is_over: bool = False
    id: int = 0


Key = tuple[Kind, str]
Decision = tuple[Mapping[Key, Told], Collection[Letter]]
Decide = Callable[[Mapping[Key, Told]], Decision]


class Notices:
    """What was told, and the letters that wait."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self) -> Mapping[Key, Told]:
        """Return what people were told of, or will be when it lasts."""
        with self._database.reading("read what was told") as connection:
            return _told_in(connection)

    def tell(self, decide: Decide) -> None:
        """Write down what is told from now on, with its letters. Of two balancers that want to tell it one does."""
        known = self.told()
        if decide(known) == (known, ()):
            return
        with self._database.writing("write down what is told") as connection:
            known = _told_in(connection)
            later, new = decide(known)
            for key in (key for key, row in known.items() if later.get(key) != row):
                connection.execute(delete(told).where((told.c.kind == key[0]) & (told.c.subject == key[1])))
            if rows := [vars(row) for key, row in later.items() if known.get(key) != row]:
                connection.execute(insert(told), rows)
            if new:
                connection.execute(insert(letters), list(map(_columns, new)))
            _make_room(connection, {letter.target for letter in new})

    def waiting(self, target: str) -> tuple[Letter, ...]:
        """Return the letters that a target has yet to get, oldest first."""
        with self._database.reading("read the messages that wait") as connection:
            rows = connection.execute(select(letters).where(letters.c.target == target).order_by(letters.c.id))
            return tuple(map(_letter, rows))

    def take(self, target: str, which: Callable[[Letter], bool], now: datetime, until: datetime) -> tuple[Letter, ...]:
        """Take letters to deliver them: until a moment nobody else does."""
        if not any(map(which, self.waiting(target))):
            return ()
        free = or_(letters.c.taken_until.is_(None), letters.c.taken_until <= now)
        question = select(letters).where(letters.c.target == target, free).order_by(letters.c.id)
        with self._database.writing("take messages to deliver") as connection:
            taken = tuple(letter for letter in map(_letter, connection.execute(question)) if which(letter))
            here = letters.c.id.in_([letter.id for letter in taken])
            connection.execute(update(letters).where(here).values(taken_until=until))
        return taken

    def give_back(self, taken: Iterable[Letter]) -> None:
        """Let letters be delivered another time."""
        here = letters.c.id.in_([letter.id for letter in taken])
        with self._database.writing("put messages back") as connection:
            connection.execute(update(letters).where(here).values(taken_until=None))

    def drop(self, taken: Iterable[Letter]) -> None:
        """Forget letters that were delivered, or never will be."""
        here = letters.c.id.in_([letter.id for letter in taken])
        with self._database.writing("forget messages") as connection:
            connection.execute(delete(letters).where(here))


def _told_in(connection: Connection) -> Mapping[Key, Told]:
    found = (Told(**row._mapping) for row in connection.execute(select(told)))
    rows = (Told(**{**vars(each), "kind": Kind(each.kind), "severity": Severity(each.severity)}) for each in found)
    return {row.key: row for row in rows}


def _make_room(connection: Connection, targets: Collection[str]) -> None:
    for target in targets:
        here = letters.c.target == target
        too_many = connection.execute(select(func.count()).select_from(letters).where(here)).scalar_one() - MOST_LETTERS
        if too_many > 0:
            oldest = select(letters.c.id).where(here).order_by(letters.c.id).limit(too_many)
            connection.execute(delete(letters).where(letters.c.id.in_(oldest)))


def _columns(letter: Letter) -> dict[str, Any]:
    return {name: value for name, value in vars(letter).items() if name != "id"}


def _letter(row: Row[Any]) -> Letter:
    values = {name: value for name, value in row._mapping.items() if name != "taken_until"}
    return Letter(**values | {"kind": Kind(row.kind), "severity": Severity(row.severity)})
