"""What is said between the balancer and its hands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from balancer.domain.site_file import SiteFile
from balancer.errors import SiteError

THE_PLATFORM: Final = ""
"""Stands for the platform where an order otherwise names the host whose switch is meant."""

RAN_OUT = "the right to act has run out"


class HandsTied(SiteError):
    """An order was not given: the right to act has run out, or was never taken."""


class HandsLost(SiteError):
    """The process that carried an order out has ended before it answered: whether it was done has to be seen."""


@dataclass(frozen=True)
class Opening:
    """What the hands reach, and until when they may live."""

    file: SiteFile
    secrets: Path
    until: float


@dataclass(frozen=True)
class Order:
    """One call to the platform, or to the switch of a host; it takes effect before `until` (`lifetime.moment`)."""

    number: int
    until: float
    whose: str
    what: str
    words: tuple[Any, ...]


@dataclass(frozen=True)
class LongerLife:
    """The right to act was renewed."""

    until: float


@dataclass(frozen=True)
class Answer:
    """What came of an order: what was returned, or what was raised."""

    number: int
    said: Any = None
    raised: Exception | None = None


class Hands(Protocol):
    """Carry out orders, while the right to act is held."""

    @property
    def generation(self) -> int:
        """Count the processes that the hands were: what one of them began, the next one knows nothing of."""
        ...

    def may_act_until(self, until: float) -> None:
        """Let orders take effect until a moment (`lifetime.moment`)."""
        ...

    def order(self, whose: str, what: str, *words: Any) -> Any:
        """Have something done. HandsTied: it certainly was not; HandsLost: it may have been."""
        ...

    def close(self) -> None:
        """Let nothing more be done; what hypervisors carry out between them goes on."""
        ...
