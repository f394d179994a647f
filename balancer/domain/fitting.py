"""A power curve from what a host's BMC measured at different loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from balancer.domain.host import Power

FEWEST_READINGS = 20  # at one load a curve would be a guess
LEAST_SPREAD = 0.15  # of CPU share between readings; a line through one spot may lean any way


@dataclass(frozen=True)
class Drawn:
    """Readings at about the same load: their mean CPU share (0 to 1), their mean watts, and how many they were."""

    cpu_share: float
    watts: float
    readings: int


def fitted(drawn: Sequence[Drawn], off_watts: float | None = None) -> Power | None:
    """Return idle and peak watts by a line through the readings (least squares); None while they say too little.

    A line is what SPECpower's curves are within some 10 % (see Fan, Weber, Barroso: Power Provisioning for a
    Warehouse-sized Computer, ISCA 2007), and it does not bend where nothing was measured.
    """
    shares = [each.cpu_share for each in drawn]
    if sum(each.readings for each in drawn) < FEWEST_READINGS or max(shares) - min(shares) < LEAST_SPREAD:
        return None
    weights = np.sqrt([each.readings for each in drawn])
    slope, idle = np.polyfit(shares, [each.watts for each in drawn], 1, w=weights)
    if idle <= 0 or slope < 0:
        return None
    power = Power(idle_watts=float(idle), peak_watts=float(idle + slope))
    return power if off_watts is None else power.model_copy(update={"off_watts": off_watts})
