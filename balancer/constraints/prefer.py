"""Like guests to be on some hosts.

cost = weight * guests of the group that are elsewhere
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms, OnHosts
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.value import Flag
from balancer.domain.violation import Violation


class Prefer(OfVms, OnHosts, Constraint):
    """Draw guests to hosts that suit them, as far as nothing more important speaks against it."""

    example: ClassVar[str] = "{kind: prefer, match: {tier: db}, hosts_match: {disk: nvme}, weight: 0.05}"

    kind: Literal["prefer"]
    hard: Flag = Field(default=False, description="a preference is a wish; `only_on` is the promise")

    @field_validator("hard")
    @classmethod
    def _is_a_wish(cls, hard: bool) -> bool:
        if hard:
            raise ValueError("is a wish and cannot be hard: write `kind: only_on` for a promise")
        return hard

    def described(self) -> str:
        return f"prefer {self.said_hosts()} for {self.said_guests()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        liked = self.chosen_hosts(cluster)
        for name in self.guests(cluster):
            yield AllowedHosts(name, liked, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.EACH_GUEST

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        return self.violations_at(cluster, self.guests(cluster))

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Excess is 1 for each guest that is elsewhere."""
        liked = self.chosen_hosts(cluster)
        elsewhere = (vm for name in names if (vm := cluster.vm(name)).at_the_end not in liked)
        return [
            self.broken(f"vm:{vm.name}", 1.0, f"{vm.name} would rather be on {self.said_hosts()}", (vm.name,))
            for vm in elsewhere
        ]

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster) + self.host_remarks(cluster)
