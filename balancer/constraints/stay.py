"""Leave guests where they are.

host[vm] = host[vm] today      for every vm in the group
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.violation import Violation


class Stay(OfVms, Constraint):
    """Never move these guests; they are load that keeps its host awake."""

    example: ClassVar[str] = '{kind: stay, match: {pinned: "yes"}}'

    kind: Literal["stay"]

    def described(self) -> str:
        return f"stay {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        for name in self.guests(cluster):
            yield AllowedHosts(name, frozenset({cluster.vm(name).host}), self.price)

    @property
    def sight(self) -> Sight:
        return Sight.EACH_GUEST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, self.guests(cluster))

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is 1 for each guest that is on its way; where it once was, a cluster at rest cannot tell."""
        leaving = (cluster.vm(name) for name in names if cluster.vm(name).is_in_flight)
        return [
            self.broken(f"vm:{vm.name}", 1.0, f"{vm.name} is being moved to {vm.moving_to}", (vm.name,))
            for vm in leaving
        ]

    def cost(self, now: Cluster, later: Cluster) -> float:
        if self.hard:
            return 0.0
        return self.weight * sum(later.vm(name).host != now.vm(name).host for name in self.guests(now))

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster)
