"""What is expected of guests that are hardly known: what most guests of their size need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import Floats
from balancer.domain.vm import Vm

MOST_OF_THEM: Final = 0.9  # a newcomer is taken for one of the busier ones of its size
LIKE_ENOUGH: Final = 3  # fewer guests of a size are no class; then all guests are


@dataclass(frozen=True)
class Typical:
    """Cores and sigma of guests of each one's size."""

    cores: Floats
    sigma: Floats


def typical_of(guests: Sequence[Vm], mean: Floats, sigma: Floats, is_known: npt.NDArray[np.bool_]) -> Typical:
    """Return for each guest what known guests of its size class need, by the vCPU: 1, 2, 3-4, 5-8, ..."""
    vcpus = np.array([vm.vcpus for vm in guests], dtype=np.float32)
    size = np.ceil(np.log2(vcpus)).astype(int)
    cores, spread = np.zeros_like(vcpus), np.zeros_like(vcpus)
    for one in np.unique(size):
        like = is_known & (size == one)
        if like.sum() < LIKE_ENOUGH:
            like = is_known
        if like.any():
            of_size = size == one
            cores[of_size] = vcpus[of_size] * np.quantile(mean[like] / vcpus[like], MOST_OF_THEM)
            spread[of_size] = vcpus[of_size] * np.sqrt(np.mean((sigma[like] / vcpus[like]) ** 2))
    return Typical(cores, spread)
