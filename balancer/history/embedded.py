"""The history that comes with the balancer: one SQLite file, bounded in size, that needs no server."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from balancer.clock import Clock, WallClock
from balancer.domain.cluster import Cluster
from balancer.history import tables
from balancer.history.base import READING_COLUMNS, Event, HistoryHealth, no_readings
from balancer.history.inventory import Inventory, InventoryBook, inventory_at
from balancer.history.keeping import BUCKET_SECONDS, SAMPLE, Keeping, bucket_end, tidy
from balancer.history.measured import measured_guests, measured_hosts
from balancer.history.pages import MEASURES, SUBJECT, pack, page_of_samples, unpack

GUESTS, HOSTS = "guests", "hosts"
Sample = tuple[str, float | None, float | None, float | None]  # key, cores, MiB in use, wait share


class EmbeddedHistory:
    """Readings and events in a file."""

    def __init__(self, path: Path, clock: Clock | None = None, keeping: Keeping | None = None) -> None:
        self.path = path
        self._clock = clock or WallClock()
        self._keeping = keeping or Keeping()
        self._engine = tables.open_engine(path)
        self._writing = threading.Lock()
        self._inventory = InventoryBook()
        self._number_of: dict[str, int] = {}
        self._tidied_until = 0.0
        self._dropped = 0
        self._last_error = ""

    def record(self, cluster: Cluster) -> None:
        """Keep what was measured in this cluster; subjects under doubt leave a gap."""
        at = cluster.taken_at.timestamp()
        with self._writing_without_raising("keeping readings") as connection:
            guests = [
                (vm.key, vm.cpu_used_cores, vm.memory_used_mib, vm.cpu_wait_share) for vm in measured_guests(cluster)
            ]
            hosts = [(host.name, host.cpu_used_cores, host.memory_used_mib, None) for host in measured_hosts(cluster)]
            self._add_page(connection, GUESTS, at, guests)
            self._add_page(connection, HOSTS, at, hosts)
            self._inventory.note(connection, cluster)
            if at > self._tidied_until:
                tidy(connection, at, self._keeping)
                self._tidied_until = bucket_end(at, BUCKET_SECONDS)

    def record_event(self, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Keep something that was planned or done, as of now."""
        row = {"at": self._clock.now().timestamp(), "kind": kind, "subject": subject, "facts": dict(facts)}
        with self._writing_without_raising("keeping an event") as connection:
            connection.execute(sa.insert(tables.events), row)

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the guests' readings of (since, until], oldest first."""
        return self._readings(GUESTS, since, until)

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the hosts' readings of (since, until], oldest first."""
        return self._readings(HOSTS, since, until)

    def events(self, since: datetime, until: datetime) -> list[Event]:
        """Return what was planned and done in (since, until], oldest first."""
        event = tables.events.c
        chosen = sa.select(tables.events).where(event.at > since.timestamp(), event.at <= until.timestamp())
        with self._reading("reading events") as connection:
            rows = connection.execute(chosen.order_by(event.at, event.id)).all()
        return [Event(datetime.fromtimestamp(row.at, UTC), row.kind, row.subject, row.facts) for row in rows]

    def inventory(self, at: datetime) -> Inventory:
        """Return what guests and hosts were at a moment, and where guests lived."""
        with self._reading("reading what was there") as connection:
            return inventory_at(connection, at.timestamp())

    def size_bytes(self) -> int:
        """Return how much of the disk it uses."""
        with self._reading("measuring its size") as connection:
            return tables.used_bytes(connection)

    def health(self) -> HistoryHealth:
        """Say how large it is and what could not be kept."""
        size_bytes = self.path.stat().st_size if self.path.exists() else 0
        return HistoryHealth(size_bytes=size_bytes, dropped=self._dropped, last_error=self._last_error)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _add_page(self, connection: sa.Connection, of: str, at: float, samples: Sequence[Sample]) -> None:
        if not samples:
            return
        keys, cpu_cores, memory_mib, wait_share = zip(*samples, strict=True)
        numbers = self._numbers(connection, keys)
        page = page_of_samples(numbers, *(_gaps_as_nan(column) for column in (cpu_cores, memory_mib, wait_share)))
        row = {"of": of, "seconds": SAMPLE, "ends_at": at, "readings": pack(page)}
        connection.execute(sa.insert(tables.pages), row)

    def _numbers(self, connection: sa.Connection, keys: tuple[str, ...]) -> npt.NDArray[np.int32]:
        """Return the numbers that stand for these keys in pages; a new key gets one."""
        if any(key not in self._number_of for key in keys):
            new = [{"key": key} for key in dict.fromkeys(keys) if key not in self._number_of]
            connection.execute(sa.insert(tables.subjects).prefix_with("OR IGNORE"), new)
            self._number_of = _all_numbers(connection)
        return np.fromiter((self._number_of[key] for key in keys), dtype=np.int32, count=len(keys))

    def _readings(self, of: str, since: datetime, until: datetime) -> pd.DataFrame:
        page = tables.pages.c
        chosen = sa.select(page.ends_at, page.readings).where(
            page.of == of, page.ends_at > since.timestamp(), page.ends_at <= until.timestamp()
        )
        with self._reading("reading readings") as connection:
            rows = connection.execute(chosen.order_by(page.ends_at)).all()
            key_of = {number: key for key, number in _all_numbers(connection).items()}
        readings = [unpack(row.readings).assign(at=pd.Timestamp(row.ends_at, unit="s", tz="UTC")) for row in rows]
        if not readings:
            return no_readings()
        table = pd.concat(readings, ignore_index=True)
        table["key"] = table[SUBJECT].map(key_of)
        return table.astype(dict.fromkeys(MEASURES, float))[list(READING_COLUMNS)]

    @contextmanager
    def _reading(self, operation: str) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as failed:
            raise tables.history_error(operation, failed) from failed

    @contextmanager
    def _writing_without_raising(self, operation: str) -> Iterator[sa.Connection]:
        # A cycle that balances without a memory is better than no cycle: what is lost is a gap, and gaps count as busy.
        try:
            with self._writing, self._engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as failed:
            # Numbers given out in a transaction that did not happen stand for nothing.
            self._number_of = {}
            self._inventory = InventoryBook()
            self._dropped += 1
            self._last_error = str(tables.history_error(operation, failed))


def _all_numbers(connection: sa.Connection) -> dict[str, int]:
    return {row.key: row.id for row in connection.execute(sa.select(tables.subjects))}


def _gaps_as_nan(column: Iterable[float | None]) -> list[float]:
    return [nan if value is None else value for value in column]
