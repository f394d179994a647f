"""What a process takes, from outside: memory, descriptors, threads; and whether it goes on taking more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

POOLED = 4
"""Descriptors that may come late without being lost: two more connections to the store, each a file and its log."""


@dataclass(frozen=True)
class Taken:
    """What a process has at a moment; `blocks` are those of Python's own objects, 0 where nobody inside counts."""

    hour: float
    cycles: int
    rss_mib: float
    blocks: int
    descriptors: int
    threads: int

    @property
    def line(self) -> dict[str, float]:
        return asdict(self)


def taken_by(pid: int, hour: float, cycles: int, blocks: int = 0) -> Taken:
    """Ask the kernel what a process has."""
    process = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    descriptors = len(os.listdir(process / "fd"))
    return Taken(hour, cycles, int(status["VmRSS"].split()[0]) / 1024, blocks, descriptors, int(status["Threads"]))


def growth(values: Sequence[float]) -> float:
    """Return by how much these values grow from first to last, by the straight line that fits them best."""
    slope = np.polyfit(np.arange(len(values)), np.asarray(values), 1)[0]
    return float(slope) * (len(values) - 1)


def second_half(course: Sequence[Taken]) -> Sequence[Taken]:
    """Leave out the first half: caches fill, libraries are imported, threads start."""
    return course[len(course) // 2 :]
