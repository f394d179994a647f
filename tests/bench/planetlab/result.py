"""What one day under one way to decide has come to, and whether that reaches a bar."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Result:
    """One day, one size of hosts, one way to decide."""

    day: str
    memory_gib: int
    who: str
    hours: float
    kwh: float
    bound_kwh: float
    share_short: float
    moves_a_guest: float
    cpu_seconds: float

    @property
    def over_bound(self) -> float:
        return self.kwh / self.bound_kwh

    @property
    def case(self) -> tuple[str, int, str, float]:
        return self.day, self.memory_gib, self.who, self.hours


@dataclass(frozen=True)
class Bar:
    """Energy over its bound that is to be reached with no more shortness and no more migrations than these."""

    memory_gib: int
    over_bound: float
    share_short: float
    moves_a_guest: float

    def is_met_by(self, result: Result) -> bool:
        """A whole day alone meets a bar."""
        reached = (result.over_bound, result.share_short, result.moves_a_guest)
        asked = (self.over_bound, self.share_short, self.moves_a_guest)
        return result.hours >= 24 and all(got <= most + 1e-9 for got, most in zip(reached, asked, strict=True))

    def __str__(self) -> str:
        return f"{self.over_bound:.3f} at {self.share_short:.2%} and {self.moves_a_guest:.1f}"


BARS: Final = (
    Bar(16, 1.070, 0.0040, 1.2),
    Bar(16, 1.085, 0.0015, 1.0),
    Bar(32, 1.310, 0.0110, 1.6),
    Bar(32, 1.220, 0.0350, 2.2),
)


def kept_in(path: Path | None) -> list[Result]:
    """Return what was measured before."""
    if path is None or not path.exists():
        return []
    return [Result(**json.loads(line)) for line in path.read_text("utf-8").splitlines() if line.strip()]


def keep(path: Path | None, result: Result) -> None:
    """Add a result to a file, so that a long measurement can be interrupted."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def bars_met(results: Iterable[Result]) -> list[str]:
    """Return the bars that each result reaches, in words."""
    return [f"{one.who} on {one.day}, {bar.memory_gib} GiB: {bar}" for one in results for bar in _met(one)]


def _met(result: Result) -> list[Bar]:
    return [bar for bar in BARS if bar.memory_gib == result.memory_gib and bar.is_met_by(result)]
