"""Keep guests off some hosts.

host[vm] not in hosts      for every vm in the group
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms, OnHosts
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.violation import Violation


class NotOn(OfVms, OnHosts, Constraint):
    """Let guests run anywhere but on these hosts."""

    example: ClassVar[str] = "{kind: not_on, vms: [a], hosts: [h7]}"

    kind: Literal["not_on"]

    def described(self) -> str:
        return f"not_on {self.said_hosts()} for {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        allowed = frozenset(host.name for host in cluster.hosts) - self.chosen_hosts(cluster)
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
        """Excess is 1 for each guest that is, or is going, where it must not be."""
        forbidden = self.chosen_hosts(cluster)
        found = []
        for vm in (cluster.vm(name) for name in names):
            inside = sorted({vm.host, vm.moving_to or vm.host} & forbidden)
            if inside:
                found.append(self.broken(f"vm:{vm.name}", 1.0, f"{vm.name} is on {', '.join(inside)}", (vm.name,)))
        return found

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster) + self.host_remarks(cluster)
