"""The tables of the embedded history, and how its file is opened."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from balancer.errors import HistoryError

VERSION = 2  # 2: what guests and hosts were; tables that are new are made where they are missing
BUSY_SECONDS = 5  # how long a writer waits for another process, such as a `balancer history` at the same file

metadata = sa.MetaData()

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
)
pages = sa.Table(
    "pages",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("of", sa.Text, nullable=False),  # guests | hosts
    sa.Column("seconds", sa.Integer, nullable=False),  # 0: one moment
    sa.Column("ends_at", sa.Float, nullable=False),  # of the bucket, seconds since 1970
    sa.Column("readings", sa.LargeBinary, nullable=False),
    sa.Index("pages_by_time", "of", "ends_at"),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)
inventory = sa.Table(
    "inventory",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # guest | place | host
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON(none_as_null=True)),  # null: it is there no longer
    sa.Index("inventory_by_time", "at"),
)
spool = sa.Table(
    "spool",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("lines", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # an id is never used twice: a batch that was sent is not mistaken for a new one
)


def open_engine(path: Path) -> sa.Engine:
    """Open the file, making it where it is new; refuses one that a later version has written."""
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, json_serializer=partial(json.dumps, default=str)
    )
    sa.event.listen(engine, "connect", _prepare)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with engine.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if found > VERSION:
                raise HistoryError(
                    "history",
                    f"opening {path}",
                    f"the file is of version {found}, this balancer knows {VERSION}",
                    "use the newer balancer, or name another file",
                )
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
    except (sa.exc.SQLAlchemyError, OSError) as failed:
        engine.dispose()
        raise history_error(f"opening {path}", failed) from failed
    return engine


def history_error(operation: str, failed: Exception) -> HistoryError:
    """Say what went wrong with the file, without the SQL."""
    cause = str(getattr(failed, "orig", None) or failed)
    return HistoryError("history", operation, cause, "is the disk full, or the file another user's?")


def used_bytes(connection: sa.Connection) -> int:
    """Return the bytes that are in use in the file; pages given free are used again before it grows."""
    size, count, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size * (count - free)


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # With WAL, a power cut costs the last few readings at most and never the file.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
