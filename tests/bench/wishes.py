"""The weightings that are measured, each under a name."""

from __future__ import annotations

from dataclasses import dataclass

from balancer.policy import Policy
from balancer.policy.model import Effort
from tests.bench.clusters import BenchCase, policy_of
from tests.bench.rules import Weights

PAYBACK_MINUTES = 1e6  # that is: never mind


@dataclass(frozen=True)
class Wish:
    """A weighting that people know by a name, and how many moves it may take."""

    name: str
    weights: Weights
    most_moves: int | None = None
    iterations: int | None = None  # of the search, where not the usual

    def policy(self, case: BenchCase) -> Policy:
        """Return the policy that asks for this on a case, the case's rules kept.

        Whether sleep pays back its moves is a question of money, not of how good the answer is: it is not asked.
        """
        policy = policy_of(case, self.weights, self.most_moves)
        patient = policy.stability.model_copy(update={"payback_minutes": PAYBACK_MINUTES})
        brief = {} if self.iterations is None else {"effort": Effort(iterations=self.iterations)}
        return policy.model_copy(update={"stability": patient, **brief})


BALANCE = Wish("balance", Weights(even_load=1.0, least_power=0.0, few_moves=0.02))
BOTH = Wish("both", Weights(even_load=0.3, least_power=1.0, few_moves=0.02))
FEWEST = Wish("fewest", Weights(even_load=0.0, least_power=1.0, few_moves=0.02))
WISHES = (BALANCE, BOTH, FEWEST)

# What hbal stops at by default on 32 x 500 is 30 moves or some more.
THIRTY_MOVES = Wish("30 moves", BALANCE.weights, most_moves=30)
THIRTY_MOVES_BRIEFLY = Wish("30 moves, briefly", BALANCE.weights, most_moves=30, iterations=2000)

# For clusters that run out of memory before they run out of CPU: docs/benchmarks.md has it as a policy file. The budget
# is one move less than the fewest that `hbal -g1e-5` takes on seeds 1 to 5.
EVEN_MEMORY = Wish("even memory", Weights(1.0, 0.0, few_moves=0.035, cpu=1.0, memory=20.0), most_moves=83)
EVEN_MEMORY_30 = Wish("even memory, 30 moves", Weights(1.0, 0.0, few_moves=0.04, cpu=1.0, memory=5.0), most_moves=30)
