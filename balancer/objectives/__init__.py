"""One file a wish. Each is a share of the whole cluster, so that weights mean the same at any size.

J = w_even * E + w_power * P + w_wait * W + w_moves * M
"""

from __future__ import annotations

from balancer.objectives.base import Objective
from balancer.objectives.even_load import EvenLoad
from balancer.objectives.few_moves import FewMoves
from balancer.objectives.least_power import LeastPower
from balancer.objectives.little_wait import LittleWait

KINDS: tuple[type[Objective], ...] = (EvenLoad, LeastPower, LittleWait, FewMoves)

__all__ = ["KINDS", "EvenLoad", "FewMoves", "LeastPower", "LittleWait", "Objective"]
