"""What the balancer would know of recorded guests at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import DAYS, SLOT_SECONDS, SLOTS_A_DAY, Diary
from tests.bench.traces import Trace

LAST_DAY = SLOTS_A_DAY
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)  # any Monday: traces say nothing of weekdays that could be relied on


def diary_at(trace: Trace, now: int) -> tuple[Diary, npt.NDArray[np.int64]]:
    """Return what the balancer would know at a slot, and which guests of the trace it knows at all."""
    cores = np.full((DAYS * SLOTS_A_DAY, trace.cores.shape[1]), np.nan, dtype=np.float32)
    past = trace.cores[max(0, now + 1 - len(cores)) : now + 1]
    cores[len(cores) - len(past) :] = past
    there = np.flatnonzero(~np.isnan(cores[-LAST_DAY:]).all(axis=0))
    return Diary(tuple(str(column) for column in there), now, cores[:, there]), there


def moment(slot: int) -> datetime:
    return BEGIN + timedelta(seconds=SLOT_SECONDS * slot)
