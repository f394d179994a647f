"""What is expected in a cluster that is looked at for the first time: each guest by itself and by its like.

level  = typical + n b / (n b + w) * (own mean - typical)      n readings so far
sigma^2 = w * level / typical + b w / (n b + w)                what the next reading may be off by

b: how much guests of a size differ from each other, w: how much one differs from itself; both as variances. With one
reading each nobody can tell them apart, and half of what is seen counts for either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import Floats

HALF: Final = 0.5
LIKE_ENOUGH: Final = 3  # fewer guests of a size are no class; then all guests are
CALMEST, WILDEST = 0.25, 4.0  # how far a guest's own unrest may be from that of its like


@dataclass(frozen=True)
class Beginning:
    """Mean and sigma by guest; NaN where it was never measured."""

    mean: Floats
    sigma: Floats


def beginning_of(cores: Floats, vcpus: Floats) -> Beginning:
    """Estimate from what was read so far, a row a slot; gaps are NaN."""
    share = cores / vcpus
    known = ~np.isnan(share)
    readings = known.sum(axis=0)
    own = np.where(known, share, 0.0).sum(axis=0) / np.maximum(readings, 1)
    unrest = (np.where(known, share - own, 0.0) ** 2).sum(axis=0)
    mean, sigma = np.full(len(vcpus), np.nan), np.full(len(vcpus), np.nan)
    size, measured = np.ceil(np.log2(vcpus)).astype(int), readings > 0
    for one in np.unique(size[measured]):
        of_size = measured & (size == one)
        like = of_size if of_size.sum() >= LIKE_ENOUGH else measured
        level, variance = _of_class(own, readings, unrest, like, of_size)
        mean[of_size], sigma[of_size] = level, np.sqrt(variance)
    return Beginning((mean * vcpus).astype(np.float32), (sigma * vcpus).astype(np.float32))


def _of_class(
    own: npt.NDArray[np.float64],
    readings: npt.NDArray[np.int64],
    unrest: npt.NDArray[np.float64],
    like: npt.NDArray[np.bool_],
    of_size: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return level and variance of the guests of a size, by what all that are like them have shown."""
    typical, seen = max(float(own[like].mean()), 1e-6), float(own[like].var()) + 1e-9
    spare = (readings[like] - 1).sum()
    # As if each class had been seen once before, with half of its spread for chance.
    within = (unrest[like].sum() + HALF * seen * like.sum()) / (spare + like.sum())
    between = max(seen - within / float(readings[like].mean()), HALF * HALF * seen)
    n = readings[of_size]
    trust = n * between / (n * between + within)
    level = typical + trust * (own[of_size] - typical)
    itself = within * np.clip(level / typical, CALMEST, WILDEST)
    return level, itself + between * within / (n * between + within)
