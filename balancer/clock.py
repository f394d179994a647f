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


class PacedClock:
    """Time that somebody sets by hand until it is let run, some times as fast as everybody else's."""

    def __init__(self, start: datetime) -> None:
        self._at, self._since = start, time.monotonic()
        self.pace = 0.0  # seconds a second; 0: it passes only when somebody sleeps on it

    def run_at(self, pace: float) -> None:
        """Let it run from now on."""
        self._at, self._since, self.pace = self.now(), time.monotonic(), pace

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self.pace * (time.monotonic() - self._since))

    def sleep(self, seconds: float) -> None:
        if self.pace:
            time.sleep(seconds / self.pace)
        else:
            self._at += timedelta(seconds=seconds)
