"""Let a group of guests take only so much of a group of hosts.

sum over vm in group on hosts of need[vm, resource] <= share[resource] * sum over hosts of usable[host, resource]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms, OnSomeHosts
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Resource
from balancer.domain.shapes import GroupLoad, Shape
from balancer.domain.value import Share
from balancer.domain.violation import TOLERANCE, Unit, Violation


class GroupShare(OfVms, OnSomeHosts, Constraint):
    """Keep a tenant, or any group of guests, from taking more than its part of a group of hosts."""

    example: ClassVar[str] = "{kind: group_share, match: {tenant: a}, hosts_match: {rack: r1}, memory: 0.5}"
    unit: ClassVar[Unit] = Unit.SHARE

    kind: Literal["group_share"]
    cpu: Share | None = Field(
        default=None, description="share of the cores of all these hosts, asleep or awake", examples=[0.5]
    )
    memory: Share | None = Field(default=None, description="share of their memory", examples=[0.5])

    @model_validator(mode="after")
    def _shares_something(self) -> Self:
        if not self.shares:
            raise ValueError("limits nothing: write `cpu: 0.5` or `memory: 0.5`")
        return self

    @property
    def shares(self) -> tuple[tuple[Resource, float], ...]:
        return tuple((r, share) for r, share in ((CPU, self.cpu), (MEMORY, self.memory)) if share is not None)

    def described(self) -> str:
        return f"share of {self.said_hosts()} for {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        members, hosts = frozenset(self.guests(cluster)), self.chosen_hosts(cluster)
        for resource, share in self.shares:
            whole = self._whole(cluster, hosts, resource)
            yield GroupLoad(members, hosts, resource, share * whole, whole, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.ITS_GUESTS

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is a share of what all these hosts have."""
        members, hosts = set(self.guests(cluster)), self.chosen_hosts(cluster)
        found = []
        for resource, share in self.shares:
            whole = self._whole(cluster, hosts, resource)
            inside = sorted({vm.name for name in hosts for vm in cluster.guests_of(name)} & members)
            ends = [({vm.host, vm.at_the_end} & hosts, vm) for vm in map(cluster.vm, inside)]
            taken = sum(len(here) * vm.need(resource) for here, vm in ends)
            excess = (taken - share * whole) / whole if whole > 0 else taken
            if excess > TOLERANCE:
                part = f"{taken / whole:.1%}" if whole > 0 else "more than there is"
                detail = f"{self.said_guests()} would take {part} of the {resource} of {self.said_hosts()}"
                subject = f"group:{self.said_hosts()}/{resource}"
                found.append(self.broken(subject, excess, f"{detail}, allowed are {share:.0%}", tuple(inside)))
        return found

    @staticmethod
    def _whole(cluster: Cluster, hosts: frozenset[str], resource: Resource) -> float:
        return sum(cluster.host(name).usable(resource) for name in sorted(hosts))

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster) + self.host_remarks(cluster)
