"""Servers that are down, refuse, or answer nonsense; and what several places say of the same time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from balancer.clock import HandSetClock
from balancer.domain.site_file import SiteFile
from balancer.errors import HistoryError
from balancer.history import open_history
from balancer.history.prometheus import PrometheusReadings, PrometheusServer
from balancer.history.queries import PROMQL
from tests.history.worlds import NOON, minutes, seen


class Answering:
    """Answers each question with the same words and status, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.words = 200, b""
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                answering.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                answering.tokens.append(self.headers["Authorization"])
                self.send_response(answering.status)
                self.end_headers()
                self.wfile.write(answering.words)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def says(self, *series: tuple[str, list[tuple[float, str]]]) -> None:
        """Answer with series of guests: name, and samples of minutes after noon and text."""
        result = [
            {"metric": {"domain": name}, "values": [[(NOON + minutes(at)).timestamp(), text] for at, text in samples]}
            for name, samples in series
        ]
        self.words = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.close()


@pytest.fixture
def server(answering: Answering) -> Answering:
    answering.status = 200
    answering.asked.clear()
    answering.tokens.clear()
    answering.says()
    return answering


def place(url: str, token: str | None = None) -> PrometheusReadings:
    secret = None if token is None else SecretStr(token)
    return PrometheusReadings(PrometheusServer(url, PROMQL["libvirt-exporter"], secret, deadline_seconds=2))


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "HTTP status 401, correct the token"), (422, "is the query right"), (500, "see its log")],
)
def test_a_refusal_says_what_to_do(server: Answering, status: int, said: str) -> None:
    server.status = status
    with pytest.raises(HistoryError, match="asking 127") as failed:
        place(server.url).guest_readings(NOON - minutes(10), NOON)
    assert said.partition(", ")[2] in str(failed.value) and said.partition(", ")[0] in str(failed.value)


def test_a_server_that_is_down_is_named(server: Answering) -> None:
    with pytest.raises(HistoryError, match=r"127.0.0.1:1.*no answer"):
        place("http://user:word@127.0.0.1:1").guest_readings(NOON - minutes(10), NOON)


@pytest.mark.parametrize("words", [b"", b"<html>", b"[]", b'{"data": {}}', b'{"data": {"result": [{}]}}', b"\xff"])
def test_an_answer_that_is_none_is_an_error_and_no_crash(server: Answering, words: bytes) -> None:
    server.words = words
    with pytest.raises(HistoryError, match="not what Prometheus answers"):
        place(server.url).guest_readings(NOON - minutes(10), NOON)


def test_the_token_is_sent_and_shown_nowhere(server: Answering) -> None:
    reading = place(server.url, token="t0ken-word")
    reading.guest_readings(NOON - minutes(10), NOON)
    assert set(server.tokens) == {"Bearer t0ken-word"}
    assert "t0ken-word" not in repr(vars(reading))


@pytest.mark.parametrize(("minute", "counts"), [(0, True), (3, False), (5, True)])
def test_a_slot_that_is_not_over_is_left_out_and_one_that_has_not_begun_says_that_a_clock_is_wrong(
    server: Answering, minute: float, counts: bool
) -> None:
    server.says(("db1", [(minute, "1.5")]))
    wanted = PrometheusServer(server.url, PROMQL["libvirt-exporter"])
    found = PrometheusReadings(wanted, HandSetClock(NOON)).guest_readings(NOON - minutes(15), NOON + minutes(10))
    assert len(found) == counts


def test_what_is_no_number_is_a_gap(server: Answering) -> None:
    server.says(("db1", [(-10, "NaN"), (-5, "+Inf"), (0, "1.5")]))
    assert place(server.url).guest_readings(NOON - minutes(15), NOON)["cpu_cores"].tolist() == [1.5]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["data", "result", "metric", "values", "domain", "status"]), inner, max_size=4
                ),
            ),
            max_leaves=12,
        ).map(lambda said: json.dumps(said).encode()),
    )
)
def test_whatever_a_server_says_there_are_readings_or_an_error_that_names_it(server: Answering, words: bytes) -> None:
    server.words = words
    failed = ""
    try:
        found = place(server.url).guest_readings(NOON - minutes(10), NOON)
    except HistoryError as error:
        failed = str(error)
    assert "127.0.0.1" in failed or found["cpu_cores"].notna().all()


def site(*sources: dict[str, object]) -> SiteFile:
    body = {"schema": "balancer.site/1", "cluster": "lab", "platform": {"kind": "libvirt"}, "hosts": []}
    return SiteFile.model_validate(body | {"sources": list(sources)})


def libvirt(url: str) -> dict[str, object]:
    return {"kind": "prometheus", "url": url, "exporter": "libvirt-exporter"}


def test_what_is_kept_here_comes_first_then_the_sources_in_their_order(server: Answering, tmp_path: Path) -> None:
    second = Answering()
    server.says(("db1", [(-10, "2.0"), (0, "2.0")]))
    second.says(("u-1", [(-15, "3.0"), (-10, "3.0"), (0, "3.0")]), ("stranger", [(0, "3.0")]))
    history = open_history(
        site(libvirt(server.url), libvirt(second.url)), tmp_path / "h.db", tmp_path, HandSetClock(NOON)
    )
    history.record(seen(NOON, cpu_cores=1.0))
    found = history.guest_readings(NOON - minutes(20), NOON)
    of_guest = found[(found["key"] == "u-1")]
    assert of_guest["cpu_cores"].tolist() == [3.0, 2.0, 1.0]
    assert set(found["key"]) == {"u-1", "u-2"}
    second.close()
    history.close()


def test_a_source_that_is_down_costs_its_readings_and_is_named(server: Answering, tmp_path: Path) -> None:
    server.says(("db1", [(-5, "2.0")]))
    history = open_history(site(libvirt("http://127.0.0.1:1"), libvirt(server.url)), tmp_path / "h.db", tmp_path)
    history.record(seen(NOON, cpu_cores=1.0))
    found = history.guest_readings(NOON - timedelta(minutes=20), NOON)
    assert found[found["key"] == "u-1"]["cpu_cores"].tolist() == [2.0, 1.0]
    assert "127.0.0.1:1" in history.health().last_error
    history.close()


def test_a_source_has_to_ask_something() -> None:
    with pytest.raises(ValidationError, match="name an `exporter`"):
        site({"kind": "prometheus", "url": "http://x"})


def test_a_query_of_ones_own_takes_the_place_of_the_ready_one(server: Answering, tmp_path: Path) -> None:
    own = libvirt(server.url) | {"queries": {"guest_cores": "my_cores[{w}]"}}
    history = open_history(site(own), tmp_path / "h.db", tmp_path)
    history.guest_readings(NOON - minutes(10), NOON)
    assert any("my_cores%5B300s%5D" in question for question in server.asked)
    history.close()
