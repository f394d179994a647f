"""Give hosts to a group of guests alone.

host[vm] not in hosts      for every vm outside the group
host[vm] in hosts          for every vm in the group, unless `may_leave`
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms, OnHosts
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.value import Flag
from balancer.domain.violation import Violation


class Dedicated(OfVms, OnHosts, Constraint):
    """Keep hosts for one tenant, for a licence that counts cores or for guests that nobody may share a CPU with."""

    example: ClassVar[str] = "{kind: dedicated, match: {tenant: bank}, hosts_match: {rack: r7}}"

    kind: Literal["dedicated"]
    may_leave: Flag = Field(default=False, description="the group may also run elsewhere")

    def described(self) -> str:
        return f"{self.said_hosts()} dedicated to {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        members, hosts = set(self.guests(cluster)), self.chosen_hosts(cluster)
        others = frozenset(host.name for host in cluster.hosts) - hosts
        for vm in cluster.vms:
            if vm.name not in members:
                yield AllowedHosts(vm.name, others, self.price)
            elif not self.may_leave:
                yield AllowedHosts(vm.name, hosts, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.EACH_GUEST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return cluster.vm_names

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, cluster.vm_names)

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is 1 for each stranger on these hosts, and for each guest of the group that is elsewhere."""
        members, hosts = set(self.guests(cluster)), self.chosen_hosts(cluster)
        found = []
        for vm in map(cluster.vm, names):
            ends = {vm.host, vm.at_the_end}
            wrong = ends - hosts if vm.name in members else ends & hosts
            if wrong and not (vm.name in members and self.may_leave):
                what = "belongs elsewhere" if vm.name in members else "does not belong there"
                detail = f"{vm.name} is on {', '.join(sorted(wrong))} and {what}"
                found.append(self.broken(f"vm:{vm.name}", 1.0, detail, (vm.name,)))
        return found

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster) + self.host_remarks(cluster)
