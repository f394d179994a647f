"""Keep the members of a group apart.

sum over vm in group of on[vm, domain] <= at_most      for every host, rack, ... (`across`)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms
from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.shapes import AtMost, Shape
from balancer.domain.value import Name
from balancer.domain.violation import Violation


class Apart(OfVms, Constraint):
    """Keep the members of a group on different hosts, racks or whatever label hosts bear."""

    example: ClassVar[str] = "{kind: apart, name: db-apart, vms: [db1, db2], across: host}"

    kind: Literal["apart"]
    across: Name = Field(default="host", description="`host`, or any host label such as `rack`")
    at_most: Annotated[int, Field(strict=True, ge=1)] = Field(default=1, description="how many may share one of them")

    def described(self) -> str:
        return f"apart {self.said_guests()}" + ("" if self.across == "host" else f" across {self.across}")

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        members = frozenset(name for name in self.guests(cluster) if cluster.vm(name).is_active)
        if len(members) > self.at_most:
            for hosts in cluster.hosts_across(self.across):
                yield AtMost(members, hosts, self.at_most, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.ITS_GUESTS

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is the number of guests too many in one domain."""
        inside: dict[str, set[str]] = defaultdict(set)
        for vm in (cluster.vm(name) for name in self.guests(cluster)):
            if vm.is_active:
                for end in {vm.host, vm.moving_to or vm.host}:
                    inside[self._domain(cluster.host(end))].add(vm.name)
        crowded = {domain: sorted(vms) for domain, vms in sorted(inside.items()) if len(vms) > self.at_most}
        members = sum(cluster.vm(name).is_active for name in self.guests(cluster))
        return [
            self.broken(
                f"{self.across}:{domain}",
                len(vms) - self.at_most,
                self._said(domain, vms),
                tuple(vms),
                largest=max(1, members - self.at_most),
            )
            for domain, vms in crowded.items()
        ]

    def _said(self, domain: str, vms: list[str]) -> str:
        allowed = "no two" if self.at_most == 1 else f"at most {self.at_most}"
        return f"{', '.join(vms)} share {self.across} {domain}, {allowed} may"

    def _domain(self, host: Host) -> str:
        # Hosts of which nobody said the rack may well share one.
        return host.label(self.across) or "(unlabelled)"

    def remarks(self, cluster: Cluster) -> list[str]:
        bare = [host.name for host in cluster.hosts if host.label(self.across) is None]
        unlabelled = [f"hosts without the label {self.across} count as one domain: {', '.join(bare)}"] if bare else []
        return self.guest_remarks(cluster) + unlabelled
