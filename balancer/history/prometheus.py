"""Read what Prometheus or VictoriaMetrics know of guests and hosts, by PromQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import floor, isfinite
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import Request

import pandas as pd
from pydantic import SecretStr

from balancer.clock import Clock, WallClock
from balancer.errors import HistoryError
from balancer.history.asking import answer_of, name_of, readings_of
from balancer.history.keeping import BUCKET_SECONDS
from balancer.history.queries import Queries

WAYS_OUT: Final = {
    400: "is the query right?",
    401: "correct the token",
    403: "give the token the right to read",
    404: "is it the address of the server itself, without a path such as /graph?",
    422: "is the query right?",
}


@dataclass(frozen=True)
class PrometheusServer:
    """Where to ask, what, and how patiently."""

    url: str
    queries: Queries
    token: SecretStr | None = field(default=None, repr=False)
    deadline_seconds: float = 10

    @property
    def name(self) -> str:
        """The server's address, without whatever else the URL holds."""
        return name_of(self.url)


class PrometheusReadings:
    """Readings of five minutes each, by the names that the exporters use."""

    def __init__(self, server: PrometheusServer, clock: Clock | None = None) -> None:
        self._server = server
        self._clock = clock or WallClock()

    @property
    def name(self) -> str:
        return self._server.name

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the guests' readings of (since, until], oldest first; the key is what the exporter calls a guest."""
        ask = self._server.queries
        return self._readings(ask.of_guests, ask.guest_label, since, until)

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the hosts' readings of (since, until], oldest first; a port after a host's name is left out."""
        ask = self._server.queries
        found = self._readings(ask.of_hosts, ask.host_label, since, until)
        found["key"] = found["key"].str.replace(r":\d+$", "", regex=True)
        return found

    def _readings(self, wanted: Mapping[str, str], label: str, since: datetime, until: datetime) -> pd.DataFrame:
        return readings_of({what: dict(self._samples(query, label, since, until)) for what, query in wanted.items()})

    def _samples(
        self, query: str, label: str, since: datetime, until: datetime
    ) -> Iterator[tuple[tuple[float, str], float]]:
        """Yield moment, key and value of each sample that is a number; the others are gaps."""
        first = (floor(since.timestamp() / BUCKET_SECONDS) + 1) * BUCKET_SECONDS
        last = floor(until.timestamp() / BUCKET_SECONDS) * BUCKET_SECONDS
        if first > last:
            return
        # A slot that is not over yet would seem to be of the future. One that has not begun is: a clock is wrong.
        now = self._clock.now().timestamp()
        words = query.replace("{w}", f"{BUCKET_SECONDS}s")
        for series in self._ask({"query": words, "start": first, "end": last, "step": BUCKET_SECONDS}):
            key = series["metric"].get(label)
            for at, text in series["values"] if key else ():
                value = float(text)
                if isfinite(value) and not now < float(at) < now + BUCKET_SECONDS:
                    yield (float(at), key), value

    def _ask(self, question: Mapping[str, Any]) -> list[Any]:
        server = self._server
        request = Request(f"{server.url.rstrip('/')}/api/v1/query_range", urlencode(question).encode())
        if server.token is not None:
            request.add_header("Authorization", f"Bearer {server.token.get_secret_value()}")
        try:
            said = answer_of(request, server.name, server.deadline_seconds, WAYS_OUT)
            return [series for series in said["data"]["result"] if series["values"] and series["metric"] is not None]
        except (ValueError, KeyError, TypeError) as odd:
            raise HistoryError(
                "history",
                f"asking {server.name}",
                "what it answers is not what Prometheus answers",
                "is the address right?",
            ) from odd
