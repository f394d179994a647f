"""Search steps that tests take one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from balancer.solving.arrays import Arrays
from balancer.solving.score import Score, Solution, score
from balancer.solving.state import State
from balancer.solving.swaps import swap, swap_changes


@dataclass(frozen=True)
class Swapped:
    """One swap that was made: what it was said to change, and the scores around it."""

    state: State
    said: float
    before: Score
    after: Score


def swaps_from_today(arrays: Arrays) -> Iterator[Swapped]:
    """Make one legal swap from each host, where it has any, each time from today's placement."""
    for here in range(len(arrays.hosts)):
        state = State(arrays, Solution.today(arrays))
        units = np.flatnonzero((state.at == here) & ~arrays.held)
        others = np.flatnonzero((state.at != here) & ~arrays.held & state.on[state.at])
        changes = swap_changes(state, here, units, others) if state.on[here] else np.empty((0, 0))
        legal = np.argwhere(np.isfinite(changes))
        if not len(legal):
            continue
        row, column = (int(i) for i in legal[here % len(legal)])
        before = score(arrays, state.solution())
        swap(state, int(units[row]), int(others[column]))
        yield Swapped(state, float(changes[row, column]), before, score(arrays, state.solution()))
