"""Leave room on every host.

used[host, resource] + swing[host, resource] <= share[resource] * usable[host, resource]      for every host that is on

swing of CPU: what is kept free for guests that need more than expected at once, where demand is expected at a risk

With `fill_cpu` guests come to a host only up to that share, and one that is between the two is left as it is: needs
that go up and down by chance would otherwise move guests back and forth on hosts that are filled to the brim.

Beside CPU and memory this may be said of anything that the snapshot lists under `resources`; it then holds on the
hosts that list it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import unlisted
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, Resource
from balancer.domain.shapes import CapacityShare, Shape
from balancer.domain.value import Name, Share
from balancer.domain.violation import TOLERANCE, Unit, Violation


def largest_over(share: float) -> float:
    """Return how far a host can sensibly be over its share: until it is full, or by as much again where it may be."""
    return max(1.0 - share, 0.01) if share < 1.0 else share


class Headroom(Constraint):
    """Keep a part of every host free, so that a guest may grow and a migration may land."""

    example: ClassVar[str] = "headroom: {cpu: 0.90, memory: 0.95, resources: {network_mib_per_s: 0.8}}"
    unit: ClassVar[Unit] = Unit.SHARE

    kind: Literal["headroom"] = "headroom"
    cpu: Share = Field(default=0.90, description="share of the usable cores that may be in use")
    fill_cpu: Share | None = Field(
        default=None,
        description="guests come to a host only up to this share of its usable cores, and leave it above `cpu`; "
        "absent: the same as `cpu`",
        examples=[0.8],
    )
    memory: Share = Field(default=0.95, description="share of the usable memory that may be assigned")

    resources: dict[Name, Share] = Field(
        default={},
        description="the same for what else the snapshot lists under `resources`, by name",
        examples=[{"network_mib_per_s": 0.8}],
    )

    def described(self) -> str:
        return "headroom"

    @property
    def shares(self) -> tuple[tuple[Resource, float], ...]:
        return (CPU, self.cpu), (MEMORY, self.memory), *self.resources.items()

    def shares_on(self, host: Host) -> list[tuple[Resource, float]]:
        """Return what guests may use of a host: nobody knows how full one is of what it does not list."""
        listed = [(r, share) for r, share in self.shares if r not in self.resources or r in host.resources]
        return [(r, _left_by_swing(host, r, share)) for r, share in listed]

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        for host in cluster.hosts:
            for resource, share in self.shares_on(host):
                yield CapacityShare(host.name, resource, self._filled(cluster, host, resource, share), self.price)

    def _filled(self, cluster: Cluster, host: Host, resource: Resource, share: float) -> float:
        """Return how full a host may be made: as full as it is, where that is between `fill_cpu` and the promise."""
        usable = host.usable(resource)
        if resource != CPU or self.fill_cpu is None or usable <= 0:
            return share
        fill = min(share, _left_by_swing(host, resource, self.fill_cpu))
        today = cluster.used(host, resource) / usable if host.is_on else 0.0
        return fill if today > share + TOLERANCE else max(fill, min(today, share))

    @property
    def sight(self) -> Sight:
        return Sight.EACH_HOST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return cluster.host_by_name

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, cluster.host_by_name)

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is a share of the host's usable amount."""
        found = (
            self._over(cluster, host, resource, share)
            for host in map(cluster.host, names)
            if host.is_on
            for resource, share in self.shares_on(host)
        )
        return [violation for violation in found if violation is not None]

    def remarks(self, cluster: Cluster) -> list[str]:
        return unlisted(cluster, self.resources)

    def _over(self, cluster: Cluster, host: Host, resource: Resource, left: float) -> Violation | None:
        used, usable = cluster.used(host, resource), host.usable(resource)
        share = dict(self.shares)[resource]
        excess = (used - left * usable) / usable if usable > 0 else used
        if excess <= TOLERANCE:
            return None
        detail = (
            f"{host.name} would use {used / usable:.1%} of its {resource}"
            if usable
            else f"{host.name} has no {resource}"
        )
        kept = f" and keep {share - left:.1%} for what cannot be foreseen" if left < share else ""
        said = f"{detail}{kept}, the policy allows {share:.0%}"
        return self.broken(f"host:{host.name}/{resource}", excess, said, largest=largest_over(left))


def _left_by_swing(host: Host, resource: Resource, share: float) -> float:
    """Return the share that guests may use in sum, less what the host keeps free for them to swing."""
    usable = host.usable(resource)
    if resource != CPU or not host.swing_cores or usable <= 0:
        return share
    return max(0.0, share - host.swing_cores / usable)
