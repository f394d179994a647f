"""A store and a platform that fail, lie and die on demand, for lives in which everything goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from balancer.errors import StoreError
from tests.execution.killing import ORDERS, Killed


@dataclass
class Faults:
    """What the store and the process will suffer next."""

    rng: Random
    store_fails: int = 0  # so many writes
    lies: bool = False  # the next write is done, and said to have failed
    dies_at: int | None = None
    instants: int = 0
    between: Callable[[], None] = lambda: None

    def tick(self) -> None:
        self.instants += 1
        if self.dies_at is not None and self.instants >= self.dies_at:
            self.dies_at = None
            raise Killed

    def around_writing(self, block: Any) -> Any:
        @contextmanager
        def writing(what: str, lazily: bool = False) -> Iterator[Any]:
            self.tick()
            if self.store_fails:
                self.store_fails -= 1
                raise StoreError("store", what, "database or disk is full")
            with block(what, lazily) as connection:
                yield connection
            if self.lies:
                self.lies = False
                raise StoreError("store", what, "the connection was lost at the commit")
            self.tick()

        return writing


class Unreliable:
    """A platform or a switch whose orders are instants to die at, and whose questions take time."""

    def __init__(self, real: Any, faults: Faults) -> None:
        self._real, self._faults = real, faults

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name == "preflight":
            return self._slowly(found)
        return self._deadly(found) if name in ORDERS else found

    def _deadly(self, order: Any) -> Any:
        def surrounded(*args: Any) -> Any:
            self._faults.tick()
            answer = order(*args)
            self._faults.tick()
            return answer

        return surrounded

    def _slowly(self, question: Any) -> Any:
        def asked(*args: Any) -> Any:
            self._faults.between()  # somebody else acts between the look and the order
            return question(*args)

        return asked
