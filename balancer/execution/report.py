"""What became of a plan, step by step, and in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from balancer.domain.plan import Step
from balancer.domain.units import count_of, in_words
from balancer.errors import Prospect
from balancer.platforms.base import MigrationStatus
from balancer.store.journal import EntryState, Phase


class Result(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"  # the world was not as the plan took it to be; nothing was done
    SKIPPED = "skipped"  # something it depends on was not done, or a stop was asked for
    UNKNOWN = "unknown"  # out of time and not seen; the journal keeps it open

    @property
    def in_the_journal(self) -> EntryState:
        return {Result.DONE: EntryState.DONE, Result.UNKNOWN: EntryState.UNKNOWN}.get(self, EntryState.FAILED)


@dataclass(frozen=True)
class Ending:
    """How a piece of work ended, in words; an alarm wants a person.

    measured: of a migration that arrived, what it took
    asked_for: a person wanted it given up, so it is no failure
    was_interrupted: whether it was ever asked for is not known, since the balancer died meanwhile
    """

    result: Result
    detail: str
    alarm: bool = False
    prospect: Prospect = Prospect.UNKNOWN
    measured: MigrationStatus | None = None
    asked_for: bool = False
    was_interrupted: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one step: when it ran and how long it took beside what was predicted."""

    step: Step
    result: Result
    detail: str
    ended: datetime
    started: datetime | None = None
    alarm: bool = False
    phase: Phase | None = None  # of a move: how far it had come

    @property
    def seconds(self) -> float | None:
        """Return how long it took; None where it was never begun."""
        return None if self.started is None else (self.ended - self.started).total_seconds()

    @property
    def predicted_seconds(self) -> float:
        return self.step.seconds

    def __str__(self) -> str:
        where = f" in {self.phase}" if self.phase and self.result in {Result.FAILED, Result.UNKNOWN} else ""
        return f"{self.step}: {self.result}{where}" + (f", {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class RunReport:
    """What became of a plan so far."""

    plan_id: str
    steps: int
    outcomes: tuple[Outcome, ...]
    started: datetime
    at: datetime
    needs_replan: bool

    def of(self, result: Result) -> tuple[Outcome, ...]:
        """Return the steps that ended so."""
        return tuple(outcome for outcome in self.outcomes if outcome.result is result)

    @property
    def done(self) -> tuple[Outcome, ...]:
        return self.of(Result.DONE)

    @property
    def alarms(self) -> tuple[str, ...]:
        """What a person has to look at."""
        return tuple(str(outcome) for outcome in self.outcomes if outcome.alarm)

    @property
    def sentence(self) -> str:
        """Say it in one sentence; the first thing that went wrong is named."""
        took = in_words((self.at - self.started).total_seconds())
        said = f"carried out {len(self.done)} of {count_of(self.steps, 'step')} in {took}"
        others = [f"{len(self.of(r))} {r}" for r in Result if r is not Result.DONE and self.of(r)]
        wrong = next((o for o in self.outcomes if o.result not in {Result.DONE, Result.SKIPPED}), None)
        return "; ".join([said, *([", ".join(others)] if others else []), *([str(wrong)] if wrong else [])])


@dataclass(frozen=True)
class Course:
    """How far a piece of work has come: share 0 to 1, speed, time left, where these can be seen."""

    phase: Phase | None = None
    share: float | None = None
    mib_per_s: float | None = None
    seconds_left: float | None = None

    def __str__(self) -> str:
        said = [str(self.phase)] if self.phase else []
        said += [f"{self.share:.0%}"] if self.share is not None else []
        said += [f"{self.mib_per_s:.0f} MiB/s"] if self.mib_per_s is not None else []
        said += [f"{in_words(self.seconds_left)} left"] if self.seconds_left is not None else []
        return ", ".join(said)


@dataclass(frozen=True)
class StepProgress:
    """A step in flight: since when, and how far it has come."""

    step: Step
    started: datetime
    course: Course = Course()


@dataclass(frozen=True)
class Progress:
    """How far a plan has come."""

    running: tuple[StepProgress, ...] = ()
    ended: int = 0
    steps: int = 0
