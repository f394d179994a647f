"""What every place that keeps readings can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import pandas as pd

from balancer.domain.cluster import Cluster

READING_COLUMNS: Final = (
    "at",
    "key",
    "cpu_cores",
    "memory_mib",
    "wait_share",
    "cpu_cores_p95",
    "cpu_cores_max",
    "samples",
)
"""A reading is a sample, or a bucket that ends at `at` and stands for `samples` of them.

`cpu_cores`, `memory_mib` (in use) and `wait_share` are means; what was not measured is NaN, never 0. `key` is the UUID
of a guest, the name of a host. Hosts have no `wait_share`.
"""


@dataclass(frozen=True)
class Event:
    """Something that was planned or done: `Event(at, "move", "vm:db1", {"target": "h5", "seconds": 2.5})`."""

    at: datetime
    kind: str
    subject: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HistoryHealth:
    """How the history fares. `pending` batches wait for the server; `dropped` were given up, each with an error."""

    size_bytes: int = 0
    pending: int = 0
    dropped: int = 0
    last_error: str = ""


class Recorder(Protocol):
    """Takes readings and events. Neither call raises or waits for a network: `health` says what went wrong."""

    def record(self, cluster: Cluster) -> None:
        """Keep what was measured in this cluster; subjects under doubt leave a gap."""
        ...

    def record_event(self, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Keep something that was planned or done, as of now."""
        ...

    def health(self) -> HistoryHealth:
        """Say how it fares."""
        ...

    def close(self) -> None:
        """Let go of files and threads; what is pending is sent by the next start."""
        ...


class History(Recorder, Protocol):
    """Gives back what was recorded. Reading raises HistoryError where it cannot."""

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the guests' readings of (since, until], oldest first, in READING_COLUMNS."""
        ...

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the hosts' readings of (since, until], oldest first, in READING_COLUMNS."""
        ...

    def events(self, since: datetime, until: datetime) -> list[Event]:
        """Return what was planned and done in (since, until], oldest first."""
        ...


def no_readings() -> pd.DataFrame:
    """Return a table of readings with none in it."""
    types = dict.fromkeys(READING_COLUMNS, "float64") | {"at": "datetime64[us, UTC]", "key": "object"}
    return pd.DataFrame({name: pd.Series(dtype=types[name]) for name in READING_COLUMNS})
