"""Death at a chosen instant: before or after any write to the store, any order to a hypervisor or a BMC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.execution.stage import Stage

ORDERS = ("begin_migration", "abort_migration", "power_on", "shut_down", "cut_power")


class Killed(BaseException):
    """The process is dead: nothing catches this."""


class Killer:
    """Counts the instants at which the world or the store changes, and kills at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.instants = 0
        self._at = at

    def tick(self) -> None:
        self.instants += 1
        if self.instants == self._at:
            raise Killed

    def watches(self, stage: Stage) -> Stage:
        """Return the stage with each write and each order surrounded by two instants."""
        database: Any = stage.store._database
        database.writing = self._around_block(database.writing)
        platform = _Surrounded(stage.site.platform, self)
        switches = {name: _Surrounded(switch, self) for name, switch in stage.site.switches.items()}
        return replace(stage, site=replace(stage.site, platform=platform, switches=switches))

    def _around_block(self, block: Any) -> Any:
        @contextmanager
        def surrounded(what: str, lazily: bool = False) -> Iterator[Any]:
            self.tick()
            with block(what, lazily) as connection:
                yield connection
            self.tick()

        return surrounded

    def around(self, order: Callable[..., Any]) -> Callable[..., Any]:
        def surrounded(*args: Any) -> Any:
            self.tick()
            answer = order(*args)
            self.tick()
            return answer

        return surrounded


class _Surrounded:
    """A platform or a switch, each order to which is surrounded by two instants."""

    def __init__(self, real: Any, killer: Killer) -> None:
        self._real = real
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._killer.around(found) if name in ORDERS else found
