"""What pages and API stand on: the published values, the store, what a person may ask; neither has more than this."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from balancer.actions import Asking
from balancer.chronicle import Chronicle
from balancer.clock import WallClock
from balancer.errors import BalancerError
from balancer.execution import Events
from balancer.planning.explaining import Case
from balancer.policy.places import places_of
from balancer.published import Board, Published
from balancer.settings import WebSettings
from balancer.site import Site
from balancer.store import Store
from balancer.web.identity import Visitor

T = TypeVar("T")

THINK_AT_A_TIME = 1  # what a visitor asks must not take the processor from the loop


class NotYet(BalancerError):
    """Nothing was seen yet."""


class Busy(BalancerError):
    """Others are being answered; it is worth asking again in a moment."""


@dataclass
class Door:
    """One site, as pages and API know it."""

    site: Site
    board: Board
    chronicle: Chronicle
    settings: WebSettings
    is_open_to_all: bool = False  # no login: on a loopback address alone
    closes: threading.Event = field(default_factory=threading.Event, repr=False)  # set when no more news are told
    _answers: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _answers_about: int = field(default=0, repr=False)
    _thinking: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(THINK_AT_A_TIME), repr=False
    )

    @property
    def store(self) -> Store:
        return self.site.acting.store

    @property
    def events(self) -> Events:
        return self.site.events

    @property
    def now(self) -> datetime:
        return self.site.clock.now()

    @property
    def wall_time(self) -> datetime:
        """The time that sessions and tokens go by: a simulated site has a time of its own."""
        return WallClock().now()

    @property
    def published(self) -> Published:
        """The last cycle; NotYet before the first."""
        latest = self.board.latest
        if latest is None:
            raise NotYet(self.board.health.trouble or "the first look at the cluster has not ended yet")
        return latest

    @property
    def case(self) -> Case:
        """The last cycle, about which somebody asks why."""
        known = self.published
        places = places_of(known.loaded)
        return Case(known.cycle.seen, known.policy, known.cycle.plan, known.cycle.memory, places.of)

    def asking(self, visitor: Visitor) -> Asking:
        """Let a visitor ask something of the balancer, under their own name."""
        return Asking(self.site, visitor.name)

    def thought_once(self, kind: str, name: str, think: Callable[[], T]) -> T:
        """Think about something once a cycle, however often it is asked."""
        with self.thinking():
            number = self.published.number
            if number != self._answers_about:
                self._answers, self._answers_about = {}, number
            if (kind, name) not in self._answers:
                self._answers[kind, name] = think()
            found: T = self._answers[kind, name]
            return found

    @contextmanager
    def thinking(self, patience_seconds: float = 20.0) -> Iterator[None]:
        """Think for a visitor, one at a time; Busy where others think for too long."""
        if not self._thinking.acquire(timeout=patience_seconds):
            raise Busy("somebody else's question is being thought about: try again in a moment")
        try:
            yield
        finally:
            self._thinking.release()
