"""Load hosts evenly.

    E = 1/2 * sum over resources r of c_r * sum over hosts h that are on of (C_hr / C_r) * (used_hr / C_hr)^2

C_hr is what is usable on a host, C_r its sum over the hosts that are not under maintenance. Convex, and least when all
hosts are equally full *for a given set of hosts that are on*; it grows as capacity is switched off. Beside CPU and
memory r may be anything that the snapshot lists under `resources`: a guest that reports none of it uses none, and a
host that has none of it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

from pydantic import Field, model_validator

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, HostState, Resource
from balancer.domain.shapes import Cost, LoadCurve
from balancer.domain.value import Amount, Name
from balancer.objectives.base import Objective


class EvenLoad(Objective):
    """Prefer placements in which all hosts that are on are about equally full."""

    kind: ClassVar[str] = "even_load"
    example: ClassVar[str] = "even_load: {weight: 1.0, cpu: 1.0, memory: 1.0, resources: {network_mib_per_s: 0.5}}"

    cpu: Amount = Field(default=1.0, description="how much evenness of CPU counts")
    memory: Amount = Field(default=1.0, description="how much evenness of memory counts")

    resources: dict[Name, Amount] = Field(
        default={},
        description="how much evenness of what else the snapshot lists under `resources` counts, by name",
        examples=[{"network_mib_per_s": 0.5}],
    )

    @model_validator(mode="after")
    def _nothing_is_said_twice(self) -> Self:
        twice = self.resources.keys() & {CPU, MEMORY}
        if twice:
            raise ValueError(f"lists {min(twice)} under `resources`; write `{min(twice)}: 1.0` beside it instead")
        return self

    @property
    def weights(self) -> tuple[tuple[Resource, float], ...]:
        return (CPU, self.cpu), (MEMORY, self.memory), *self.resources.items()

    def lower(self, now: Cluster) -> Iterator[Cost]:
        for resource, weight in self.weights:
            total = usable_in_all(now, resource)
            if total <= 0 or weight * self.weight <= 0:
                continue
            for host in now.hosts:
                yield LoadCurve(host.name, resource, 0.5 * self.weight * weight * host.usable(resource) / total)

    def share(self, now: Cluster, later: Cluster) -> float:
        return 0.5 * sum(weight * _mean_square(now, later, resource) for resource, weight in self.weights)


def usable_in_all(cluster: Cluster, resource: Resource) -> float:
    """Return what the hosts that are not under maintenance could give, asleep or awake."""
    return sum(host.usable(resource) for host in cluster.hosts if host.state is not HostState.MAINTENANCE)


def _mean_square(now: Cluster, later: Cluster, resource: Resource) -> float:
    total = usable_in_all(now, resource)
    if total <= 0:
        return 0.0
    loaded = ((host, host.usable(resource)) for host in later.hosts if host.is_on)
    return sum(later.used(host, resource) ** 2 / usable for host, usable in loaded if usable > 0) / total
