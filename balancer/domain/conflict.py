"""Rules that cannot hold together: which ones, where each is written, and why no placement keeps them all."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from balancer.domain.value import Flag, Value


class Scope(StrEnum):
    """Where rules contradict each other."""

    ANYWHERE = "anywhere"
    HERE = "here"

    @property
    def sentence(self) -> str:
        return "on any cluster" if self is Scope.ANYWHERE else "on the present cluster"


class Rule(Value):
    """A promise as a conflict names it."""

    promise: str = Field(description="as reports call it")
    kind: str
    place: str = Field(default="", description="file:line; empty where it is not known")

    def __str__(self) -> str:
        return f"{self.promise} ({self.place})" if self.place else self.promise


class Conflict(Value):
    """Rules that no placement keeps all; take any one of them out, and the others can be kept."""

    rules: tuple[Rule, ...]
    why: tuple[str, ...] = Field(default=(), description="the facts that exclude each other, one a line")
    scope: Scope = Scope.HERE
    smallest: Flag = Field(default=True, description="false: effort ran out, one of the rules might be left out yet")

    @property
    def promises(self) -> frozenset[str]:
        return frozenset(rule.promise for rule in self.rules)

    @property
    def sentence(self) -> str:
        """Say which rules it is, without the facts."""
        names = [str(rule) for rule in self.rules]
        if len(names) == 1:
            return f"{names[0]} cannot be kept {self.scope.sentence}"
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        return f"{listed} cannot hold together {self.scope.sentence}"

    def __str__(self) -> str:
        return self.sentence + (f": {'; '.join(self.why)}" if self.why else "")
