"""Feed a history server (InfluxDB 2, VictoriaMetrics) from a thread of its own, so that no cycle waits for it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import SecretStr

from balancer.clock import Clock, WallClock
from balancer.domain.cluster import Cluster
from balancer.errors import MissingExtra
from balancer.history.base import HistoryHealth
from balancer.history.lines import line_of_event, lines_of_cluster
from balancer.history.spool import MAX_BYTES, Batch, Spool

LINES_PER_BATCH = 5000  # what InfluxDB recommends for one request
UNSENDABLE = frozenset({400, 413, 422})  # the server has read it and will never take it: it would block all the rest
WAYS_OUT = {
    401: "correct the token",
    403: "give the token the right to write to the bucket",
    404: "create the bucket, or correct `bucket:` and `org:` in the site file",
}


@dataclass(frozen=True)
class Server:
    """Where the history goes, and how patient we are with it."""

    url: str
    bucket: str = "balancer"
    org: str = ""
    token: SecretStr | None = None
    deadline_seconds: float = 10
    retry_seconds: float = 15

    @property
    def name(self) -> str:
        """The server's address, without whatever else the URL holds."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url


class InfluxFeed:
    """Readings and events on their way to a server: spooled to disk at once, sent in order when it answers."""

    def __init__(
        self, server: Server, cluster: str, spool: Path, clock: Clock | None = None, *, max_spool_bytes: int = MAX_BYTES
    ) -> None:
        if importlib.util.find_spec("influxdb_client") is None:
            raise MissingExtra(f"sending the history to {server.name}", "influx")
        self._server = server
        self._cluster = cluster
        self._clock = clock or WallClock()
        self._spool = Spool(spool, max_spool_bytes)
        self._dropped = 0
        self._counting = threading.Lock()
        self._last_error = ""
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history-feed", daemon=True)
        self._thread.start()

    def record(self, cluster: Cluster) -> None:
        """Put the readings of this cluster into the spool."""
        self._put(lines_of_cluster(cluster))

    def record_event(self, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Put something that was planned or done into the spool."""
        self._put([line_of_event(self._cluster, self._clock.now(), kind, subject, facts)])

    def health(self) -> HistoryHealth:
        """Say how much waits, and why."""
        try:
            pending = self._spool.pending()
        except sa.exc.SQLAlchemyError as failed:
            return HistoryHealth(dropped=self._dropped, last_error=f"history spool: {failed}")
        return HistoryHealth(pending=pending, dropped=self._dropped, last_error=self._last_error)

    def close(self) -> None:
        """Stop sending; what waits stays in the spool. A server that hangs is not waited for beyond its deadline."""
        self._closing.set()
        self._news.set()
        self._thread.join(timeout=self._server.deadline_seconds + 1)
        if not self._thread.is_alive():
            self._spool.close()

    def _put(self, lines: Iterable[str]) -> None:
        try:
            for batch in _batches(lines):
                self._give_up(self._spool.add(batch))
        except sa.exc.SQLAlchemyError as failed:
            self._give_up(1)
            self._last_error = f"history spool: {getattr(failed, 'orig', failed)}"
        self._news.set()

    def _give_up(self, batches: int) -> None:
        # The cycle and the feed's thread both count.
        with self._counting:
            self._dropped += batches

    def _run(self) -> None:
        from influxdb_client import InfluxDBClient
        from influxdb_client.client.write_api import SYNCHRONOUS

        server = self._server
        with InfluxDBClient(
            url=server.url,
            token=server.token.get_secret_value() if server.token else "",
            org=server.org,
            timeout=round(server.deadline_seconds * 1000),
            enable_gzip=True,
        ) as client:
            write_api = client.write_api(write_options=SYNCHRONOUS)
            while not self._closing.is_set():
                if self._send_all(write_api):
                    self._news.wait()
                else:
                    self._closing.wait(server.retry_seconds)

    def _send_all(self, write_api: Any) -> bool:
        """Send what waits, oldest first; stops at the first batch that does not go through."""
        self._news.clear()
        try:
            while not self._closing.is_set() and (batch := self._spool.first()) is not None:
                if not self._send(write_api, batch):
                    return False
                self._spool.remove(batch)
        except sa.exc.SQLAlchemyError as failed:
            self._last_error = f"history spool: {getattr(failed, 'orig', failed)}"
            return False
        return True

    def _send(self, write_api: Any, batch: Batch) -> bool:
        """Send a batch; true if it need not be sent again."""
        try:
            write_api.write(bucket=self._server.bucket, org=self._server.org, record=batch.lines, write_precision="ms")
        except Exception as failed:
            # The client raises its own errors, urllib3's and the socket's: each means "not now", unless the server
            # says that it will never take this batch.
            self._last_error = self._in_words(failed)
            if getattr(failed, "status", None) not in UNSENDABLE:
                return False
            self._give_up(1)
            return True
        self._last_error = ""
        return True

    def _in_words(self, failed: Exception) -> str:
        status = getattr(failed, "status", None)
        if status is None:
            return f"history server {self._server.name}: no answer ({type(failed).__name__}); is it up?"
        way_out = WAYS_OUT.get(status, "see its log")
        return f"history server {self._server.name}: it refused with HTTP status {status} ({way_out})"


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(lines)
    while batch := list(islice(rest, LINES_PER_BATCH)):
        yield batch
