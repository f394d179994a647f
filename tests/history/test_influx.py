"""The feed against a real server: it may be down, and nothing is lost or waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.clock import HandSetClock
from balancer.domain.cluster import Cluster
from balancer.domain.site_file import SiteFile
from balancer.history import open_history
from balancer.history.influx import InfluxFeed, Server
from tests.history.metrics_server import MetricsServer, skip_without_victoria_metrics
from tests.history.worlds import NOON, minutes, seen

GUEST = 'balancer_guest_cpu_cores{key="u-1",cluster="lab"}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MetricsServer]:
    skip_without_victoria_metrics()
    victoria = MetricsServer(tmp_path / "victoria")
    yield victoria
    victoria.stop()


@pytest.fixture
def open_feed(tmp_path: Path) -> Iterator[Callable[..., InfluxFeed]]:
    opened: list[InfluxFeed] = []

    def open_one(url: str, token: str = "", max_spool_bytes: int = 10_000_000) -> InfluxFeed:
        where = Server(url, org="lab", token=SecretStr(token), deadline_seconds=2, retry_seconds=0.1)
        spool = tmp_path / "spool.db"
        opened.append(InfluxFeed(where, "lab", spool, HandSetClock(NOON), max_spool_bytes=max_spool_bytes))
        return opened[-1]

    yield open_one
    for feed in opened:
        feed.close()


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 15 s")


def wait_until_sent(feed: InfluxFeed) -> None:
    wait_until(lambda: feed.health().pending == 0)


def record_minutes(feed: InfluxFeed, *numbers: int) -> None:
    for minute in numbers:
        feed.record(seen(NOON + minutes(minute), cpu_cores=float(minute)))


def values(server: MetricsServer, metric: str = GUEST) -> list[float]:
    return [value for _, value in server.samples(metric, NOON - minutes(60), NOON + minutes(60))]


def test_readings_and_events_arrive(server: MetricsServer, open_feed: Callable[..., InfluxFeed]) -> None:
    server.start()
    feed = open_feed(server.url)
    record_minutes(feed, 1, 2)
    feed.record_event("move", "vm:db1", {"seconds": 2.5, "target": "h5"})
    wait_until_sent(feed)
    first, second = server.samples(GUEST, NOON, NOON + minutes(5))
    assert (first, second) == (((NOON + minutes(1)).timestamp(), 1.0), ((NOON + minutes(2)).timestamp(), 2.0))
    assert values(server, 'balancer_host_memory_mib{host="h1"}') == [4096.0, 4096.0]
    assert values(server, 'balancer_event_seconds{kind="move",subject="vm:db1"}') == [2.5]
    assert feed.health().last_error == ""


def test_what_a_server_missed_while_down_arrives_later(
    server: MetricsServer, open_feed: Callable[..., InfluxFeed]
) -> None:
    server.start()
    feed = open_feed(server.url)
    record_minutes(feed, 1)
    wait_until_sent(feed)
    server.stop()
    record_minutes(feed, 2, 3, 4)
    wait_until(lambda: "no answer" in feed.health().last_error)
    assert feed.health().pending == 3
    server.start()
    wait_until_sent(feed)
    assert values(server) == [1.0, 2.0, 3.0, 4.0]
    assert feed.health().last_error == ""


def test_what_waited_when_the_balancer_stopped_is_sent_by_the_next_one(
    server: MetricsServer, open_feed: Callable[..., InfluxFeed]
) -> None:
    before = open_feed(server.url)
    record_minutes(before, 1, 2)
    before.close()
    server.start()
    wait_until_sent(open_feed(server.url))
    assert values(server) == [1.0, 2.0]


def test_a_bounded_spool_gives_up_the_oldest_and_says_so(open_feed: Callable[..., InfluxFeed]) -> None:
    feed = open_feed("http://127.0.0.1:1", max_spool_bytes=1000)
    record_minutes(feed, *range(50))
    health = feed.health()
    assert 0 < health.pending < 50
    assert health.pending + health.dropped == 50


class StubbornServer:
    """Answers each write with the status that it is told, or takes it and never answers; keeps what it accepted."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.taken: list[bytes] = []
        self.silent = threading.Event()
        self.released = threading.Event()
        stubborn = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if stubborn.silent.is_set():
                    stubborn.released.wait(30)
                    return
                status = stubborn.statuses.pop(0) if stubborn.statuses else 204
                if status == 204:
                    stubborn.taken.append(body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stubborn() -> Iterator[StubbornServer]:
    server = StubbornServer()
    yield server
    server.close()


def test_a_batch_that_a_server_will_never_take_does_not_block_the_rest(
    stubborn: StubbornServer, open_feed: Callable[..., InfluxFeed]
) -> None:
    stubborn.statuses = [400]
    feed = open_feed(stubborn.url)
    record_minutes(feed, 1, 2)
    wait_until_sent(feed)
    assert len(stubborn.taken) == 1
    assert feed.health().dropped == 1


def test_a_wrong_token_is_named_and_nothing_is_lost(
    stubborn: StubbornServer, open_feed: Callable[..., InfluxFeed]
) -> None:
    stubborn.statuses = [401] * 3
    feed = open_feed(stubborn.url, token="t0ken-word")
    record_minutes(feed, 1)
    wait_until(lambda: "401 (correct the token)" in feed.health().last_error)
    wait_until_sent(feed)
    assert len(stubborn.taken) == 1
    assert feed.health().dropped == 0
    assert "t0ken-word" not in repr(vars(feed))


def test_a_server_that_hangs_holds_up_neither_the_cycle_nor_the_end(
    stubborn: StubbornServer, open_feed: Callable[..., InfluxFeed]
) -> None:
    stubborn.silent.set()
    feed = open_feed(stubborn.url)
    record_minutes(feed, 1)
    wait_until(lambda: "no answer" in feed.health().last_error)
    record_minutes(feed, 2, 3)
    assert feed.health().pending == 3
    feed.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "history-feed"]


def site(**history: str) -> SiteFile:
    body = {"schema": "balancer.site/1", "cluster": "lab", "platform": {"kind": "libvirt"}, "hosts": []}
    return SiteFile.model_validate(body | ({"history": {"kind": "influx", **history}} if history else {}))


def test_a_site_without_a_server_keeps_its_history_itself(tmp_path: Path) -> None:
    history = open_history(site(), tmp_path / "history.db", tmp_path)
    history.record(seen(NOON))
    assert len(history.guest_readings(NOON - minutes(1), NOON)) == 2
    assert history.health().size_bytes > 0
    history.close()


def test_a_site_with_a_server_keeps_its_history_and_sends_it(tmp_path: Path, server: MetricsServer) -> None:
    server.start()
    (tmp_path / "token").write_text("word")
    history = open_history(site(url=server.url, org="lab", secret_ref="file:token"), tmp_path / "history.db", tmp_path)
    now: Cluster = seen(NOON, cpu_cores=1.5)
    history.record(now)
    wait_until(lambda: history.health().pending == 0)
    assert values(server) == [1.5]
    assert len(history.guest_readings(NOON - minutes(1), NOON)) == 2
    history.close()


def test_a_token_that_cannot_be_read_costs_the_feed_and_not_the_history(tmp_path: Path) -> None:
    history = open_history(site(url="http://127.0.0.1:1", secret_ref="file:lost"), tmp_path / "history.db", tmp_path)
    history.record(seen(NOON))
    assert "reading file:lost: no such file" in history.health().last_error
    assert len(history.guest_readings(NOON - minutes(1), NOON)) == 2
    history.close()
