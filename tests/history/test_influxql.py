"""InfluxDB as a source: what it refuses, what is odd in what it holds, and what several places say of the same time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from balancer.clock import HandSetClock
from balancer.demand.quantile import expected_demand
from balancer.demand.vetting import doubts_about_readings
from balancer.domain.site_file import SiteFile
from balancer.errors import HistoryError
from balancer.history import open_history
from balancer.history.base import History
from balancer.history.influxql import InfluxReadings, InfluxServer
from balancer.history.queries import INFLUXQL
from tests.history.influx_server import NANO, InfluxDB, nanoseconds, of_guest, skip_without_influxdb
from tests.history.worlds import NOON, minutes, seen

WINDOW = minutes(30)


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """A server that asks for a user; `stranger` may not read."""
    skip_without_influxdb()
    server = InfluxDB(tmp_path_factory.mktemp("influx"), with_users=True)
    server.ask("CREATE USER stranger WITH PASSWORD 'pass-word'")
    yield server
    server.stop()


@pytest.fixture
def telegraf(influx: InfluxDB, request: pytest.FixtureRequest) -> InfluxDB:
    """The server with nothing in its database."""
    influx.begin_a_database(f"t{abs(hash(request.node.name))}")
    return influx


def place(url: str, user: str = "admin", word: str | None = "pass-word", database: str = "telegraf") -> InfluxReadings:
    token = None if word is None else SecretStr(word)
    server = InfluxServer(url, database, INFLUXQL["telegraf"], user=user, token=token, deadline_seconds=2)
    return InfluxReadings(server, HandSetClock(NOON))


def ask(reading: InfluxReadings) -> str:
    """Ask, and return the error."""
    with pytest.raises(HistoryError) as failed:
        reading.guest_readings(NOON - minutes(10), NOON)
    return str(failed.value)


class TestRefusals:
    def test_nobody_who_is_not_let_in(self, influx: InfluxDB) -> None:
        for reading in (place(influx.url, word="wrong-word"), place(influx.url, word=None)):
            said = ask(reading)
            assert "HTTP status 401" in said and "correct the token, or the user and its password" in said
            assert "wrong-word" not in said

    def test_a_database_that_is_not_there(self, influx: InfluxDB) -> None:
        said = ask(place(influx.url, database="telegraph"))
        assert "database not found: telegraph" in said and "is there this database?" in said

    def test_a_user_without_the_right_to_read(self, influx: InfluxDB) -> None:
        assert "not authorized" in ask(place(influx.url, user="stranger"))

    def test_a_query_that_is_none(self, influx: InfluxDB, tmp_path: Path) -> None:
        own = source(influx.url) | {"queries": {"guest_cores": "SELECT mean( FROM x WHERE {when} GROUP BY {slots}"}}
        (tmp_path / "word").write_text("pass-word")
        history = open_history(site(own), tmp_path / "h.db", tmp_path, HandSetClock(NOON))
        history.guest_readings(NOON - minutes(10), NOON)
        assert "error parsing query" in history.health().last_error
        assert "is the query right?" in history.health().last_error
        history.close()

    def test_a_server_that_is_down(self) -> None:
        assert "127.0.0.1:1" in ask(place("http://user:word@127.0.0.1:1")) and "is it up?" in ask(
            place("http://127.0.0.1:1")
        )


def source(url: str) -> dict[str, object]:
    return {
        "kind": "influx",
        "url": url,
        "database": "telegraf",
        "exporter": "telegraf",
        "user": "admin",
        "secret_ref": "file:word",
    }


def site(*sources: dict[str, object]) -> SiteFile:
    body = {"schema": "balancer.site/1", "cluster": "lab", "platform": {"kind": "libvirt"}, "hosts": []}
    return SiteFile.model_validate(body | {"sources": list(sources)})


@pytest.fixture
def history(telegraf: InfluxDB, tmp_path: Path) -> Iterator[History]:
    """A history that knows `u-1` and has nothing of it, beside the server."""
    (tmp_path / "word").write_text("pass-word")
    opened = open_history(
        site(source(telegraf.url) | {"database": telegraf.database}), tmp_path / "h.db", tmp_path, HandSetClock(NOON)
    )
    opened.record(seen(NOON - minutes(45), cpu_cores=1.0))
    yield opened
    opened.close()


def worked(server: InfluxDB, *cores_by_minute: tuple[float, float], since: datetime = NOON, begins: float = 0) -> None:
    """Write the counters of a guest that used so many cores until each of these minutes after a moment."""
    at, counted = since, begins
    lines = list(of_guest(at, counted, 0))
    for minute, cores in cores_by_minute:
        counted += cores * (since + minutes(minute) - at).total_seconds() * NANO
        at = since + minutes(minute)
        lines += of_guest(at, counted, 0)
    server.write(lines)


def doubts(history: History) -> dict[str, str]:
    """Return what a look at noon doubts of what the history says."""
    read = history.guest_readings(NOON - WINDOW, NOON + minutes(10))
    now = seen(NOON, cpu_cores=1.0)
    found = expected_demand(read, now, 30, 0.95, doubts_about_readings(read, now))
    return {doubt.subject: doubt.kind for doubt in found.doubts}


class TestWhatIsOdd:
    def test_nothing_is(self, history: History, telegraf: InfluxDB) -> None:
        worked(telegraf, *((minute, 1.0) for minute in range(1, 16)), since=NOON - minutes(15))
        assert doubts(history) == {}

    def test_a_counter_that_starts_again_costs_one_sample(self, history: History, telegraf: InfluxDB) -> None:
        worked(telegraf, (1, 2.0), (2, 2.0), (3, 2.0), since=NOON - minutes(10))
        worked(telegraf, (1, 2.0), since=NOON - minutes(6))
        found = history.guest_readings(NOON - minutes(10), NOON)
        assert found["cpu_cores"].tolist() == pytest.approx([2.0])
        assert doubts(history) == {}

    def test_what_nobody_read_for_long_is_no_reading(self, history: History, telegraf: InfluxDB) -> None:
        """A guest that was busy while nobody looked, and is read once: the mean of that time says nothing."""
        worked(telegraf, (1, 1.0), (11, 3.0), (12, 0.5), since=NOON - minutes(16))
        found = history.guest_readings(NOON - minutes(20), NOON)
        assert found["cpu_cores"].dropna().tolist() == pytest.approx([1.0, 0.5])

    @pytest.mark.parametrize(("ahead", "doubted"), [(25, {}), (90, {"site:history": "skewed"})])
    def test_a_clock_that_is_ahead_is_named(
        self, history: History, telegraf: InfluxDB, ahead: float, doubted: dict[str, str]
    ) -> None:
        worked(telegraf, (1, 1.0), (2, 1.0), since=NOON - minutes(2) + minutes(ahead / 60))
        assert doubts(history) == doubted

    def test_nothing_seems_further_ahead_than_it_is(self, history: History, telegraf: InfluxDB) -> None:
        worked(telegraf, (1, 1.0), since=NOON - minutes(0.6))
        read = history.guest_readings(NOON - minutes(1), NOON + minutes(10))
        assert NOON < read["at"].max() <= NOON + minutes(0.4)

    def test_a_counter_that_is_read_every_four_minutes_has_its_first_sample_in_the_slot_before(
        self, history: History, telegraf: InfluxDB
    ) -> None:
        worked(telegraf, (4, 1.0), since=NOON - minutes(6))
        assert history.guest_readings(NOON - minutes(5), NOON)["cpu_cores"].tolist() == pytest.approx([1.0])

    def test_what_cannot_be_is_left_out_and_named(self, history: History, telegraf: InfluxDB) -> None:
        worked(telegraf, (1, 40.0), (2, 40.0), since=NOON - minutes(9))
        assert doubts(history) == {"vm:db1": "absurd"}

    def test_a_sample_twice_counts_once(self, history: History, telegraf: InfluxDB) -> None:
        for _ in range(2):
            worked(telegraf, (1, 2.0), (2, 2.0), since=NOON - minutes(9))
        found = history.guest_readings(NOON - minutes(10), NOON)
        assert found["cpu_cores"].tolist() == pytest.approx([2.0])

    def test_two_clusters_in_one_bucket_are_kept_apart(self, telegraf: InfluxDB) -> None:
        lines = (
            f"balancer_guest,cluster={c},host=h1,key=u-1,vm=db1 cpu_cores={n} {nanoseconds(NOON)}" for c, n in LABS
        )
        telegraf.write(lines)
        ours = InfluxServer(
            telegraf.url, telegraf.database, INFLUXQL["balancer"], "o'lab", user="admin", token=SecretStr("pass-word")
        )
        found = InfluxReadings(ours, HandSetClock(NOON)).guest_readings(NOON - minutes(5), NOON)
        assert found["cpu_cores"].tolist() == [2.0]


LABS = (("lab", 1.0), ("o'lab", 2.0))


class TestPrecedence:
    def test_what_is_kept_here_comes_first(self, history: History, telegraf: InfluxDB) -> None:
        worked(telegraf, *((minute, 2.0) for minute in range(1, 16)), since=NOON - minutes(15))
        history.record(seen(NOON, cpu_cores=1.0))
        found = history.guest_readings(NOON - minutes(15), NOON)
        assert found[found["key"] == "u-1"]["cpu_cores"].tolist() == pytest.approx([2.0, 2.0, 1.0])


class Answering:
    """Answers each question with the same words, and remembers the credentials."""

    def __init__(self) -> None:
        self.status, self.words = 200, b""
        self.credentials: list[str | None] = []
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answering.credentials.append(self.headers["Authorization"])
                self.send_response(answering.status)
                self.end_headers()
                self.wfile.write(answering.words)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.close()


@pytest.mark.parametrize(("user", "said"), [("", "Token pass-word"), ("admin", "Basic YWRtaW46cGFzcy13b3Jk")])
def test_the_token_or_the_password_is_sent_and_shown_nowhere(answering: Answering, user: str, said: str) -> None:
    answering.status, answering.words = 200, b'{"results": [{}]}'
    answering.credentials.clear()
    reading = place(answering.url, user=user)
    reading.guest_readings(NOON - minutes(10), NOON)
    assert set(answering.credentials) == {said}
    assert "pass-word" not in repr(vars(reading))


def test_a_bucket_that_is_mapped_to_no_database_is_told(answering: Answering) -> None:
    answering.status, answering.words = 404, b'{"code": "not found", "message": "no dbrp mapping found"}'
    said = ask(place(answering.url))
    assert "no dbrp mapping found" in said and "In InfluxDB 2 a bucket has to be mapped to one" in said


def test_a_part_of_an_answer_is_not_taken_for_all_of_it(answering: Answering) -> None:
    series = {"tags": {"domain_name": "u-1"}, "values": [[0, 1.0]], "partial": True}
    answering.status, answering.words = 200, json.dumps({"results": [{"series": [series]}]}).encode()
    assert "max-row-limit" in ask(place(answering.url))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["results", "series", "tags", "values", "domain_name", "error"]), inner, max_size=4
                ),
            ),
            max_leaves=12,
        ).map(lambda said: json.dumps({"results": [said]}).encode()),
    )
)
def test_whatever_a_server_says_there_are_readings_or_an_error_that_names_it(
    answering: Answering, words: bytes
) -> None:
    answering.status, answering.words = 200, words
    failed = ""
    try:
        found = place(answering.url).guest_readings(NOON - minutes(10), NOON)
    except HistoryError as error:
        failed = str(error)
    assert "127.0.0.1" in failed or found["cpu_cores"].notna().all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database": ""}, "names no database"),
        ({"exporter": "node-exporter"}, "has no ready queries of node-exporter"),
        ({"queries": {"guest_cores": "SELECT 1 FROM x WHERE {when}"}}, r"`guest_cores` that is no SELECT"),
        ({"queries": {"guest_cores": "DROP MEASUREMENT x {when} {slots}"}}, r"`guest_cores` that is no SELECT"),
        ({"kind": "prometheus"}, "has `database:`, which belongs to influx"),
    ],
)
def test_a_source_that_cannot_be_asked_is_refused_at_the_door(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        site(source("http://x") | changes)
