"""What is asked of the deciding half, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Placement
from balancer.domain.shapes import Cost, Shape

LEAST_SHAKES = 5


@dataclass(frozen=True)
class Effort:
    """How hard to think, counted in work rather than in seconds: a busy machine decides the same."""

    nodes: int = 2000  # branch and bound over all models, shared out by what a node of each costs
    iterations: int = 200_000  # relocations made and swaps tried by the search, over all its starts
    restarts: int = 200  # times that the search shakes its best placement and descends again
    shaken: int = 2_000_000  # guests times hosts, over all shakes: a large cluster's cost more and gain less
    is_brief: bool = False  # whether each thing is tried in one way alone, as in a pod among many
    exact_binaries: int = 2000  # size up to which the assignment is modelled guest by guest
    exact_rounds: int = 6  # times that the exact model is refined at its own answer

    def shakes(self, guests: int, hosts: int) -> int:
        """For a cluster of this size."""
        return min(self.restarts, max(LEAST_SHAKES, self.shaken // max(1, guests * hosts)))

    @property
    def flow_nodes(self) -> int:
        """For one run of the aggregate model: it mostly ends at its root, and dwells on ties where it does not."""
        return self.nodes // 8

    @property
    def exact_nodes(self) -> int:
        """For all rounds of the exact model."""
        return self.nodes * 3 // 10


@dataclass(frozen=True)
class Problem:
    """A cluster, what is promised and wished for it, and what may be touched.

    may_move:  guests that may be moved at all; those in flight or in doubt are left alone even when named
    may_sleep: hosts that are on and may be switched off, once every guest defined there has left
    may_wake:  hosts that are asleep and may be switched on
    """

    cluster: Cluster
    shapes: tuple[Shape, ...] = ()
    costs: tuple[Cost, ...] = ()
    may_move: frozenset[str] = frozenset()
    may_sleep: frozenset[str] = frozenset()
    may_wake: frozenset[str] = frozenset()
    max_moves: int | None = None
    max_mib: float | None = None
    seed: int = 1
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True)
class Decision:
    """The placement that is wanted, and how good it is.

    bound: no placement within the budget that adds to no broken promise costs less; None where nothing is proven
    gap:   share of the achievable that is left, 0 is perfect; None where there is no bound to compare with
    cut_short: whether a model took too long and was killed, so that more might have been found or proven
    """

    placement: Placement
    objective_now: float
    objective: float
    bound: float | None
    excess_now: float
    excess: float
    proved_optimal: bool
    gap: float | None
    nodes: int = 0
    iterations: int = 0
    cut_short: bool = False
