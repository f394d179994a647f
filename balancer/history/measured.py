"""What of a cluster was measured, and may therefore be remembered."""

from __future__ import annotations

from collections.abc import Iterator

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.vm import Vm


def measured_guests(cluster: Cluster) -> Iterator[Vm]:
    """Yield the guests whose numbers are of now.

    A host that does not answer keeps the guests last seen there, numbers and all: recording those again would turn one
    quiet moment into an hour of idleness. A doubt therefore leaves a gap.
    """
    frozen_hosts = {host.name for host in cluster.hosts if cluster.is_doubted(host)}
    for vm in cluster.vms:
        if vm.is_active and vm.host not in frozen_hosts and f"vm:{vm.name}" not in cluster.doubted:
            yield vm


def measured_hosts(cluster: Cluster) -> Iterator[Host]:
    """Yield the hosts that are on and whose numbers are of now."""
    return (host for host in cluster.hosts if host.is_on and not cluster.is_doubted(host))
