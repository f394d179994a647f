"""Two policies side by side on one cluster (`balancer.comparison/1`): what each would do, and where they differ."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from balancer.domain.value import Amount, Count, Flag, Value

COMPARISON_SCHEMA: Final = "balancer.comparison/1"


class Side(Value):
    """What one of the two policies would do."""

    policy: str
    file: str = ""
    sentence: str = ""
    moves: Count = 0
    gib: Amount = 0.0
    seconds: Amount = 0.0
    hosts_on: Count = 0
    to_sleep: tuple[str, ...] = ()
    to_wake: tuple[str, ...] = ()
    watts: Amount = 0.0
    cpu_deviation: Amount = 0.0
    memory_deviation: Amount = 0.0
    objective_under_first: float = Field(default=0.0, description="J of what it ends in, as the first policy counts")
    objective_under_second: float = Field(default=0.0, description="the same, as the second policy counts")
    breaks_of_first: tuple[str, ...] = Field(default=(), description="promises of the first that its end breaks")
    breaks_of_second: tuple[str, ...] = ()
    refused: str = ""


class Setting(Value):
    """A setting that differs."""

    path: str
    first: Any = None
    second: Any = None


class Promised(Value):
    """A promise or wish that differs; absent on the side that does not have it."""

    promise: str
    first: str | None = None
    second: str | None = None


class Destination(Value):
    """A guest that the two would have on different hosts."""

    vm: str
    now: str
    first: str
    second: str


class Comparison(Value):
    """Two policies on one cluster."""

    schema_: Literal["balancer.comparison/1"] = Field(default=COMPARISON_SCHEMA, alias="schema")
    cluster: str
    same_plan: Flag
    first: Side
    second: Side
    settings: tuple[Setting, ...] = ()
    promises: tuple[Promised, ...] = ()
    destinations: tuple[Destination, ...] = ()
