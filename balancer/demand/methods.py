"""Ways to guess what comes next. None is best for all guests: each guest is forecast by what has forecast it best.

Arrays hold a row a slot and a column a guest, oldest first; NaN is a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import SLOTS_A_DAY, Floats

HALF_LIVES: Final = {"quarter": 3, "hour": 12, "four hours": 48, "half a day": 144}
"""Of the averages that forget, in slots."""

NEIGHBOURS: Final = 3  # slots before and after the same time of day: people are not punctual
DAILY_FADING: Final = 0.85  # what a day older counts less
OTHER_KIND_OF_DAY: Final = 0.1  # a Sunday says little about a Monday
SAME_WEEKDAY: Final = 2.0
SATURDAY: Final = 5
EVERY_SLOT: Final = slice(0, SLOTS_A_DAY)


def levels(cores: Floats) -> Mapping[str, Floats]:
    """Return what methods that look at what was needed lately know at each slot."""
    steps = {"as now": 1.0} | {name: 1.0 - 0.5 ** (1.0 / half) for name, half in HALF_LIVES.items()}
    found = {name: np.empty_like(cores) for name in steps}
    at = {name: np.full(cores.shape[1], np.nan, dtype=np.float32) for name in steps}
    for slot, reading in enumerate(cores):
        is_gap = np.isnan(reading)
        for name, step in steps.items():
            before = at[name]
            moved = np.where(np.isnan(before), reading, before + np.float32(step) * (reading - before))
            at[name] = found[name][slot] = np.where(is_gap, before, moved)
    return found


def season(days: Floats, weekdays: npt.NDArray[np.int64], slots: slice = EVERY_SLOT) -> Floats:
    """Return for slots of the day after these what guests need at that time: alike days count more.

    days:     whole days up to a moment, not to midnight
    weekdays: of each slot of the day after them; Monday is 0
    """
    number = len(days) // SLOTS_A_DAY
    first, last, _ = slots.indices(SLOTS_A_DAY)
    around = slice(max(0, first - NEIGHBOURS), min(SLOTS_A_DAY, last + NEIGHBOURS))
    by_day = days[-number * SLOTS_A_DAY :].reshape(number, SLOTS_A_DAY, -1)[:, around]
    weights = day_weights(number, weekdays)[:, around]
    weighted = np.zeros(by_day.shape[1:], dtype=np.float32)
    weight = np.zeros_like(weighted)
    for day, share in zip(by_day, weights, strict=True):
        is_known = ~np.isnan(day)
        weighted += np.where(is_known, day * share[:, None], np.float32(0.0))
        weight += is_known * share[:, None]
    inner = slice(first - around.start, last - around.start)
    smooth, total = _with_neighbours(weighted)[inner], _with_neighbours(weight)[inner]
    return np.where(total > 1e-6, smooth / np.maximum(total, np.float32(1e-6)), np.float32(np.nan))


def day_weights(number: int, weekdays: npt.NDArray[np.int64]) -> Floats:
    """Return how much each slot of each day before says, oldest day first."""
    ages = np.arange(number, 0, -1)[:, None]
    others = (weekdays[None, :] - ages) % 7
    alike = np.where((others >= SATURDAY) == (weekdays[None, :] >= SATURDAY), 1.0, OTHER_KIND_OF_DAY)
    same = np.where(others == weekdays[None, :], SAME_WEEKDAY, 1.0)
    return (DAILY_FADING ** (ages - 1.0) * alike * same).astype(np.float32)


def _with_neighbours(day: Floats) -> Floats:
    """Add up each slot and those around it."""
    padded = np.pad(day, ((NEIGHBOURS + 1, NEIGHBOURS), (0, 0)))
    padded[: NEIGHBOURS + 1] = 0.0
    sums = np.cumsum(padded, axis=0, dtype=np.float64)
    width = 2 * NEIGHBOURS + 1
    return (sums[width:] - sums[:-width]).astype(np.float32)
