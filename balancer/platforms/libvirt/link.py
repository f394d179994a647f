"""One host's line: one connection, one thread, and a deadline for each call."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from balancer.errors import PlatformError
from balancer.platforms.libvirt.knock import knock
from balancer.platforms.libvirt.library import Connection, close_quietly, is_alive, library, open_connection
from balancer.platforms.libvirt.ssh import end_programs_of
from balancer.platforms.libvirt.words import NOT_ANSWERING, platform_error, unreached

T = TypeVar("T")
Question = Callable[[Connection], T]


@dataclass(frozen=True)
class _Call:
    operation: str
    question: Question[Any]
    answer: Future[Any]
    deadline: float  # on the monotonic clock


class HostLink:
    """Asks one hypervisor, one thing at a time.

    libvirt's calls cannot be interrupted, so each host has one thread of its own that waits for them. When a call is
    overdue its caller is told so, and further callers at once, until libvirt lets go of it: a host that stands still
    costs one thread, however often it is asked.
    """

    def __init__(self, host: str, uri: str, deadline_seconds: float) -> None:
        self.host = host
        self._uri = uri
        self._deadline_seconds = deadline_seconds
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._current: _Call | None = None
        self._connection: Connection | None = None
        self._is_opening = False
        self._thread = threading.Thread(target=self._work, name=f"libvirt {host}", daemon=True)
        self._thread.start()

    def ask(self, operation: str, question: Question[T]) -> T:
        """Return the hypervisor's answer; PlatformError where there is none within the deadline."""
        return self.begin(operation, question)()

    def begin(self, operation: str, question: Question[T]) -> Callable[[], T]:
        """Put a question and return what waits for its answer, so that many hosts can be asked at the same time."""
        call = _Call(operation, question, Future(), time.monotonic() + self._deadline_seconds)
        overdue = self._overdue()
        if overdue is not None:
            call.answer.set_exception(self._still_waiting(call, overdue))
        else:
            self._calls.put(call)
        return lambda: self._answer(call)

    def close(self) -> None:
        """Let go of the connection as soon as the call in hand has ended, and at once of one that is being opened."""
        self._calls.put(None)
        if self._is_opening and self._thread.native_id is not None:
            end_programs_of(self._thread.native_id)

    @property
    def is_working(self) -> bool:
        """Whether it still asks, or waits for something to ask."""
        return self._thread.is_alive()

    # -- the caller's side

    def _overdue(self) -> _Call | None:
        current = self._current
        return current if current is not None and current.deadline < time.monotonic() else None

    def _answer(self, call: _Call) -> Any:
        try:
            return call.answer.result(timeout=max(0.0, call.deadline - time.monotonic()))
        except TimeoutError:
            call.answer.cancel()
            raise self._too_late(call) from None

    def _too_late(self, call: _Call) -> PlatformError:
        current = self._current
        if current is not None and current is not call:
            return self._still_waiting(call, current)
        return PlatformError(self.host, call.operation, f"no answer within {self._deadline_seconds:g} s", NOT_ANSWERING)

    def _still_waiting(self, call: _Call, earlier: _Call) -> PlatformError:
        seconds = time.monotonic() - (earlier.deadline - self._deadline_seconds)
        cause = f"still waiting for an answer to an earlier call ({earlier.operation}, {seconds:.0f} s ago)"
        return PlatformError(self.host, call.operation, cause, NOT_ANSWERING)

    # -- the thread's side

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if call.answer.set_running_or_notify_cancel():
                self._current = call
                self._carry_out(call)
                self._current = None
        self._hang_up()

    def _carry_out(self, call: _Call) -> None:
        try:
            call.answer.set_result(self._put(call))
        except Exception as error:
            call.answer.set_exception(error)

    def _put(self, call: _Call) -> Any:
        libvirt = library()
        try:
            return call.question(self._connected())
        except libvirt.libvirtError as error:
            raise platform_error(self.host, call.operation, error) from error
        except OSError as error:
            raise unreached(self.host, call.operation, error) from error

    def _connected(self) -> Connection:
        """Return the connection, a new one where the old one has died."""
        if self._connection is not None and not is_alive(self._connection):
            self._hang_up()
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> Connection:
        self._is_opening = True
        try:
            knock(self._uri)
            return open_connection(self._uri)
        finally:
            self._is_opening = False

    def _hang_up(self) -> None:
        if self._connection is not None:
            close_quietly(self._connection)
        self._connection = None


def ask_all(
    links: Mapping[str, HostLink], operation: str, questions: Mapping[str, Question[T]]
) -> tuple[dict[str, T], dict[str, PlatformError]]:
    """Ask several hosts at the same time; returns answers and failures by host."""
    waiting = {host: links[host].begin(operation, question) for host, question in questions.items()}
    answers: dict[str, T] = {}
    failures: dict[str, PlatformError] = {}
    for host, answer in waiting.items():
        try:
            answers[host] = answer()
        except PlatformError as error:
            failures[host] = error
    return answers, failures
