"""What a rehearsal found: a policy lived through recorded load, step by step, and what it cost."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from balancer.domain.plan import Plan, PolicyMark
from balancer.domain.value import Amount, Count, Flag, Moment, Name, Value

REHEARSED_SCHEMA: Final = "balancer.rehearsed/1"


class Odd(StrEnum):
    """What is wrong with a record, in a word."""

    GAP = "gap"
    NOT_A_NUMBER = "not a number"
    NEGATIVE = "negative"
    ABOVE_ITS_SIZE = "above its size"
    ALL_ZERO = "all zero"
    SHORTER = "shorter than others"
    APPEARS = "appears"
    DISAPPEARS = "disappears"
    GOES_BACK = "time goes back"
    TWICE = "measured twice"
    NO_SIZE = "no size"
    EMPTY = "empty"
    NO_ROOM = "no room"


class Oddity(Value):
    """Something in a record that is not as it should be, what it is about, where it stands, and what was made of it."""

    what: Odd
    guest: str = ""
    where: str = Field(default="", description="file and line or time")
    made_of_it: str = Field(default="", description="how it was read")

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.guest, self.where, str(self.what), self.made_of_it)))


class RehearsedStep(Value):
    """One step of the record: what was on, what it took, what was lacking, and what was decided at its begin."""

    at: Moment = Field(description="its begin")
    hosts_on: Amount = Field(description="mean over the step; one that boots or shuts down is on")
    hosts_active: Count = Field(description="on for any part of it")
    watts: Amount = Field(description="mean over the step")
    watts_at_least: Amount = Field(description="with perfect knowledge, free moves and free switching")
    needed_cores: Amount
    unmet_cores: Amount = Field(description="mean of what guests needed above what their hosts had")
    hosts_short_of_cpu: Count = Field(description="that were asked for more than they have in any part of it")
    hosts_short_of_memory: Count = 0
    unmet_memory_mib: Amount = 0.0
    guests: Count = 0
    guests_waiting: Count = Field(default=0, description="that no host has room for")
    moves: Count = Field(default=0, description="that ended in it")
    moves_failed: Count = Field(default=0, description="that were given up in it, their guests where they were")
    gib_moved: Amount = 0.0
    price_per_kwh: Amount = 0.0
    co2_g_per_kwh: Amount = 0.0
    broken: tuple[str, ...] = Field(default=(), description="hard promises that did not hold at its begin")
    sentence: str = Field(default="", description="what the cycle at its begin found")
    plan: Plan | None = Field(default=None, description="its plan, where there were steps, without what was kept")


class Parting(Value):
    """A look at which something else was decided live than in the rehearsal of the same time."""

    at: Moment = Field(description="of the rehearsed look; live those since the one before count")
    live: tuple[str, ...] = Field(default=(), description="steps that were decided live")
    rehearsed: tuple[str, ...] = ()
    why: tuple[str, ...] = Field(default=(), description="what differed, the most likely cause first")


class Lived(Value):
    """What was decided live at the time that was rehearsed, beside the rehearsal."""

    looks: Count = Field(description="rehearsed looks whose live decisions are kept whole")
    same: Count = Field(description="those at which the same steps were decided")
    with_a_plan: Count = Field(default=0, description="looks at which live or here something was to be done")
    partings: tuple[Parting, ...] = ()


class Rehearsed(Value):
    """A policy lived through recorded load (`balancer.rehearsed/1`)."""

    schema_: Literal["balancer.rehearsed/1"] = Field(default=REHEARSED_SCHEMA, alias="schema")
    record: Name = Field(description="what was replayed")
    policy: PolicyMark
    settings: dict[str, str] = Field(
        default={}, description="what the policy says, by dotted path, so that a report can say in what two runs differ"
    )
    seed: Count
    strict_timing: Flag = True
    step_seconds: Amount
    hosts: Count
    guests: Count
    currency: str = ""
    steps: tuple[RehearsedStep, ...] = ()
    moves_by_guest: dict[str, int] = {}
    wakes_in_time: Count = 0
    wakes_late: Count = 0
    wakes_failed: Count = 0
    oddities: tuple[Oddity, ...] = ()
    alarms: tuple[str, ...] = ()
    kwh_all_on: Amount = Field(default=0.0, description="with every host on and equally full, whatever the policy")
    lived: Lived | None = Field(default=None, description="of one's own history: what was decided live")

    @property
    def hours(self) -> float:
        return self.step_seconds / 3600

    @property
    def kwh(self) -> float:
        return sum(step.watts for step in self.steps) * self.hours / 1000

    @property
    def kwh_at_least(self) -> float:
        """The bound: with perfect knowledge, free moves and free switching."""
        return sum(step.watts_at_least for step in self.steps) * self.hours / 1000

    @property
    def share_of_the_possible(self) -> float | None:
        """Which part of what could be saved was saved, against every host on; None where nothing could be."""
        possible = self.kwh_all_on - self.kwh_at_least
        return (self.kwh_all_on - self.kwh) / possible if possible > 0 else None

    @property
    def money(self) -> float:
        return sum(step.watts * step.price_per_kwh for step in self.steps) * self.hours / 1000

    @property
    def co2_kg(self) -> float:
        return sum(step.watts * step.co2_g_per_kwh for step in self.steps) * self.hours / 1e6

    @property
    def share_short_of_cpu(self) -> float:
        """Of the steps of hosts that were on, those in which the host was asked for more CPU than it has."""
        return _share(self.steps, "hosts_short_of_cpu", "hosts_active")

    @property
    def share_short_of_memory(self) -> float:
        return _share(self.steps, "hosts_short_of_memory", "hosts_active")

    @property
    def share_unmet(self) -> float:
        """Of all that guests needed, what they did not get."""
        return _share(self.steps, "unmet_cores", "needed_cores")

    @property
    def moves(self) -> int:
        return sum(step.moves for step in self.steps)

    @property
    def moves_failed(self) -> int:
        return sum(step.moves_failed for step in self.steps)

    @property
    def gib_moved(self) -> float:
        return sum(step.gib_moved for step in self.steps)

    @property
    def moves_a_guest_a_day(self) -> float:
        days = len(self.steps) * self.step_seconds / 86_400
        return self.moves / self.guests / days if self.guests and days else 0.0

    @property
    def steps_broken(self) -> int:
        return sum(bool(step.broken) for step in self.steps)


def _share(steps: tuple[RehearsedStep, ...], part: str, whole: str) -> float:
    total = sum(getattr(step, whole) for step in steps)
    return float(sum(getattr(step, part) for step in steps) / total) if total else 0.0
