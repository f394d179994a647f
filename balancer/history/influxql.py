"""Read what InfluxDB knows of guests and hosts, by InfluxQL: versions 1, 2 and 3 understand it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, floor, isfinite
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

AHEAD_SECONDS: Final = 10  # the slots in which readings of the future are told apart: a clock is wrong by that or more
NANO: Final = 10**9
WAYS_OUT: Final = {
    400: "is the query right?",
    401: "correct the token, or the user and its password",
    403: "give the token the right to read",
    404: "is there this database? In InfluxDB 2 a bucket has to be mapped to one",
}


@dataclass(frozen=True)
class InfluxServer:
    """Where to ask, what, and how patiently.

    database: in InfluxDB 2 what the bucket is mapped to, which is its own name unless somebody said otherwise
    user:     with one the token is its password; without, an API token
    """

    url: str
    database: str
    queries: Queries
    cluster: str = ""
    retention: str = ""
    user: str = ""
    token: SecretStr | None = field(default=None, repr=False)
    deadline_seconds: float = 10

    @property
    def name(self) -> str:
        """The server's address, without whatever else the URL holds."""
        return name_of(self.url)


@dataclass(frozen=True)
class Span:
    """The slots that begin at or after a moment and end by another; all in seconds since 1970."""

    begin: int
    end: int
    slot: int

    def words_in(self, query: str) -> str:
        """Return a query about these slots. It sees five minutes more, so that a rate has a sample to begin with."""
        # A slot includes its end and not its begin, so slots are put off by the least time that there is.
        slots = f"time({self.slot}s, 1ns)"
        when = f"time > {(self.begin - BUCKET_SECONDS) * NANO} AND time <= {self.end * NANO}"
        return query.replace("{slots}", slots).replace("{when}", when)


class InfluxReadings:
    """Readings of five minutes each, by the names that Telegraf, or the balancer itself, has written."""

    def __init__(self, server: InfluxServer, clock: Clock | None = None) -> None:
        self._server = server
        self._clock = clock or WallClock()

    @property
    def name(self) -> str:
        return self._server.name

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the guests' readings of (since, until], oldest first; the key is what its writer calls a guest."""
        ask = self._server.queries
        return self._readings(ask.of_guests, ask.guest_label, since, until)

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the hosts' readings of (since, until], oldest first."""
        ask = self._server.queries
        return self._readings(ask.of_hosts, ask.host_label, since, until)

    def _readings(self, wanted: Mapping[str, str], tag: str, since: datetime, until: datetime) -> pd.DataFrame:
        now = self._clock.now()
        past = _slots_within(since, min(until, now))
        columns = {measure: dict(self._samples(query, tag, past)) for measure, query in wanted.items()}
        if until > now and "cpu_cores" in wanted:
            # A slot is named by its begin here, so that nothing seems further ahead than it is.
            future = Span(ceil(now.timestamp()), floor(until.timestamp()), AHEAD_SECONDS)
            ahead = self._samples(wanted["cpu_cores"], tag, future)
            columns["cpu_cores"] |= {(at - AHEAD_SECONDS, key): value for (at, key), value in ahead}
        return readings_of(columns)

    def _samples(self, query: str, tag: str, span: Span) -> Iterator[tuple[tuple[float, str], float]]:
        """Yield the end of its slot, key and value of each sample that is a number; the others are gaps."""
        if span.begin >= span.end:
            return
        for series in self._ask(span.words_in(query)):
            key = (series.get("tags") or {}).get(tag)
            for at, *values in series["values"] if key else ():
                end = float(at) // NANO + span.slot
                value = next((value for value in values if isinstance(value, int | float)), None)
                if value is not None and isfinite(value) and span.begin + span.slot <= end <= span.end:
                    yield (end, str(key)), float(value)

    def _ask(self, query: str) -> list[Any]:
        server, operation = self._server, f"asking {self._server.name}"
        question = {"db": server.database, "epoch": "ns", "q": query.replace("{cluster}", _quoted(server.cluster))}
        question |= {"rp": server.retention} if server.retention else {}
        request = Request(f"{server.url.rstrip('/')}/query?{urlencode(question)}", headers=self._credentials())
        try:
            said = answer_of(request, server.name, server.deadline_seconds, WAYS_OUT)
            (result,) = said["results"]
            trouble, series = result.get("error"), result.get("series", [])
            is_part = any(each.get("partial") or not isinstance(each["values"], list) for each in series)
        except (ValueError, KeyError, TypeError, AttributeError) as odd:
            raise _odd(operation) from odd
        if trouble:
            way_out = "is there this database?" if "database" in str(trouble) else "is the query right?"
            raise HistoryError("history", operation, f"it refused: {str(trouble)[:200]}", way_out)
        if is_part:
            raise HistoryError("history", operation, "it gives a part alone", "raise its `max-row-limit`")
        return list(series)

    def _credentials(self) -> dict[str, str]:
        server = self._server
        if server.token is None:
            return {}
        word = server.token.get_secret_value()
        if not server.user:
            return {"Authorization": f"Token {word}"}
        return {"Authorization": f"Basic {base64.b64encode(f'{server.user}:{word}'.encode()).decode()}"}


def _slots_within(since: datetime, until: datetime) -> Span:
    """Return the slots whose end lies in (since, until]."""
    first = floor(since.timestamp() / BUCKET_SECONDS) * BUCKET_SECONDS
    return Span(first, floor(until.timestamp() / BUCKET_SECONDS) * BUCKET_SECONDS, BUCKET_SECONDS)


def _odd(operation: str) -> HistoryError:
    return HistoryError("history", operation, "what it answers is not what InfluxDB answers", "is the address right?")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
