"""Move guests only where they can run.

why_cannot_run(vm, host) = ""      for every host but its own: CPU, networks, storage
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from balancer.constraints.base import Constraint, Sight
from balancer.domain.cluster import Cluster
from balancer.domain.reach import islands, reach_of, why_cannot_run
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.violation import Violation
from balancer.domain.vm import CpuMode


class Reach(Constraint):
    """Take a guest only to hosts with a CPU that it can run on, and with its networks and storage.

    It is in force always and stands in no policy: what it promises is physics.
    """

    example: ClassVar[str] = ""

    kind: Literal["reach"] = "reach"

    def described(self) -> str:
        return "reach"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        names = frozenset(cluster.host_by_name)
        for vm, hosts in reach_of(cluster.vms, cluster.hosts):
            if len(hosts) < len(names):
                yield AllowedHosts(vm.name, hosts)

    @property
    def sight(self) -> Sight:
        return Sight.EACH_GUEST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return cluster.vm_names

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, sorted(cluster.in_flight))

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is 1 for each guest that is on its way to where it cannot run; where it is, it does run."""
        found = []
        for vm in (cluster.vm(name) for name in names if name in cluster.in_flight):
            why = why_cannot_run(vm, cluster.host(vm.host), cluster.host(vm.at_the_end))
            detail = f"{vm.name} cannot run on {vm.moving_to}: {why}"
            found += [self.broken(f"vm:{vm.name}", 1.0, detail, (vm.name,))] if why else []
        return found

    def remarks(self, cluster: Cluster) -> list[str]:
        """Say between which hosts guests may move that use their host's own CPU."""
        bound = [vm.name for vm in cluster.vms if vm.cpu_mode is not CpuMode.CUSTOM]
        found = islands(cluster.hosts)
        if not bound or len(found) < 2:
            return []
        groups = " | ".join(_shortly(sorted(island)) for island in found)
        return [f"{len(bound)} guests use their host's own CPU and move only between equal ones: {groups}"]


def _shortly(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
