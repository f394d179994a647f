"""What the service lets others read: frozen values, written by the service alone. Reading them never holds it up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from balancer.cycle import Cycle
from balancer.domain.host import CPU
from balancer.execution import Runner, RunReport
from balancer.execution.report import Progress
from balancer.policy import Policy
from balancer.policy.loading import Loaded

SHARES_KEPT = 24  # cycles that a host's trend is drawn from
ENDED_KEPT = 100  # plans: who asks every few seconds misses none


@dataclass(frozen=True)
class Published:
    """What was seen, wanted and planned in the last cycle.

    policy: the one in force then; loaded: the files that it came from
    shares: the CPU share of each host in the last cycles, the oldest first; None: it slept
    took_seconds: from the look to the proven plan; None where nobody measured it
    """

    number: int
    at: datetime
    cycle: Cycle
    policy: Policy
    loaded: Loaded
    policy_path: Path | None = None
    shares: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    took_seconds: float | None = None


@dataclass(frozen=True)
class Health:
    """How the service itself fares.

    trouble: why the last cycle failed; refused: why a policy that was changed is not in force
    """

    role: str = ""
    trouble: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A plan on its way, and how far it has come."""

    report: RunReport
    progress: Progress

    @classmethod
    def of(cls, runner: Runner) -> Run:
        return cls(runner.report(), runner.progress())


@dataclass(frozen=True)
class PowerTest:
    """A host whose power somebody wants proven."""

    host: str
    who: str


class Board:
    """The last published values, and what people have asked for that the service alone can do."""

    def __init__(self, runs: Callable[[], tuple[Run, ...]] = lambda: ()) -> None:
        self._runs = runs
        self._latest: Published | None = None
        self._health = Health()
        self._shares: dict[str, deque[float | None]] = {}
        self._asked: SimpleQueue[PowerTest] = SimpleQueue()
        self._under_test: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._number = 0
        self._changes = 0
        self._ended: deque[tuple[int, RunReport]] = deque(maxlen=ENDED_KEPT)

    # -- the service writes

    def publish(
        self, cycle: Cycle, policy: Policy, loaded: Loaded, path: Path | None, took_seconds: float | None = None
    ) -> None:
        """Let others read what a cycle found."""
        for host in cycle.seen.hosts:
            share = cycle.seen.utilisation(host, CPU) if host.is_on else None
            self._shares.setdefault(host.name, deque(maxlen=SHARES_KEPT)).append(share)
        shares = {host.name: tuple(self._shares[host.name]) for host in cycle.seen.hosts}
        with self._changed:
            self._number += 1
            at = cycle.seen.taken_at
            self._latest = Published(self._number, at, cycle, policy, loaded, path, shares, took_seconds)
            self._note_a_change()

    def tell(self, role: str, trouble: str, refused: tuple[str, ...]) -> None:
        """Let others read how the service fares."""
        with self._changed:
            self._health = Health(role, trouble, refused)
            self._note_a_change()

    def run_ended(self, report: RunReport) -> None:
        """Let others read what became of a plan."""
        with self._changed:
            self._note_a_change()
            self._ended.append((self._changes, report))

    def nudge(self) -> None:
        """Have everybody who waits look."""
        with self._changed:
            self._note_a_change()

    def _note_a_change(self) -> None:
        self._changes += 1
        self._changed.notify_all()

    def next_power_test(self) -> PowerTest | None:
        """Return what somebody asked for and nobody has begun; it counts as under test until it has ended."""
        try:
            return self._asked.get_nowait()
        except Empty:
            return None

    def power_test_ended(self, host: str) -> None:
        """Let a host be tested again."""
        self._under_test -= {host}

    # -- everybody reads

    @property
    def latest(self) -> Published | None:
        """What the last cycle that did not fail found; None before the first."""
        return self._latest

    @property
    def health(self) -> Health:
        return self._health

    @property
    def runs(self) -> tuple[Run, ...]:
        """The plans on their way now."""
        return self._runs()

    def ended_since(self, change: int) -> tuple[RunReport, ...]:
        """Return the plans that have ended after a change, oldest first."""
        with self._changed:
            return tuple(report for number, report in self._ended if number > change)

    def wait(self, change: int, seconds: float) -> int:
        """Wait for something to change after a change, so long at most, and return the number of the last change."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes > change, timeout=seconds)
            return self._changes

    @property
    def under_test(self) -> frozenset[str]:
        """The hosts whose power is being proven, or will be."""
        return self._under_test

    def ask_power_test(self, host: str, who: str) -> bool:
        """Ask for the proof of a host's power; False where that was asked for already."""
        with self._changed:
            if host in self._under_test:
                return False
            self._under_test |= {host}
        self._asked.put(PowerTest(host, who))
        return True
