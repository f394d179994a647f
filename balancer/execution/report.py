"""What became of a plan, step by step, and in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from balancer.domain.plan import Step
from balancer.domain.units import count_of, in_words
from balancer.store.journal import EntryState


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
    """How a piece of work ended, in words; an alarm wants a person."""

    result: Result
    detail: str
    alarm: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one step: when it ran and how long it took beside what was predicted."""

    step: Step
    result: Result
    detail: str
    ended: datetime
    started: datetime | None = None
    alarm: bool = False

    @property
    def seconds(self) -> float | None:
        """Return how long it took; None where it was never begun."""
        return None if self.started is None else (self.ended - self.started).total_seconds()

    @property
    def predicted_seconds(self) -> float:
        return self.step.seconds

    def __str__(self) -> str:
        return f"{self.step}: {self.result}" + (f", {self.detail}" if self.detail else "")


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
class StepProgress:
    """How far a step in flight has come: share 0 to 1 where it can be seen, and for how long it has run."""

    step: Step
    started: datetime
    share: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a plan has come."""

    running: tuple[StepProgress, ...] = ()
    ended: int = 0
    steps: int = 0
