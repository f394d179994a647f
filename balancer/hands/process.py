"""The balancer's end of the line to its hands. See `child.py` for the other one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from balancer import lifetime
from balancer.domain.site_file import SiteFile
from balancer.hands.base import RAN_OUT, Answer, HandsLost, HandsTied, LongerLife, Opening, Order

PACKAGES = str(Path(__file__).resolve().parents[2])
COMMAND: Final = (sys.executable, "-m", "balancer.hands.child")
LONGEST_ORDER_SECONDS = 120.0  # each call has a deadline of its own, far below; hands that keep none are ended


class HandsInAChild:
    """Has orders carried out by a process that the kernel ends when the right to act runs out.

    It is started when the right to act is taken, and anew when it has died. The site file goes to it through the line,
    and it reads secrets itself.
    """

    def __init__(self, file: SiteFile, secrets: Path, command: Sequence[str] = COMMAND) -> None:
        self._file, self._secrets, self._command = file, secrets, command
        self._starting = threading.Lock()
        self._until = 0.0
        self._child: _Child | None = None
        self.generation = 0

    def may_act_until(self, until: float) -> None:
        self._until = until
        self._living().live_until(until)

    def order(self, whose: str, what: str, *words: Any) -> Any:
        until = self._until
        if lifetime.moment() >= until:
            raise HandsTied(whose or "the platform", what, RAN_OUT, "another balancer may be acting")
        return self._living().carry_out(until, whose, what, words)

    def close(self) -> None:
        with self._starting:
            self._until = 0.0
            if self._child is not None:
                self._child.end()
                self._child = None

    def _living(self) -> _Child:
        with self._starting:
            if self._child is None or not self._child.is_alive:
                self.generation += 1
                self._child = _Child(self._command, Opening(self._file, self._secrets, self._until))
            return self._child


class _Child:
    """One process, and the orders that it has not answered yet."""

    def __init__(self, command: Sequence[str], opening: Opening) -> None:
        to_child, from_child = os.pipe(), os.pipe()
        path = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [*command, str(to_child[0]), str(from_child[1])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it belongs to what the balancer's own commands say
            pass_fds=(to_child[0], from_child[1]),
            env={**os.environ, "PYTHONPATH": path},
        )
        os.close(to_child[0])
        os.close(from_child[1])
        self._orders, self._answers = Connection(to_child[1], readable=False), Connection(from_child[0], writable=False)
        self._numbers = count(1)
        self._speaking = threading.Lock()
        self._open: dict[int, tuple[Order, Future[Any]]] = {}
        self._has_ended = False
        self._tell(opening)
        threading.Thread(target=self._listen, name="hands", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return not self._has_ended

    def live_until(self, until: float) -> None:
        self._tell(LongerLife(until))

    def carry_out(self, until: float, whose: str, what: str, words: tuple[Any, ...]) -> Any:
        order, answer = Order(next(self._numbers), until, whose, what, words), Future[Any]()
        with self._speaking:
            self._open[order.number] = (order, answer)
        self._tell(order)
        if self._has_ended:
            self._lose_what_is_open()  # it may have ended before the order was among those that are lost with it
        try:
            return answer.result(LONGEST_ORDER_SECONDS)
        except TimeoutError:
            self._process.kill()
            raise _lost(order, f"no answer within {LONGEST_ORDER_SECONDS:.0f} s") from None

    def end(self) -> None:
        """End it now, whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def _tell(self, what: Opening | Order | LongerLife) -> None:
        try:
            with self._speaking:
                self._orders.send(what)
        except OSError:
            return  # it is dead; whoever waits for an answer is told by `_listen`

    def _listen(self) -> None:
        try:
            while True:
                answer: Answer = self._answers.recv()
                with self._speaking:
                    _, waiting = self._open.pop(answer.number)
                if answer.raised is not None:
                    waiting.set_exception(answer.raised)
                else:
                    waiting.set_result(answer.said)
        except (EOFError, OSError):
            self._process.wait()
        self._has_ended = True
        self._lose_what_is_open()
        self._answers.close()
        self._orders.close()

    def _lose_what_is_open(self) -> None:
        with self._speaking:
            lost, self._open = list(self._open.values()), {}
        is_late = self._process.returncode == -signal.SIGALRM
        why = f"{RAN_OUT} meanwhile" if is_late else f"the process that did it ended ({self._process.returncode})"
        for order, waiting in lost:
            waiting.set_exception(_lost(order, why))


def _lost(order: Order, why: str) -> HandsLost:
    return HandsLost(order.whose or "the platform", order.what, why, "whether it was done is seen in the next cycle")
