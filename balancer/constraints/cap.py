"""Fill some hosts less than the others.

used[host, resource] <= share[resource] * usable[host, resource]                       each: host
sum over hosts of used <= share[resource] * sum over hosts of usable                   each: group
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.headroom import largest_over
from balancer.constraints.selectors import OnHosts, unlisted
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Resource
from balancer.domain.shapes import CapacityShare, GroupLoad, Shape
from balancer.domain.value import Share
from balancer.domain.violation import TOLERANCE, Unit, Violation


class Cap(OnHosts, Constraint):
    """Keep more room on some hosts, or in a group of hosts taken together, than headroom asks of all."""

    example: ClassVar[str] = "{kind: cap, hosts_match: {rack: r1}, cpu: 0.7, memory: 0.8}"
    unit: ClassVar[Unit] = Unit.SHARE

    kind: Literal["cap"]
    cpu: Share | None = Field(default=None, description="share of the usable cores that may be in use", examples=[0.7])
    memory: Share | None = Field(
        default=None, description="share of the usable memory that may be assigned", examples=[0.8]
    )
    resources: dict[str, Share] = Field(default={}, description="the same for resources of the site's own")
    each: Literal["host", "group"] = Field(default="host", description="`group`: the hosts taken together")

    @model_validator(mode="after")
    def _caps_something(self) -> Self:
        if not self.shares:
            raise ValueError("caps nothing: write `cpu: 0.7`, `memory: 0.8` or `resources: {network: 0.5}`")
        return self

    @property
    def shares(self) -> tuple[tuple[Resource, float], ...]:
        stated = ((CPU, self.cpu), (MEMORY, self.memory), *self.resources.items())
        return tuple((resource, share) for resource, share in stated if share is not None)

    def described(self) -> str:
        return f"cap on {self.said_hosts()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        hosts = self.chosen_hosts(cluster)
        for resource, share in self.shares:
            if self.each == "group":
                whole = sum(cluster.host(name).usable(resource) for name in hosts)
                yield GroupLoad(None, hosts, resource, share * whole, whole, self.price)
                continue
            for name in sorted(hosts):
                yield CapacityShare(name, resource, share, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.EVERYTHING if self.each == "group" else Sight.EACH_HOST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.chosen_hosts(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, sorted(self.chosen_hosts(cluster)))

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is a share of what is usable on the host, or on the hosts together."""
        hosts = list(names)
        groups = [hosts] if self.each == "group" else [[name] for name in hosts]
        found = [self._over(cluster, group, *share) for group in groups for share in self.shares]
        return [violation for violation in found if violation is not None]

    def _over(self, cluster: Cluster, names: list[str], resource: Resource, share: float) -> Violation | None:
        hosts = [cluster.host(name) for name in names]
        # What is asleep carries nothing; that it could is no reason to fill the others more.
        used = sum(cluster.used(host, resource) for host in hosts if host.is_on)
        usable = sum(host.usable(resource) for host in hosts)
        excess = (used - share * usable) / usable if usable > 0 else used
        if excess <= TOLERANCE:
            return None
        where = names[0] if self.each == "host" else f"the hosts of {self.said_hosts()} together"
        subject = f"host:{names[0]}/{resource}" if self.each == "host" else f"group:{self.said_hosts()}/{resource}"
        said = f"{where} would use {used / usable:.1%} of {resource}" if usable > 0 else f"{where} has no {resource}"
        largest = largest_over(share) if self.each == "host" else 1.0
        return self.broken(subject, excess, f"{said}, allowed are {share:.0%}", largest=largest)

    def remarks(self, cluster: Cluster) -> list[str]:
        return [*self.host_remarks(cluster), *unlisted(cluster, self.resources)]
