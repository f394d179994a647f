"""What every wish can do: be lowered to the solver's cost shapes, and score a cluster; the two agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from balancer.domain.cluster import Cluster
from balancer.domain.shapes import Cost
from balancer.domain.value import Amount, Value


class Objective(Value):
    """A wish with a weight; a weight of 0 is no wish."""

    kind: ClassVar[str]
    example: ClassVar[str]

    weight: Amount = Field(default=0.0, description="how much this share counts against the others")

    def lower(self, now: Cluster) -> Iterator[Cost]:
        """Say the wish, with its weight, in the cost shapes that the solver knows."""
        raise NotImplementedError

    def share(self, now: Cluster, later: Cluster) -> float:
        """Return the unweighted share, 0 at best, that `later` scores when it is reached from `now`."""
        raise NotImplementedError

    def score(self, now: Cluster, later: Cluster) -> float:
        """Return the weighted share."""
        return self.weight * self.share(now, later) if self.weight else 0.0
