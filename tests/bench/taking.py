"""What a piece of work takes: CPU seconds and memory, of this process and of those that work for it."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

from balancer.solving.workers import Child, engine
from tests.bench.limited import KIB_PER_MIB, most_mib_of

ANSWERS_WITHIN_SECONDS = 60.0


@dataclass(frozen=True)
class Taken:
    """CPU seconds and the most memory held so far: by this process, and by the largest of its children."""

    cpu_seconds: float
    own_mib: float
    child_mib: float


def taken_so_far() -> Taken:
    """Return what this process and its children took since they started.

    The child in which models run is kept, and asked; those that have ended (pods, models that were killed) are in the
    kernel's account, whole, with their start. The kernel counts a child as never smaller than its parent was when it
    started it, so that the memory of those that have ended is an upper limit.
    """
    child = engine()
    assert isinstance(child, Child), "a child that works for others is not what is measured"
    alive_seconds, alive_mib = child.ask(own_use, within_seconds=ANSWERS_WITHIN_SECONDS)
    own_seconds, own_mib = own_use()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(
        cpu_seconds=own_seconds + alive_seconds + ended.ru_utime + ended.ru_stime,
        own_mib=own_mib,
        child_mib=max(alive_mib, ended.ru_maxrss / KIB_PER_MIB),
    )


def own_use() -> tuple[float, float]:
    """Return the CPU seconds of this process, all threads, and the most memory that it held, in MiB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, most_mib_of(os.getpid())
