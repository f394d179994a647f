"""A promise that does not hold, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from balancer.domain.units import count_of

TOLERANCE = 1e-6  # of a share or a count: below this a difference is rounding, not a fault
MANY_TIMES = 10.0  # of what is usable: a host with nothing usable is over by an amount, not by a share


class Unit(StrEnum):
    """What an excess is counted in."""

    GUESTS = "guests"
    HOSTS = "hosts"
    SHARE = "share"

    def said(self, amount: float) -> str:
        """Say an amount: `2 guests`, `12.5% of what is usable`."""
        if self is Unit.SHARE:
            return f"{amount:.1%} of what is usable" if amount < MANY_TIMES else "far more than there is"
        return count_of(round(amount), self.value.removesuffix("s"))


@dataclass(frozen=True)
class Violation:
    """One promise broken at one place. `excess` compares with other excesses of the same promise and subject only.

    promise: how the policy knows it, e.g. `headroom` or the constraint's name
    subject: `host:h1`, `vm:db1`, or a domain such as `rack:r1`
    excess:  > 0; a share of the host for capacity, a number of guests or hosts for everything else
    """

    promise: str
    subject: str
    excess: float
    detail: str
    hard: bool = True
    cost: float = 0.0  # what a wish that is not kept adds to J; a promise has no price
    involves: tuple[str, ...] = ()  # the guests whose moves could mend it
    at_rest_only: bool = False  # such a promise (together, reserve) may be broken while guests are on their way
    unit: Unit = Unit.GUESTS

    @property
    def key(self) -> tuple[str, str]:
        return self.promise, self.subject

    def __str__(self) -> str:
        return f"{self.promise}: {self.detail}"


def hard_excess(violations: Iterable[Violation]) -> float:
    """Return how far the hard promises are broken in sum; placements compare by it before anything else."""
    return sum(v.excess for v in violations if v.hard)


def soft_cost(violations: Iterable[Violation]) -> float:
    """Return what the wishes that are not kept add to J."""
    return sum(v.cost for v in violations if not v.hard)


def worsened(before: Iterable[Violation], after: Iterable[Violation]) -> list[Violation]:
    """Return the hard violations that are new or greater than before; easing an old fault is welcome."""
    return beyond(allowed_by(before), after)


def allowed_by(before: Iterable[Violation]) -> Mapping[tuple[str, str], float]:
    """Return how far each promise is broken at each place, which is as far as a plan may leave it broken."""
    allowed: dict[tuple[str, str], float] = {}
    for violation in before:
        allowed[violation.key] = allowed.get(violation.key, 0.0) + violation.excess
    return allowed


def beyond(allowed: Mapping[tuple[str, str], float], after: Iterable[Violation]) -> list[Violation]:
    """Return the hard violations that are greater than what is allowed."""
    return [v for v in after if v.hard and v.excess > allowed.get(v.key, 0.0) + TOLERANCE]
