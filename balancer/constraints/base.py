"""What every promise can do: be lowered to the solver's shapes, and check a cluster with no thought of a solver."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from balancer.constraints.when import When
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import Shape
from balancer.domain.value import Amount, Flag, Value
from balancer.domain.violation import Unit, Violation, soft_cost


class Sight(StrEnum):
    """What the checker of a promise looks at, so that what did not change need not be looked at again."""

    EVERYTHING = "everything"
    ITS_GUESTS = "its guests"  # where they are, all of them together
    EACH_GUEST = "each guest"  # where one of them is, whatever the others do
    EACH_HOST = "each host"  # one host and what it carries, whatever the others do


class Constraint(Value):
    """A promise. Its file opens with what it promises and the formula, and carries an example for the policy."""

    example: ClassVar[str]
    """A line of YAML that works, for the reference and for editors."""

    at_rest: ClassVar[bool] = False
    """Whether it speaks of guests at rest alone, and may be broken while they are on their way."""

    unit: ClassVar[Unit] = Unit.GUESTS
    """What its excess is counted in."""

    name: str | None = Field(
        default=None,
        description="how reports call it, and policies that extend this one; otherwise its kind and members",
        examples=["db-apart"],
    )
    hard: Flag = Field(default=True, description="false: a wish with a weight, not a promise")
    weight: Amount = Field(
        default=1.0, description="with `hard: false`: cost of breaking it as far as it can be broken"
    )
    when: When | None = Field(
        default=None,
        description="a window of the policy, or {not: WINDOW}: in force only then",
        examples=["night", {"not": "night"}],
    )

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        """Say the promise in the shapes that the solver knows."""
        raise NotImplementedError

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Return where a cluster breaks the promise; guests in flight count at both ends."""
        raise NotImplementedError

    @property
    def sight(self) -> Sight:
        """What its checker looks at; what is said here has to be true, for proofs rely on it."""
        return Sight.EVERYTHING

    def looked_at(self, cluster: Cluster) -> Collection[str]:
        """Return the names of the guests, or of the hosts, that its checker looks at."""
        raise NotImplementedError

    def violations_at(self, cluster: Cluster, names: Iterable[str]) -> list[Violation]:
        """Return what its checker finds at some of the guests, or hosts, each of which it looks at by itself."""
        raise NotImplementedError

    def cost(self, now: Cluster, later: Cluster) -> float:
        """Return what it adds to J, as a wish, when `later` is reached from `now`; a promise adds nothing."""
        return 0.0 if self.hard else soft_cost(self.violations(later))

    def remarks(self, cluster: Cluster) -> list[str]:
        """Return what its author should know about it on this cluster, such as a selector that matches nothing."""
        return []

    @property
    def promise(self) -> str:
        """How reports call it."""
        return self.name or self.described()

    def described(self) -> str:
        """Say it shortly, e.g. `apart db1, db2`."""
        raise NotImplementedError

    @property
    def price(self) -> float | None:
        """None for a promise; the weight of a wish."""
        return None if self.hard else self.weight

    def broken(
        self, subject: str, excess: float, detail: str, involves: tuple[str, ...] = (), largest: float = 1.0
    ) -> Violation:
        """Return a violation of this promise; `largest` is the excess that costs a wish its whole weight."""
        cost = 0.0 if self.hard else self.weight * excess / largest
        return Violation(self.promise, subject, excess, detail, self.hard, cost, involves, self.at_rest, self.unit)
