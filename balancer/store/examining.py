"""A look at a store that changes nothing: it makes none, and brings none up to this version."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, create_engine, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from balancer.errors import StoreError
from balancer.store import Store
from balancer.store.database import Database, engine_of, parsed_url
from balancer.store.tables import SCHEMA_VERSION, about


@dataclass(frozen=True)
class StoreFound:
    """What is there. `file`: where it is, None on a server; `schema`: None where it has not been made yet."""

    name: str
    file: Path | None
    schema: int | None = None
    cluster: str = ""
    opened: Store | None = None  # to be read only; None unless it is of this version


def examine_store(url: str, password: str | None = None) -> StoreFound:
    """Look at a store. StoreError where it cannot be read."""
    parsed = parsed_url(url)
    name = parsed.render_as_string(hide_password=True)
    file = Path(parsed.database).absolute() if parsed.get_backend_name() == "sqlite" and parsed.database else None
    if file is not None and not file.exists():
        return StoreFound(name, file)
    engine = _only_reading(file) if file else engine_of(parsed if password is None else parsed.set(password=password))
    return _found(name, file, engine)


def _only_reading(file: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, check_same_thread=False)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _found(name: str, file: Path | None, engine: Engine) -> StoreFound:
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(about.name):
                return StoreFound(name, file)
            row = connection.execute(select(about)).one()
    except SQLAlchemyError as failed:
        engine.dispose()
        cause = str(getattr(failed, "orig", None) or failed)
        raise StoreError(name, "look at it", cause, "does its server run, or may this user read its file?") from failed
    is_ours = row.schema_version == SCHEMA_VERSION
    return StoreFound(name, file, row.schema_version, row.cluster, Store(Database(engine)) if is_ours else None)
