"""Who may look, and who may act, through pages and API: named tokens and the sessions of browsers, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from balancer.store.database import Database
from balancer.store.tables import sessions, tokens

PREFIX: Final = "balancer_"  # so that a token that leaked is found by those who scan for such
USED_TO_THE_MINUTE = timedelta(minutes=1)


class Role(StrEnum):
    """What somebody may do: look; decide and act; prove power and see to tokens besides."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what the other one may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Token:
    """A named token, without the secret: that is shown once, when it is made."""

    name: str
    role: Role
    made_at: datetime
    made_by: str
    until: datetime | None = None
    used_at: datetime | None = None


class Tokens:
    """The named tokens of a site, and the sessions that were opened with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role, who: str, now: datetime, until: datetime | None = None) -> str | None:
        """Make a token and return it: it can never be seen again. None where the name is taken."""
        secret = PREFIX + secrets.token_urlsafe(32)
        with self._database.writing(f"add the token {name}") as connection:
            if connection.execute(select(tokens.c.name).where(tokens.c.name == name)).one_or_none():
                return None
            values = {"name": name, "hash": hashed(secret), "role": role, "made_at": now, "made_by": who}
            connection.execute(insert(tokens).values(**values, until=until))
        return secret

    def remove(self, name: str) -> bool:
        """Take a token back, and end the sessions that were opened with it; False where there is none."""
        with self._database.writing(f"remove the token {name}") as connection:
            connection.execute(delete(sessions).where(sessions.c.token == name))
            return bool(connection.execute(delete(tokens).where(tokens.c.name == name)).rowcount)

    def all(self) -> tuple[Token, ...]:
        """Return all tokens by name."""
        with self._database.reading("read the tokens") as connection:
            return tuple(map(_token, connection.execute(select(tokens).order_by(tokens.c.name))))

    def whose(self, secret: str, now: datetime) -> Token | None:
        """Return the token that this is; None for one that is unknown or has run out."""
        with self._database.reading("look a token up") as connection:
            row = connection.execute(select(tokens).where(tokens.c.hash == hashed(secret))).one_or_none()
        found = None if row is None else _token(row)
        if found is None or (found.until is not None and found.until <= now):
            return None
        if found.used_at is None or now - found.used_at > USED_TO_THE_MINUTE:
            with self._database.writing("note that a token is used", lazily=True) as connection:
                connection.execute(update(tokens).where(tokens.c.name == found.name).values(used_at=now))
        return found

    def open_session(self, token: str, now: datetime, until: datetime) -> str:
        """Let a browser in for a while; returns what its cookie says."""
        secret = secrets.token_urlsafe(32)
        with self._database.writing("open a session") as connection:
            connection.execute(delete(sessions).where(sessions.c.until <= now))
            connection.execute(insert(sessions).values(hash=hashed(secret), token=token, since=now, until=until))
        return secret

    def close_session(self, secret: str) -> None:
        """Let a browser in no more."""
        with self._database.writing("close a session") as connection:
            connection.execute(delete(sessions).where(sessions.c.hash == hashed(secret)))

    def of_session(self, secret: str, now: datetime) -> Token | None:
        """Return the token that a session was opened with; None where either has ended."""
        question = select(tokens).join(sessions, sessions.c.token == tokens.c.name)
        with self._database.reading("look a session up") as connection:
            row = connection.execute(
                question.where(sessions.c.hash == hashed(secret), sessions.c.until > now)
            ).one_or_none()
        found = None if row is None else _token(row)
        return None if found is None or (found.until is not None and found.until <= now) else found


def hashed(secret: str) -> str:
    """Return what is kept of a secret. It has 256 random bits, so a slow hash would make it no harder to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(row.name, Role(row.role), row.made_at, row.made_by, row.until, row.used_at)
