"""Pay for few licences: keep guests on few hosts.

number of hosts that carry a guest of the group <= at_most         where `at_most` is said
cost = weight * (that number - 1) / (guests of the group - 1)      as a wish (`hard: false`)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from balancer.constraints.base import Constraint, Sight
from balancer.constraints.selectors import OfVms
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import HostsTouched, Shape
from balancer.domain.violation import Unit, Violation


class Licence(OfVms, Constraint):
    """Keep guests whose licence is paid for by the host on as few hosts as possible, or on at most so many."""

    example: ClassVar[str] = "{kind: licence, match: {licence: oracle}, at_most: 2}"
    unit: ClassVar[Unit] = Unit.HOSTS

    kind: Literal["licence"]
    at_most: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None,
        description="hosts that are paid for; absent, with `hard: false`: as few as possible",
        examples=[2],
    )

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.hard and self.at_most is None:
            raise ValueError("says neither `at_most: 2` (a promise) nor `hard: false` (as few hosts as possible)")
        return self

    def described(self) -> str:
        return f"licence for {self.said_guests()}" + (f" on at most {self.at_most} hosts" if self.at_most else "")

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        members = self._active(cluster)
        if members:
            # Even a single guest: on its way it needs both ends paid for.
            yield HostsTouched(frozenset(members), self.at_most or 1, self.price)

    @property
    def sight(self) -> Sight:
        return Sight.ITS_GUESTS

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        return self.guests(cluster)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is the number of hosts too many; a guest in flight needs both ends paid for."""
        members, limit = self._active(cluster), self.at_most or 1
        homes = sorted({end for vm in map(cluster.vm, members) for end in (vm.host, vm.at_the_end)})
        if len(homes) <= limit:
            return []
        detail = f"{self.said_guests()} need a licence on {', '.join(homes)}, {limit} would do"
        largest = max(1, len(members) - limit)
        return [self.broken(f"group:{self.said_guests()}", len(homes) - limit, detail, members, largest)]

    def _active(self, cluster: Cluster) -> tuple[str, ...]:
        return tuple(name for name in self.guests(cluster) if cluster.vm(name).is_active)

    def remarks(self, cluster: Cluster) -> list[str]:
        return self.guest_remarks(cluster)
