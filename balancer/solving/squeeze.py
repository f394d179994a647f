"""Pack guests where no single step finds room: hosts may be overfull on the way, at a price, and not in the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from balancer.solving.arrays import Arrays, Bools
from balancer.solving.descent import descend
from balancer.solving.score import Solution, score
from balancer.solving.search import search, shake
from balancer.solving.state import State
from balancer.solving.work import Work

OVERFULL = 30.0  # of a whole host: far above any J, so that overfull hosts are eased before anything gets cheaper


def squeeze(arrays: Arrays, wanted: Bools, work: Work, rng: np.random.Generator, shakes: int) -> Solution | None:
    """Find a legal placement on exactly these hosts; None where there is none to be found, or today breaks promises."""
    if arrays.has_soft_limits or not score(arrays, Solution.today(arrays)).breaks_nothing:
        return None
    loose = _loosened(arrays)
    packed, emptied = search(loose, wanted, work, ways=(False,))
    if not emptied:
        return None
    if not score(arrays, packed).breaks_nothing:
        packed = shake(loose, packed, work, rng, shakes)
    if not score(arrays, packed).breaks_nothing:
        return None
    state = State(arrays, packed)
    descend(state, work, state.on)
    return state.solution()


def _loosened(arrays: Arrays) -> Arrays:
    """Turn each limit into a price; of what has no limit, nothing changes."""
    price = np.where(np.isfinite(arrays.limit), OVERFULL / np.maximum(arrays.usable, 1e-9), 0.0)
    return replace(arrays, limit=np.full(arrays.limit.shape, np.inf), soft_limit=arrays.limit, soft_price=price)
