"""A simulated world in a process of its own, so that two balancers act on the same hosts: `-m tests.pair.world SOCKET`.

It is reached through a socket, one call a connection. Each order is written down with its moment and who gave it.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET, socket
from typing import Any, cast

from balancer import lifetime
from balancer.clock import WallClock
from balancer.platforms.base import Platform
from balancer.platforms.simulated import SimulatedPlatform
from balancer.power.base import PowerSwitch
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World

CLUSTER = "small"
HOSTS = ("h1", "h2")
GUESTS = ("a", "b", "c", "d")
MIGRATION_SECONDS = 6.0
GUEST_MIB = 4096.0
ORDERS = frozenset({"begin_migration", "abort_migration", "power_on", "shut_down", "cut_power"})


@dataclass(frozen=True)
class Given:
    """An order, as the hypervisor or the BMC has received it."""

    at: float  # lifetime.moment()
    by: int  # the process
    what: str
    subject: str


def serve(path: Path) -> None:
    """Run two hosts, one of which has all four guests, in real time."""
    link = GUEST_MIB / MIGRATION_SECONDS
    world = World(WallClock(), [HostSpec(name, 16, 65536, migration_mib_per_s=link) for name in HOSTS], CLUSTER)
    for name in GUESTS:
        world.add_guest(GuestSpec(name, 2, GUEST_MIB, constantly(2.0), dirty_mib_per_s=0), "h1")
    reached: dict[str, Any] = {"": SimulatedPlatform(world)} | {name: SimulatedSwitch(world, name) for name in HOSTS}
    given: list[Given] = []
    with Listener(str(path), backlog=64) as door:
        while True:
            threading.Thread(target=_answer, args=(door.accept(), reached, given), daemon=True).start()


def _answer(line: Connection, reached: dict[str, Any], given: list[Given]) -> None:
    with line:
        whose, what, words = line.recv()
        if what == "given":
            line.send((True, tuple(given)))
            return
        if what in ORDERS:
            subject = words[0].move.vm if words else whose
            given.append(Given(lifetime.moment(), _who(line), what, subject))
        try:
            line.send((True, getattr(reached[whose], what)(*words)))
        except Exception as failed:
            line.send((False, failed))


def _who(line: Connection) -> int:
    with socket(fileno=os.dup(line.fileno())) as other:
        pid, _, _ = struct.unpack("3i", other.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))
    return int(pid)


class Far:
    """A platform or a switch of the world, from another process."""

    def __init__(self, path: Path, whose: str = "", order_takes_seconds: float = 0.0) -> None:
        self.host = self.address = whose
        self._path, self._whose, self._order_takes_seconds = path, whose, order_takes_seconds

    def __getattr__(self, what: str) -> Callable[..., Any]:
        def call(*words: Any) -> Any:
            if what in ORDERS:
                time.sleep(self._order_takes_seconds)  # as looking up a guest and opening a connection do
            with Client(str(self._path)) as line:
                line.send((self._whose, what, words))
                is_answer, said = line.recv()
            if not is_answer:
                raise said
            return said

        return call

    def allow_for(self, begun: object) -> None:
        """The world knows what is under way in it."""

    def close(self) -> None:
        """Nothing is held open."""


def platform(path: Path, order_takes_seconds: float = 0.0) -> Platform:
    return cast(Platform, Far(path, "", order_takes_seconds))


def switches(path: Path, order_takes_seconds: float = 0.0) -> dict[str, PowerSwitch]:
    return {host: cast(PowerSwitch, Far(path, host, order_takes_seconds)) for host in HOSTS}


def orders_given(path: Path) -> tuple[Given, ...]:
    """Return the orders that hypervisors and BMCs have received, in their order."""
    given: tuple[Given, ...] = cast(Any, Far(path)).given()
    return given


if __name__ == "__main__":
    # By its own name, under which others know what it sends them.
    import_module("tests.pair.world").serve(Path(sys.argv[1]))
