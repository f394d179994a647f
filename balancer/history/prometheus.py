"""Read what Prometheus or VictoriaMetrics know of guests and hosts, by PromQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import floor, isfinite
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pandas as pd
from pydantic import SecretStr

from balancer.errors import HistoryError
from balancer.history.base import READING_COLUMNS, no_readings
from balancer.history.keeping import BUCKET_SECONDS
from balancer.history.queries import Queries

MOST_BYTES: Final = 512 * 1024**2  # a day of ten thousand guests is some 100 MiB; beyond that the server errs
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
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url


class PrometheusReadings:
    """Readings of five minutes each, by the names that the exporters use."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server

    @property
    def name(self) -> str:
        return self._server.name

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the guests' readings of (since, until], oldest first; the key is what the exporter calls a guest."""
        ask = self._server.queries
        wanted = {
            "cpu_cores": ask.guest_cores,
            "wait_share": ask.guest_wait_share,
            "memory_mib": ask.guest_memory_mib,
        }
        return self._readings(wanted, ask.guest_label, since, until)

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the hosts' readings of (since, until], oldest first; a port after a host's name is left out."""
        ask = self._server.queries
        wanted = {"cpu_cores": ask.host_cores, "memory_mib": ask.host_memory_mib}
        found = self._readings(wanted, ask.host_label, since, until)
        found["key"] = found["key"].str.replace(r":\d+$", "", regex=True)
        return found

    def _readings(self, wanted: Mapping[str, str], label: str, since: datetime, until: datetime) -> pd.DataFrame:
        columns = {
            measure: pd.Series(dict(self._samples(query, label, since, until)), dtype=float)
            for measure, query in wanted.items()
            if query
        }
        known = {measure: column for measure, column in columns.items() if not column.empty}
        if "cpu_cores" not in known:
            return no_readings()
        table = pd.DataFrame(known).rename_axis(["at", "key"]).reset_index()
        table["at"] = pd.to_datetime(table["at"], unit="s", utc=True).dt.as_unit("us")
        table["samples"] = 1.0
        return table.reindex(columns=list(READING_COLUMNS)).sort_values(["at", "key"], ignore_index=True)

    def _samples(
        self, query: str, label: str, since: datetime, until: datetime
    ) -> Iterator[tuple[tuple[float, str], float]]:
        """Yield moment, key and value of each sample that is a number; the others are gaps."""
        first = (floor(since.timestamp() / BUCKET_SECONDS) + 1) * BUCKET_SECONDS
        last = floor(until.timestamp() / BUCKET_SECONDS) * BUCKET_SECONDS
        if first > last:
            return
        words = query.replace("{w}", f"{BUCKET_SECONDS}s")
        for series in self._ask({"query": words, "start": first, "end": last, "step": BUCKET_SECONDS}):
            key = series["metric"].get(label)
            for at, text in series["values"] if key else ():
                value = float(text)
                if isfinite(value):
                    yield (float(at), key), value

    def _ask(self, question: Mapping[str, Any]) -> list[Any]:
        operation = f"asking {self._server.name}"
        request = Request(f"{self._server.url.rstrip('/')}/api/v1/query_range", urlencode(question).encode())
        if self._server.token is not None:
            request.add_header("Authorization", f"Bearer {self._server.token.get_secret_value()}")
        try:
            with urlopen(request, timeout=self._server.deadline_seconds) as answer:
                said = json.loads(answer.read(MOST_BYTES))
            return [series for series in said["data"]["result"] if series["values"] and series["metric"] is not None]
        except HTTPError as refused:
            way_out = WAYS_OUT.get(refused.code, "see its log")
            raise HistoryError(
                "history", operation, f"it refused with HTTP status {refused.code}", way_out
            ) from refused
        except OSError as failed:
            raise HistoryError("history", operation, f"no answer ({failed})", "is it up?") from failed
        except (ValueError, KeyError, TypeError) as odd:
            raise HistoryError(
                "history", operation, "what it answers is not what Prometheus answers", "is the address right?"
            ) from odd
