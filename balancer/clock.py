"""Time comes in as an argument, so that a night can pass in a second and last night can be decided again."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """Return the present moment, with its time zone."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        ...


class WallClock:
    """The time that everybody else has."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class HandSetClock:
    """Time that passes only when somebody sleeps on it: for stories, rehearsals and the embedded site."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
