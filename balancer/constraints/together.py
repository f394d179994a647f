"""Keep the members of a group on one host.

host[vm] = host[other]      for every pair in the group, at rest
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms
from balancer.domain import shapes
from balancer.domain.cluster import Cluster
from balancer.domain.violation import Unit, Violation


class Together(OfVms, Constraint):
    """Keep the members of a group on one host; they may part only while they are on their way."""

    example: ClassVar[str] = "{kind: together, vms: [web1, cache1]}"
    unit: ClassVar[Unit] = Unit.HOSTS

    kind: Literal["together"]
    at_rest: ClassVar[bool] = True

    def described(self) -> str:
        return f"together {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[shapes.Shape]:
        members = self._active(cluster)
        if len(members) > 1:
            yield shapes.Together(frozenset(members), self.price)

    @property
    def sight(self) -> Sight:
        return Sight.ITS_GUESTS

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is the number of hosts too many."""
        members = self._active(cluster)
        homes = sorted({cluster.vm(name).moving_to or cluster.vm(name).host for name in members})
        if len(homes) < 2:
            return []
        detail = f"{', '.join(members)} are on {', '.join(homes)}"
        return [self.broken(f"group:{members[0]}", len(homes) - 1, detail, members, largest=len(members) - 1)]

    def _active(self, cluster: Cluster) -> tuple[str, ...]:
        return tuple(name for name in self.guests(cluster) if cluster.vm(name).is_active)

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster)
