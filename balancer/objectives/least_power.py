"""Keep few hosts on, the hungriest first to go.

    P = idle watts of the hosts that are on / idle watts of all hosts

A host that is on and empty counts. Where nobody gave watts each host weighs 1; a host without them among others that
have them weighs their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from balancer.domain.cluster import Cluster
from balancer.domain.shapes import Cost, HostOn
from balancer.objectives.base import Objective


class LeastPower(Objective):
    """Prefer placements that need fewer watts of idle power."""

    kind: ClassVar[str] = "least_power"
    example: ClassVar[str] = "least_power: {weight: 0.3}"

    def lower(self, now: Cluster) -> Iterator[Cost]:
        if self.weight > 0:
            for host, share in _shares(now).items():
                yield HostOn(host, self.weight * share)

    def share(self, now: Cluster, later: Cluster) -> float:
        shares = _shares(now)
        return sum(shares[host.name] for host in later.hosts if host.is_on)


def _shares(cluster: Cluster) -> Mapping[str, float]:
    known = [host.idle_watts for host in cluster.hosts if host.power is not None]
    unknown = sum(known) / len(known) if known else 1.0
    watts = {host.name: unknown if host.power is None else host.idle_watts for host in cluster.hosts}
    total = sum(watts.values())
    return {name: value / total if total > 0 else 0.0 for name, value in watts.items()}
