"""How a store that an older version wrote becomes one of this version, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text, update

from balancer.store.tables import SCHEMA_VERSION, about, metadata

CHANGES: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("ALTER TABLE journal ADD COLUMN phase VARCHAR",),
}
"""What leads from a version to the next one. Tables that are new need no line: they are made where they are missing."""


def upgrade(connection: Connection, version: int) -> None:
    """Bring a store from an older version to this one, within the caller's transaction; make what tables it lacks."""
    for step in range(version, SCHEMA_VERSION):
        for change in CHANGES.get(step, ()):
            connection.execute(text(change))
    metadata.create_all(connection)
    if version < SCHEMA_VERSION:
        connection.execute(update(about).values(schema_version=SCHEMA_VERSION))
