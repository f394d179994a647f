"""Where guests are wanted and which hosts are wanted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from balancer.domain.cluster import Cluster


@dataclass(frozen=True, order=True)
class Move:
    """A guest goes from a host to another."""

    vm: str
    source: str
    target: str


@dataclass(frozen=True)
class Placement:
    """For each guest its host, and the hosts that are to be on; a guest not named stays where it is."""

    homes: Mapping[str, str]
    on: frozenset[str]

    @classmethod
    def of(cls, cluster: Cluster) -> Placement:
        """Return the placement that a cluster has today; a guest in flight is where it goes."""
        homes = {vm.name: vm.moving_to or vm.host for vm in cluster.vms}
        return cls(homes, frozenset(host.name for host in cluster.hosts if host.is_on))

    def moves_from(self, cluster: Cluster) -> tuple[Move, ...]:
        """Return the moves that lead here from a cluster, in its order of guests."""
        return tuple(
            Move(vm.name, vm.host, self.homes[vm.name])
            for vm in cluster.vms
            if not vm.is_in_flight and self.homes.get(vm.name, vm.host) != vm.host
        )

    def applied_to(self, cluster: Cluster) -> Cluster:
        """Return the cluster as it will be once it has this placement."""
        from balancer.domain.host import HostState

        later = cluster.after(*self.moves_from(cluster))
        woken = [h.name for h in cluster.hosts if not h.is_on and h.name in self.on]
        asleep = [h.name for h in cluster.hosts if h.is_on and h.name not in self.on]
        later = later.with_hosts(HostState.UP, *woken) if woken else later
        return later.with_hosts(HostState.STANDBY, *asleep) if asleep else later
