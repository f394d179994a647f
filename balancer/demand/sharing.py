"""What guests on one host need together, at a risk: uncertainties add up as variances, not as worst cases.

load of a host, at a risk = sum of means + z * sqrt(sum of v)
what the solver adds up   = sum of (mean + z * v / (2 s)) + z * s / 2     a tangent of the root: never below, whatever s
v                         = sigma^2 * how much more the guests of a full host move together

z is how many sigmas the hosts of the last day were off by, at the risk that is accepted: their tails and their moving
together are in it. It is never less than a normal distribution has.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import Floats

BEYOND: Final = 5  # so many errors have to lie beyond a quantile that is read off; further out it is extrapolated
TINY: Final = 1e-9

Places = npt.NDArray[np.intp]
"""The host of each guest, as a number; hosts without guests have no number."""


@dataclass(frozen=True)
class Sharing:
    """How guests of a cluster add up. `correlation` is the average of all pairs of guests."""

    z: float
    scale: float
    together: float  # how much more than now the guests of a full host move together, as a factor of the variance
    correlation: float

    def allowance(self, sigma: Floats) -> Floats:
        """Return what each guest adds to its mean in a sum that stays linear."""
        if self.scale <= TINY:
            return np.zeros_like(sigma)
        return np.asarray(self.z * self.together * sigma**2 / (2 * self.scale), dtype=np.float32)

    @property
    def swing(self) -> float:
        """Return what each host keeps free beside that."""
        return self.z * self.scale / 2

    def load(self, mean: Floats, sigma: Floats) -> float:
        """Return what some guests need together, as the root has it: what the linear sum is never below."""
        return float(mean.sum() + self.z * np.sqrt(self.together * (sigma.astype(float) ** 2).sum()))


def sharing_of(errors: Floats, sigma: Floats, places: Places, fuller: float, risk: float) -> Sharing:
    """Measure how guests add up, from the errors that their forecasts would have made in the last day.

    fuller: how many times as many guests a host may have as now
    """
    known = np.where(np.isnan(errors), np.float32(0.0), errors)
    hosts = int(places.max()) + 1 if len(places) else 0
    variance = np.bincount(places, sigma.astype(float) ** 2, hosts)
    if not hosts or variance.max() <= TINY:
        return Sharing(NormalDist().inv_cdf(1 - risk), 0.0, 1.0, 0.0)
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(hosts))
    off = np.add.reduceat(known[:, order], starts, axis=1) / np.sqrt(np.maximum(variance, TINY))
    guests = len(places) / hosts
    correlation = average_correlation(known)
    together = (1 + correlation * (guests * fuller - 1)) / (1 + correlation * max(guests - 1, 0.0))
    # Hosts between those of now and full ones are where the tangent should touch: there it costs nothing.
    scale = float(np.sqrt(np.median(variance) * max(together, 1.0) * np.sqrt(fuller)))
    return Sharing(measured_z(off, risk), scale, max(together, 1.0), correlation)


def measured_z(off: npt.NDArray[np.floating], risk: float) -> float:
    """Return by how many sigmas a host is off at a risk, as measured, extrapolated where too little was seen."""
    normal = NormalDist()
    wanted = normal.inv_cdf(1 - risk)
    seen = max(1 - risk, 0.5) if off.size * risk >= BEYOND else 1 - BEYOND / max(off.size, 4 * BEYOND)
    seen = min(seen, 1 - risk)
    measured = float(np.quantile(off, seen)) * wanted / max(normal.inv_cdf(seen), 0.5)
    return max(wanted, measured)


def average_correlation(errors: Floats) -> float:
    """Return the average correlation of the errors of two guests, and 0 where they move against each other.

    The variance of the sum of standardised errors is n + n (n - 1) * average correlation.
    """
    sigma = np.sqrt((errors**2).mean(axis=0))
    moving = sigma > TINY
    guests = int(moving.sum())
    if guests < 2:
        return 0.0
    total = (errors[:, moving] / sigma[moving]).sum(axis=1, dtype=np.float64)
    return float(min(1.0, max(0.0, ((total**2).mean() - guests) / (guests * (guests - 1)))))
