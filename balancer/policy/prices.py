"""How much more or less than usual a watt-hour costs, where a schedule says what a kWh costs when.

    least_power weighs         weight * mean cost in the coming `demand.horizon_minutes` / usual cost
    a power cycle has to pay   within payback_minutes * mean cost within them / cost now

The usual cost is that of `energy` outside of the schedule: weights are meant for it. So a dear hour is worth more
moves, and a cheap one fewer; a price that is always the same changes nothing. A cycle is paid for now, and saves at the
prices to come: before a dear morning it pays sooner, before a cheap night later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import fmean

STEP_MINUTES = 5.0
A_DAY_IN_MINUTES = 1440.0  # prices further away are not looked at: nothing is planned beyond
DIGITS = 9  # so that a price that is always the same changes nothing at all


def mean_cost(cost_at: Callable[[datetime], float], since: datetime, minutes: float) -> float:
    """Return what a kWh costs on average in the coming minutes, looked at every five of them."""
    steps = max(1, round(min(minutes, A_DAY_IN_MINUTES) / STEP_MINUTES))
    return fmean(cost_at(since + timedelta(minutes=step * STEP_MINUTES)) for step in range(steps))


def weighed(cost_at: Callable[[datetime], float], usual: float, since: datetime, minutes: float) -> float:
    """Return how much a watt counts against what it usually does; 1 where nobody knows what it usually costs."""
    return round(mean_cost(cost_at, since, minutes) / usual, DIGITS) if usual > 0 else 1.0


def payback_minutes(cost_at: Callable[[datetime], float], since: datetime, minutes: float) -> float:
    """Return how soon a cycle has to pay at the present price, so that it pays within `minutes` at the prices to come.

    What costs nothing now pays whenever that is; within a day, it is said.
    """
    now, then = cost_at(since), mean_cost(cost_at, since, minutes)
    longest = max(minutes, A_DAY_IN_MINUTES)
    return min(longest, minutes * round(then / now, DIGITS)) if now > 0 else longest
