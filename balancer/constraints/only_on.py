"""Keep guests on some hosts.

host[vm] in hosts      for every vm in the group
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms, OnHosts
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.violation import Violation


class OnlyOn(OfVms, OnHosts, Constraint):
    """Let guests run on these hosts alone, for licences, hardware or law."""

    example: ClassVar[str] = "{kind: only_on, match: {licence: oracle}, hosts_match: {rack: r1}}"

    kind: Literal["only_on"]

    def described(self) -> str:
        return f"only_on {self.said_hosts()} for {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        allowed = self.chosen_hosts(cluster)
        for name in self.guests(cluster):
            yield AllowedHosts(name, allowed, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.EACH_GUEST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, self.guests(cluster))

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is 1 for each guest that is, or is going, elsewhere."""
        allowed = self.chosen_hosts(cluster)
        found = []
        for vm in (cluster.vm(name) for name in names):
            outside = sorted({vm.host, vm.moving_to or vm.host} - allowed)
            if outside:
                found.append(self.broken(f"vm:{vm.name}", 1.0, f"{vm.name} is on {', '.join(outside)}", (vm.name,)))
        return found

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster) + self.host_remarks(cluster)
