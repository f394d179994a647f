"""The weightings that are measured, each under a name."""

from __future__ import annotations

from dataclasses import dataclass

from balancer.policy import Policy
from tests.bench.clusters import BenchCase, policy_of
from tests.bench.rules import Weights


@dataclass(frozen=True)
class Wish:
    """A weighting that people know by a name, and how many moves it may take."""

    name: str
    weights: Weights
    most_moves: int | None = None

    def policy(self, case: BenchCase) -> Policy:
        """Return the policy that asks for this on a case, the case's rules kept."""
        return policy_of(case, self.weights, self.most_moves)


BALANCE = Wish("balance", Weights(even_load=1.0, least_power=0.0, few_moves=0.02))
BOTH = Wish("both", Weights(even_load=0.3, least_power=1.0, few_moves=0.02))
FEWEST = Wish("fewest", Weights(even_load=0.0, least_power=1.0, few_moves=0.02))
WISHES = (BALANCE, BOTH, FEWEST)

# What hbal stops at by default on 32 x 500 is 30 moves or some more.
THIRTY_MOVES = Wish("30 moves", BALANCE.weights, most_moves=30)
