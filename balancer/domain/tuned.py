"""What a search over a policy's dials found (`balancer.tuned/1`): the points tried, their front, and the one chosen."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import Field

from balancer.domain.plan import PolicyMark
from balancer.domain.rehearsed import Rehearsed
from balancer.domain.value import Amount, Count, Moment, Name, Share, Value

TUNED_SCHEMA: Final = "balancer.tuned/1"


class Choice(StrEnum):
    """Which point of the front is wanted."""

    ENERGY = "energy"
    CALM = "calm"
    BALANCED = "balanced"


class Figures(Value):
    """What a policy did on a part of a record."""

    kwh: Amount
    kwh_at_least: Amount
    kwh_all_on: Amount
    share_short_of_cpu: Share
    share_short_of_memory: Share
    share_unmet: Share
    moves_a_guest_a_day: Amount
    gib_moved: Amount
    wakes_late: Count
    wakes_failed: Count
    share_broken: Share = Field(description="of the steps, those that began with a broken promise")

    @classmethod
    def of(cls, run: Rehearsed) -> Self:
        """Return the figures of a rehearsal."""
        return cls(
            kwh=run.kwh,
            kwh_at_least=run.kwh_at_least,
            kwh_all_on=run.kwh_all_on,
            share_short_of_cpu=run.share_short_of_cpu,
            share_short_of_memory=run.share_short_of_memory,
            share_unmet=run.share_unmet,
            moves_a_guest_a_day=run.moves_a_guest_a_day,
            gib_moved=run.gib_moved,
            wakes_late=run.wakes_late,
            wakes_failed=run.wakes_failed,
            share_broken=run.steps_broken / max(1, len(run.steps)),
        )

    @property
    def short(self) -> float:
        """The share of host steps short of CPU and that short of memory, added up."""
        return self.share_short_of_cpu + self.share_short_of_memory

    @property
    def goals(self) -> tuple[float, float, float]:
        """Energy, shortage and migrations: each is better low."""
        return self.kwh, self.short, self.moves_a_guest_a_day

    @property
    def share_of_the_possible(self) -> float | None:
        possible = self.kwh_all_on - self.kwh_at_least
        return (self.kwh_all_on - self.kwh) / possible if possible > 0 else None


class Tried(Value):
    """A setting of the dials, and what it did. Of the policy as given no dial is turned."""

    number: Count
    dials: dict[str, float] = {}
    figures: Figures = Field(description="on the part that was searched on")
    held_out: Figures | None = Field(default=None, description="on the part that was not")

    @property
    def is_given(self) -> bool:
        return not self.dials

    def is_beaten_by(self, other: Tried) -> bool:
        """Whether another point is no worse in anything and better in something."""
        pairs = list(zip(other.figures.goals, self.figures.goals, strict=True))
        return all(theirs <= ours for theirs, ours in pairs) and any(theirs < ours for theirs, ours in pairs)


class Tuned(Value):
    """A policy tuned on a record."""

    schema_: Literal["balancer.tuned/1"] = Field(default=TUNED_SCHEMA, alias="schema")
    record: Name
    policy: PolicyMark = Field(description="as it was given")
    seed: Count
    begin: Moment
    split: Moment = Field(description="what comes after was never searched on")
    end: Moment
    wanted: str = Field(description="what the chosen point was chosen for")
    chosen: Count = Field(description="the number of the chosen point")
    tried: tuple[Tried, ...] = Field(description="the policy as given is the first")

    @property
    def given(self) -> Tried:
        return self.tried[0]

    @property
    def choice(self) -> Tried:
        return next(each for each in self.tried if each.number == self.chosen)

    @property
    def front(self) -> tuple[Tried, ...]:
        return front_of(self.tried)


def front_of(tried: tuple[Tried, ...]) -> tuple[Tried, ...]:
    """Return the points that no other beats, by energy; of equal ones the first."""
    once = {each.figures.goals: each for each in reversed(tried)}.values()
    kept = [each for each in once if not any(each.is_beaten_by(other) for other in once)]
    return tuple(sorted(kept, key=lambda each: (each.figures.goals, each.number)))
