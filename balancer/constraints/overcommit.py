"""Promise no more than so many times what a host has.

sum over vm on host of vcpus[vm]  <= vcpus * usable_cores[host]        whatever they use
sum over vm on host of memory[vm] <= memory * usable_memory[host]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.headroom import largest_over
from balancer.constraints.selectors import OnSomeHosts
from balancer.domain.cluster import Cluster
from balancer.domain.host import MEMORY, VCPUS, Host, Resource
from balancer.domain.shapes import CapacityShare, Shape
from balancer.domain.violation import TOLERANCE, Unit, Violation

Times = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Overcommit(OnSomeHosts, Constraint):
    """Balance on use, and still never promise guests more vCPUs or memory than a host can stand behind."""

    example: ClassVar[str] = "{kind: overcommit, vcpus: 4.0, memory: 1.0}"
    unit: ClassVar[Unit] = Unit.SHARE

    kind: Literal["overcommit"]
    vcpus: Times | None = Field(
        default=None, description="vCPUs promised for each usable core, as in 4.0", examples=[4.0]
    )
    memory: Times | None = Field(
        default=None, description="memory assigned for each MiB that is usable, as in 1.0", examples=[1.0]
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.ratios:
            raise ValueError("limits nothing: write `vcpus: 4.0` or `memory: 1.0`")
        return self

    @property
    def ratios(self) -> tuple[tuple[Resource, float], ...]:
        return tuple((r, ratio) for r, ratio in ((VCPUS, self.vcpus), (MEMORY, self.memory)) if ratio is not None)

    def described(self) -> str:
        return f"overcommit on {self.said_hosts()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        for name in sorted(self.chosen_hosts(cluster)):
            for resource, ratio in self.ratios:
                yield CapacityShare(name, resource, ratio, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.EACH_HOST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.chosen_hosts(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, sorted(self.chosen_hosts(cluster)))

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is a share of what is usable."""
        hosts = map(cluster.host, names)
        found = (self._over(cluster, host, *ratio) for host in hosts if host.is_on for ratio in self.ratios)
        return [violation for violation in found if violation is not None]

    def _over(self, cluster: Cluster, host: Host, resource: Resource, ratio: float) -> Violation | None:
        promised, usable = cluster.used(host, resource), host.usable(resource)
        excess = promised / usable - ratio if usable > 0 else promised
        if excess <= TOLERANCE:
            return None
        times = f"{promised / usable:.2f} times" if usable > 0 else "more than"
        detail = f"{host.name} would promise {times} its {'cores' if resource == VCPUS else 'memory'}"
        said = f"{detail}, allowed are {ratio:g}"
        return self.broken(f"host:{host.name}/{resource}", excess, said, largest=largest_over(ratio))

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.host_remarks(cluster)
