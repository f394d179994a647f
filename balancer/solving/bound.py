"""What counts as proven.

The bound holds for every placement within the budget that adds to no broken promise. Where today breaks promises, a
placement that mends them may cost more than the best that does not: then the bound is still a bound, but nothing is
optimal by it.
"""

from __future__ import annotations

from balancer.solving.score import Score

SAME = 1e-6  # J is a share of the cluster: smaller differences are the solver's rounding
PROVEN_WITHIN = 1e-4  # of J: the gap at which solvers, too, stop by default


def is_proved(found: Score, now: Score, bound: float | None) -> bool:
    """Whether nothing legal is better by more than what nobody would notice."""
    if bound is None or not now.breaks_nothing:
        return False
    return found.cost - bound <= SAME + PROVEN_WITHIN * abs(found.cost)


def norm_gap(found: Score, now: Score, bound: float | None) -> float | None:
    """Return the share of the achievable that is left: 0 is perfect, 1 no better than staying put."""
    if bound is None:
        return None
    left = max(0.0, found.cost - bound)
    if now.breaks_nothing and now.cost - bound > SAME:
        return left / (now.cost - bound)
    return left / bound if bound > SAME else None
