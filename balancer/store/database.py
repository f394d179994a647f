"""The one door to the database: durable writes, and its failures in words."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Engine,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from balancer.errors import MissingExtra, StoreError
from balancer.store.copying import copy_to
from balancer.store.tables import SCHEMA_VERSION, about, metadata
from balancer.store.upgrades import upgrade

BUSY_SECONDS = 10  # a report being read elsewhere must not make the journal fail at once
SERVER_SECONDS = 5  # a server that is silent for so long, or a lock that another keeps for so long, is given up
IDLE_SECONDS = 3  # shorter: who waits for one that stands still in the midst of a transaction gets its turn
WRITERS = 0x62616C616E636572  # "balancer" in ASCII: the lock that a server's writers take, one after the other


class Database:
    """The store's database. Each `writing` block is one durable transaction: all of it, or nothing.

    What is written `lazily` outlives the death of the process, and the loss of power only once something else was
    written durably: for what the next start finds out by itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.url.render_as_string(hide_password=True)
        # In memory there is a single connection, and two threads on it would end each other's transactions.
        shared = isinstance(engine.pool, StaticPool)
        self._alone: AbstractContextManager[object] = threading.RLock() if shared else nullcontext()

    @contextmanager
    def writing(self, what: str, lazily: bool = False) -> Iterator[Connection]:
        """Open a transaction that nobody else writes beside; `what` is said to the operator when it fails."""
        with self._in_words(what), self._alone, self._engine.connect() as connection:
            connection.execution_options(writing=True, lazily=lazily)
            with connection.begin():
                if self.is_server:
                    connection.execute(select(func.pg_advisory_xact_lock(WRITERS)))
                yield connection

    @contextmanager
    def reading(self, what: str) -> Iterator[Connection]:
        """Open a look at the store as it is now."""
        with self._in_words(what), self._alone, self._engine.connect() as connection:
            yield connection

    def now(self, connection: Connection, ours: datetime) -> datetime:
        """Return the moment that leases go by: a server's own clock; ours where the store is on this machine alone."""
        if not self.is_server:
            return ours
        moment: datetime = connection.execute(select(func.clock_timestamp(type_=DateTime(timezone=True)))).scalar_one()
        return moment

    @property
    def is_server(self) -> bool:
        """Whether the store is a server that balancers on several machines share."""
        return self._engine.dialect.name != "sqlite"

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as failed:
            cause = str(getattr(failed, "orig", None) or failed)
            look_at = "does its server run, and is it reached?" if self.is_server else "is the disk full?"
            raise StoreError(self.name, what, cause, f"nothing is done without the store; {look_at}") from failed


def open_database(url: str, cluster: str, password: str | None = None) -> Database:
    """Open the store's database: make one that is new, bring an older one up to this version, refuse any other.

    Before one in a file is brought up, a copy of it is put beside it.
    """
    parsed = parsed_url(url)
    database = Database(engine_of(parsed if password is None else parsed.set(password=password)))
    try:
        with database.writing("open") as connection:
            if inspect(connection).has_table(about.name):
                row = connection.execute(select(about)).one()
                _refuse_another(database.name, row.schema_version, row.cluster, cluster)
                if row.schema_version < SCHEMA_VERSION:
                    _keep_the_older(parsed)
                upgrade(connection, row.schema_version)
            else:
                metadata.create_all(connection)
                connection.execute(insert(about).values(one=1, schema_version=SCHEMA_VERSION, cluster=cluster))
    except StoreError:
        database.close()
        raise
    return database


def _keep_the_older(url: URL) -> None:
    """Put a copy beside a store in a file before it is upgraded; nobody writes to it meanwhile.

    One of an upgrade that failed is written over, so that a service that tries again and again does not fill the disk.
    """
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database).absolute()
        copy_to(file, file.with_name(f"{file.name}.before-v{SCHEMA_VERSION}"), over=True)


def _refuse_another(store: str, version: int, theirs: str, ours: str) -> None:
    if version > SCHEMA_VERSION:
        way_out = "use the version of balancer that wrote it, or begin with an empty store"
        raise StoreError(store, "open", f"its schema is {version}, this is {SCHEMA_VERSION}", way_out)
    if ours and theirs and ours != theirs:
        raise StoreError(store, "open", f"it belongs to cluster {theirs}, not {ours}", "one store per cluster")


def parsed_url(url: str) -> URL:
    """Read what the site file says of its store. StoreError where it is no URL."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # What cannot be read as a URL may hold a password anywhere in it, and so may the words of the failure.
        way_out = "sqlite:////var/lib/balancer/balancer.db"
        raise StoreError("store", "open", "what the site file says is not a URL", way_out) from None


def engine_of(url: URL) -> Engine:
    """Return what speaks to a database; nothing is asked of it yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=_patience(url))
    except NoSuchModuleError as failed:
        name = url.render_as_string(hide_password=True)
        raise StoreError(name, "open", "no such kind of store", "sqlite:///... or postgresql+psycopg://...") from failed
    except ModuleNotFoundError as failed:
        raise MissingExtra("a store on PostgreSQL", "postgres") from failed


def _patience(url: URL) -> dict[str, Any]:
    """Say for how long a PostgreSQL server is waited for, and for how long it waits for us.

    A balancer that stands still in the midst of a transaction would keep the lease's row from the one that takes over.
    """
    if url.get_backend_name() != "postgresql":
        return {}
    limits = {
        "statement_timeout": SERVER_SECONDS,
        "lock_timeout": SERVER_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    return {
        "connect_timeout": SERVER_SECONDS,
        "tcp_user_timeout": SERVER_SECONDS * 1000,
        "keepalives_idle": SERVER_SECONDS,
        "keepalives_interval": 1,
        "keepalives_count": SERVER_SECONDS,
        "options": " ".join(f"-c {limit}={seconds}s" for limit, seconds in limits.items()),
    }


def _sqlite(url: URL) -> Engine:
    in_memory = not url.database or url.database == ":memory:"
    if not in_memory:
        _make_private(Path(str(url.database)), url.render_as_string())
    # One connection for all where the database is in memory: each further one would see an empty database.
    options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path, name: str) -> None:
    """Make the file readable by its owner alone, before SQLite makes it readable by all."""
    if not path.parent.is_dir():
        raise StoreError(name, "open", f"there is no directory {path.parent}", f"mkdir -p {path.parent}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as failed:
        cause = failed.strerror or str(failed)
        raise StoreError(name, "open", cause, f"make {path} writable for this user") from failed


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own idea of a transaction begins too late; `_begin_sqlite` does it
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer that began as a reader fails at once when somebody else writes, so it says so from the start.
    options = connection.get_execution_options()
    if "writing" in options:
        # Only a durable commit waits for the disk; it takes all that was written before along.
        connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if options.get('lazily') else 'FULL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if "writing" in options else "BEGIN")
