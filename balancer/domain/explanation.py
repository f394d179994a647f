"""An answer to a "why" (`balancer.explanation/1`): one value that text, JSON and pages render alike."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from balancer.domain.conflict import Conflict
from balancer.domain.plan import Because
from balancer.domain.value import Amount, Flag, Value

EXPLANATION_SCHEMA: Final = "balancer.explanation/1"


class Reason(Value):
    """One thing that holds, from the enum of reasons."""

    because: Because
    detail: str = ""
    promise: str | None = Field(default=None, description="the promise that it comes from")
    place: str | None = Field(default=None, description="file:line of that promise")
    way_out: str = Field(default="", description="what would have to change")

    @property
    def sentence(self) -> str:
        """Say it with its detail, which speaks for itself where it comes from a promise."""
        if self.promise is not None:
            where = f" ({self.place})" if self.place else ""
            return f"{self.promise}{where}: {self.detail or self.because.sentence}"
        return self.because.sentence + (f": {self.detail}" if self.detail else "")


class Option(Value):
    """Another host that a guest could be on: why not, or what J would be."""

    host: str
    is_possible: Flag
    change: float | None = Field(default=None, description="what J would change by, once the plan is carried out")
    reasons: tuple[Reason, ...] = ()


class Bought(Value):
    """What one move of a plan buys, and what it costs."""

    step: str
    vm: str
    source: str
    target: str
    gain: float = Field(description="what J would be higher by without it, the rest of the plan done")
    seconds: Amount = 0.0
    downtime_ms: Amount = 0.0
    gib: Amount = 0.0
    because: str = ""


class Guest(Value):
    """A guest of a host, and why it is still there."""

    vm: str
    reasons: tuple[Reason, ...] = ()


class Explanation(Value):
    """Why a guest, a host or a plan is as it is."""

    schema_: Literal["balancer.explanation/1"] = Field(default=EXPLANATION_SCHEMA, alias="schema")
    subject: str = Field(description="vm:db1, host:h4 or plan:...")
    headline: str
    facts: dict[str, str] = {}
    reasons: tuple[Reason, ...] = ()
    options: tuple[Option, ...] = Field(default=(), description="a guest: each other host")
    guests: tuple[Guest, ...] = Field(default=(), description="a host: what it carries that cannot leave")
    moves: tuple[Bought, ...] = Field(default=(), description="a plan: what each move buys")
    kept: tuple[Guest, ...] = Field(default=(), description="a plan: what is left alone, guests and hosts")
    conflicts: tuple[Conflict, ...] = Field(default=(), description="a plan: rules that cannot hold together")
    not_looked_at: tuple[str, ...] = Field(default=(), description="hosts left out of a very large cluster")
