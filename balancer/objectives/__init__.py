"""One file a wish. Each is a share of the whole cluster, so that weights mean the same at any size.

J = w_even * E + w_power * P + w_moves * M
"""

from __future__ import annotations

from balancer.objectives.base import Objective
from balancer.objectives.even_load import EvenLoad
from balancer.objectives.few_moves import FewMoves
from balancer.objectives.least_power import LeastPower

KINDS: tuple[type[Objective], ...] = (EvenLoad, LeastPower, FewMoves)

__all__ = ["KINDS", "EvenLoad", "FewMoves", "LeastPower", "Objective"]
