"""Brings one target its letters, in a thread of its own: one that fails or hangs holds up nobody but itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from balancer.clock import Clock
from balancer.domain.notices import Notify, Target
from balancer.errors import BalancerError
from balancer.notifying.targets import Send
from balancer.notifying.whom import bundles, may_go, message
from balancer.store import Store
from balancer.store.notices import Letter

log = structlog.get_logger()

TAKEN_FOR = timedelta(minutes=15)
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=30)
LONGEST_WAIT = timedelta(days=2)  # what is older helps nobody
BETWEEN_WARNINGS = timedelta(hours=1)
SECONDS_UNTIL_IT_HANGS = 60.0


class Delivery:
    """One target, its letters, and how it fares."""

    def __init__(self, target: Target, rules: Notify, cluster: str, store: Store, send: Send, clock: Clock) -> None:
        self._target, self._rules, self._cluster = target, rules, cluster
        self._store, self._send, self._clock = store, send, clock
        self._changed = threading.Condition()
        self._asked = self._served = 0
        self._is_ending = False
        self._began: float | None = None
        self._pause = FIRST_PAUSE
        self._not_before: datetime | None = None
        self._warned_at: datetime | None = None
        self._is_failing = False

    # -- from outside

    def begin(self) -> None:
        """Deliver in a thread from now on; it does not keep the process from ending."""
        threading.Thread(target=self._work, name=f"notify {self._target.name}", daemon=True).start()

    def see_to_it(self) -> None:
        """Have the letters delivered that may go now; returns at once."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
        began = self._began
        if began is not None and time.monotonic() - began > SECONDS_UNTIL_IT_HANGS:
            self._warn("it does not answer, and is waited for")

    def end(self, seconds: float) -> None:
        """Begin no more; wait a while for what is under way. What did not go stays in the store."""
        with self._changed:
            self._changed.wait_for(lambda: self._served == self._asked, timeout=seconds)
            self._is_ending = True
            self._changed.notify_all()

    # -- in its thread

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            try:
                self.deliver()
            except BalancerError as failed:
                self._warn(str(failed))
            except Exception as failed:
                self._warn(f"a fault of the balancer's own: {failed!r}")
            with self._changed:
                self._served = asked
                self._changed.notify_all()

    def _next(self) -> int | None:
        """Wait for somebody to ask; None where it is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending or self._asked > self._served)
            return None if self._is_ending else self._asked

    def deliver(self) -> None:
        """Send what may go now, together where that can be; what the target does not take is tried again later."""
        now = self._clock.now()
        if self._not_before is not None and now < self._not_before:
            return
        taken = self._store.notices.take(self._target.name, self._goes(now), now, now + TAKEN_FOR)
        too_old = [letter for letter in taken if now - letter.at > LONGEST_WAIT]
        fresh = [letter for letter in taken if letter not in too_old]
        if too_old:
            log.warning(f"{len(too_old)} messages were never sent: they are too old", target=self._target.name)
            self._store.notices.drop(too_old)
        for bundle in bundles(fresh):
            self._send_or_keep(bundle, now)

    def _goes(self, now: datetime) -> Callable[[Letter], bool]:
        return lambda letter: may_go(letter, self._target, self._rules, now)

    def _send_or_keep(self, letters: Sequence[Letter], now: datetime) -> None:
        self._began = time.monotonic()
        try:
            self._send(self._target, message(letters, self._cluster, self._rules))
        except Exception as failed:
            self._store.notices.give_back(letters)
            self._not_before = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            # Of what is no error of ours not even the words are known to be free of secrets.
            self._warn(str(failed) if isinstance(failed, BalancerError) else f"it failed with {type(failed).__name__}")
            return
        finally:
            self._began = None
        self._store.notices.drop(letters)
        self._pause, self._not_before = FIRST_PAUSE, None
        if self._is_failing:
            log.info("a target takes messages again", target=self._target.name)
        self._is_failing, self._warned_at = False, None

    def _warn(self, cause: str) -> None:
        """Say that a target fails, once a while."""
        now = self._clock.now()
        self._is_failing = True
        if self._warned_at is None or now - self._warned_at >= BETWEEN_WARNINGS:
            self._warned_at = now
            log.warning("a target takes no messages; they are kept for it", target=self._target.name, cause=cause)
