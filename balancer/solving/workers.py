"""Work in other processes: models that can be stopped from outside, and pods side by side.

A child is started on demand with an interpreter of its own (nothing is forked, no main module is read again), serves
one request after the other, and ends with its parent, however that ends. What takes longer than it may is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from balancer.solving.engine import Engine

PACKAGES = str(Path(__file__).resolve().parents[2])


class Overran(Exception):
    """A child did not answer in time, and was killed."""


class Child:
    """One process that works for this one."""

    def __init__(self) -> None:
        to_child, from_child = os.pipe(), os.pipe()
        for end in (to_child[0], from_child[1]):
            os.set_inheritable(end, True)
        path = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "balancer.solving.child", str(to_child[0]), str(from_child[1])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(to_child[0], from_child[1]),
            env={**os.environ, "PYTHONPATH": path},
        )
        os.close(to_child[0])
        os.close(from_child[1])
        self._to, self.answers = Connection(to_child[1], readable=False), Connection(from_child[0], writable=False)
        self._owner = os.getpid()
        weakref.finalize(self, _end, self._process, self._to, self.answers)

    def ask(self, what: str | Callable[..., Any], *words: Any, within_seconds: float) -> Any:
        """Ask the engine of the child, or let it call a function; raises Overran when it has to be killed."""
        try:
            self.send(what, *words)
            is_answered = self.answers.poll(within_seconds)
        except OSError:
            is_answered = False
        if not is_answered:
            self.kill()
            raise Overran
        return self.receive()

    def send(self, what: str | Callable[..., Any], *words: Any) -> None:
        """Ask without waiting."""
        self._to.send((what, words))

    def receive(self) -> Any:
        """Return the answer; raises what was raised there, and Overran where the child has died."""
        try:
            is_answer, answer, seconds = self.answers.recv()
        except EOFError:
            self.kill()
            raise Overran from None
        _Spent.seconds += seconds
        if not is_answer:
            raise answer
        return answer

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked: a fork of its parent must not, they would read each other's answers."""
        return self._owner == os.getpid() and self._process.poll() is None

    def kill(self) -> None:
        """End it now, whatever it is doing."""
        _end(self._process, self._to, self.answers)


def _end(process: subprocess.Popen[bytes], *lines: Connection) -> None:
    process.kill()
    process.wait()
    for line in lines:
        line.close()


class Here:
    """The engine in this process, for one that is itself a child and can be killed."""

    def __init__(self) -> None:
        self._engine = Engine()

    def ask(self, what: str, *words: Any, within_seconds: float) -> Any:
        """Ask the engine; nobody but the parent looks at the clock."""
        return getattr(self._engine, what)(*words)


class _Spent:
    """CPU seconds that children have worked for this process."""

    seconds = 0.0


def seconds_spent_in_children() -> float:
    """Return the CPU seconds that children have worked for this process, their start not counted."""
    return _Spent.seconds


class _Kept(threading.local):
    """The engine that each thread keeps for its next model."""

    engine: Child | Here | None = None


_kept = _Kept()


def engine() -> Child | Here:
    """Return the engine: in a child that is kept for the next model, or here where this is a child."""
    kept = _kept.engine
    if isinstance(kept, Here) or (kept is not None and kept.is_alive):
        return kept
    _kept.engine = started = Child()
    return started


def stay_here(here: Here) -> None:
    """Let models run in this process from now on."""
    _kept.engine = here


@dataclass(frozen=True)
class Job:
    """A function that can be called by its name in another process, and what it is called with."""

    function: Callable[..., Any]
    words: tuple[Any, ...]


def processes_for(jobs: int) -> int:
    """Return how many processes work side by side: as many as there are cores for."""
    return max(1, min(jobs, len(os.sched_getaffinity(0))))


def side_by_side(jobs: Sequence[Job], within_seconds: float) -> Iterator[tuple[int, Any]]:
    """Do jobs in several processes and give each answer, with its place, as it comes.

    None is the answer of what was not done `within_seconds` from the start. No process is left behind.
    """
    deadline, waiting = time.monotonic() + within_seconds, list(enumerate(jobs))[::-1]
    children = [Child() for _ in range(processes_for(len(jobs)))]
    busy: dict[Connection, tuple[int, Child]] = {}
    try:
        for child in children:
            _give_next(child, waiting, busy)
        while busy:
            ready = wait(list(busy), timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            for place, child in [busy.pop(one) for one in ready if isinstance(one, Connection)]:
                yield place, _answer_of(child)
                if child.is_alive:
                    _give_next(child, waiting, busy)
        yield from ((place, None) for place, _ in busy.values())
        yield from ((place, None) for place, _ in waiting)
    finally:
        for child in children:
            child.kill()


def _give_next(child: Child, waiting: list[tuple[int, Job]], busy: dict[Connection, tuple[int, Child]]) -> None:
    if waiting:
        place, job = waiting.pop()
        child.send(job.function, *job.words)
        busy[child.answers] = place, child


def _answer_of(child: Child) -> Any:
    try:
        return child.receive()
    except Overran:
        return None
