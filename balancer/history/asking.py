"""How a history server is asked, and how its answers become a table; errors in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pandas as pd

from balancer.errors import HistoryError
from balancer.history.base import READING_COLUMNS, no_readings

MOST_BYTES: Final = 512 * 1024**2  # a day of ten thousand guests is some 100 MiB; beyond that the server errs
MOST_WORDS: Final = 200  # of what a server says about a refusal

Samples = Mapping[tuple[float, str], float]
"""Values by moment, in seconds since 1970, and key."""


def name_of(url: str) -> str:
    """Return a server's address, without whatever else the URL holds."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def answer_of(request: Request, name: str, deadline_seconds: float, ways_out: Mapping[int, str]) -> Any:
    """Return the JSON that a server answers. HistoryError where it refuses, or does not answer.

    ways_out: what to do about an HTTP status
    """
    operation = f"asking {name}"
    try:
        with urlopen(request, timeout=deadline_seconds) as answer:  # nosec B310  # the site file names the server
            return json.loads(answer.read(MOST_BYTES))
    except HTTPError as refused:
        cause = f"it refused with HTTP status {refused.code}{_said(refused)}"
        raise HistoryError("history", operation, cause, ways_out.get(refused.code, "see its log")) from refused
    except OSError as failed:
        raise HistoryError("history", operation, f"no answer ({failed})", "is it up?") from failed


def _said(refused: HTTPError) -> str:
    """Return what a server says about its refusal, where it is what these servers say."""
    try:
        said = json.loads(refused.read(MOST_BYTES))
        words = said.get("error") or said.get("message") or ""
    except (OSError, ValueError, AttributeError):
        return ""
    return f": {' '.join(str(words).split())[:MOST_WORDS]}" if words else ""


def readings_of(columns: Mapping[str, Samples]) -> pd.DataFrame:
    """Return readings of several measures as one table, oldest first; without cores there are none."""
    series = {measure: pd.Series(dict(samples), dtype=float) for measure, samples in columns.items()}
    known = {measure: column for measure, column in series.items() if not column.empty}
    if "cpu_cores" not in known:
        return no_readings()
    table = pd.DataFrame(known).rename_axis(["at", "key"]).reset_index()
    table["at"] = pd.to_datetime(table["at"], unit="s", utc=True).dt.as_unit("us")
    table["samples"] = 1.0
    return table.reindex(columns=list(READING_COLUMNS)).sort_values(["at", "key"], ignore_index=True)
