"""One day of a cluster, summed up for the people who answer for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from balancer.domain.energy import Energy, Wakes


@dataclass(frozen=True)
class Deed:
    """What somebody did: `who` is a person or `balancer`; `subject` is host:h1, vm:db1 or plan:..."""

    at: datetime
    who: str
    what: str
    subject: str


@dataclass(frozen=True)
class Moves:
    """Guests that were moved, those whose move failed or was taken back, and those whose end nobody has seen yet."""

    done: int = 0
    failed: int = 0
    open: int = 0
    gib: float = 0.0  # memory of the guests that arrived


@dataclass(frozen=True)
class DaySummary:
    """What the balancer saw and did on one day in UTC. money (by currency) and co2_kg are what it saved.

    cycles_whole: of the cycles, those that are kept whole; doubts and bent are known of these alone
    doubts, bent: in words, and in how many cycles each was found
    waiting: what waits for a person now, whatever the day
    """

    cluster: str
    day: date
    is_over: bool
    cycles: int
    cycles_whole: int
    cycles_in_doubt: int
    plans: int
    moves: Moves
    sleeps: int
    wakes: Wakes
    energy: Energy
    money: Mapping[str, float]
    co2_kg: float
    doubts: Mapping[str, int]
    bent: Mapping[str, int]
    waiting: tuple[str, ...]
    deeds: tuple[Deed, ...]
