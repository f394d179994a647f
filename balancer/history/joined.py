"""A history that keeps everything itself and tells a server too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from balancer.domain.cluster import Cluster
from balancer.history.base import Event, History, HistoryHealth, Recorder


class JoinedHistory:
    """Decisions read what is kept here; the server is for people, and may be down."""

    def __init__(self, kept: History, feed: Recorder) -> None:
        self._kept = kept
        self._feed = feed

    def record(self, cluster: Cluster) -> None:
        """Keep the readings, and send them."""
        self._kept.record(cluster)
        self._feed.record(cluster)

    def record_event(self, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Keep an event, and send it."""
        self._kept.record_event(kind, subject, facts)
        self._feed.record_event(kind, subject, facts)

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return what is kept here of the guests."""
        return self._kept.guest_readings(since, until)

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return what is kept here of the hosts."""
        return self._kept.host_readings(since, until)

    def events(self, since: datetime, until: datetime) -> list[Event]:
        """Return the events that are kept here."""
        return self._kept.events(since, until)

    def health(self) -> HistoryHealth:
        """Say how both fare."""
        kept, feed = self._kept.health(), self._feed.health()
        return HistoryHealth(
            size_bytes=kept.size_bytes + feed.size_bytes,
            pending=kept.pending + feed.pending,
            dropped=kept.dropped + feed.dropped,
            last_error="; ".join(filter(None, (kept.last_error, feed.last_error))),
        )

    def close(self) -> None:
        """Close both."""
        self._feed.close()
        self._kept.close()


class NoFeed:
    """Stands where the server cannot be used, and says why; the embedded history goes on."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def record(self, cluster: Cluster) -> None:
        """Send nothing."""

    def record_event(self, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Send nothing."""

    def health(self) -> HistoryHealth:
        """Say why nothing is sent."""
        return HistoryHealth(last_error=self._reason)

    def close(self) -> None:
        """Hold nothing, so let go of nothing."""
