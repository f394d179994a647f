"""What happens while plans are carried out, for whoever wants to follow it: a page, a log, a test."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import count

KEPT = 1000  # events: who asks every few seconds misses none


@dataclass(frozen=True)
class Event:
    """One thing that happened to a step: it came to a phase (`transfer`), or to its end (`done`, `failed`, ...)."""

    number: int
    at: datetime
    plan_id: str
    step_id: str
    step: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.step}: {self.what}" + (f", {self.detail}" if self.detail else "")


class Events:
    """The last events of this process. May be written and read from any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: deque[Event] = deque(maxlen=kept)
        self._numbers = count(1)
        self._changed = threading.Condition()

    def add(self, at: datetime, plan_id: str, step_id: str, step: str, what: str, detail: str = "") -> None:
        """Say that something happened."""
        with self._changed:
            self._kept.append(Event(next(self._numbers), at, plan_id, step_id, step, what, detail))
            self._changed.notify_all()

    def since(self, number: int = 0) -> tuple[Event, ...]:
        """Return what happened after the event of this number, oldest first; 0: all that is kept."""
        with self._changed:
            return tuple(event for event in self._kept if event.number > number)

    def wait(self, number: int, seconds: float) -> tuple[Event, ...]:
        """Wait for something to happen after the event of this number, so long at most, and return it."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._kept) and self._kept[-1].number > number, timeout=seconds)
        return self.since(number)
