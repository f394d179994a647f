"""Contests, seed by seed: a policy of ours and what others make of the same cluster, figure by figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.measuring import Measured
from tests.bench.peers import HBAL, HBAL_30, HBAL_FINE, PeerMeasured, Scored
from tests.bench.wishes import EVEN_MEMORY, EVEN_MEMORY_30, THIRTY_MOVES, THIRTY_MOVES_BRIEFLY, Wish

SIZE = (32, 500)


@dataclass(frozen=True)
class Row:
    """The figures of one side on one cluster; the CPU seconds are those of the decision, as hbal makes it."""

    who: str
    objective: float
    cpu_deviation: float
    memory_deviation: float
    moves: int
    gib: float
    cpu_seconds: float

    @classmethod
    def ours(cls, one: Measured) -> Row:
        deviations = one.cpu_deviation, one.memory_deviation
        return cls("balancer", one.objective, *deviations, one.moves, one.gib, one.decision_seconds)

    @classmethod
    def theirs(cls, one: PeerMeasured, score: Scored) -> Row:
        deviations = score.cpu_deviation, score.memory_deviation
        return cls(one.task.peer, score.objective, *deviations, score.moves, score.gib, one.cpu_seconds)


@dataclass(frozen=True)
class Figure:
    """Something that is compared, less being better; `times` how many times less is asked for."""

    name: str
    of: Callable[[Row], float]
    form: str
    times: float = 1.0

    def lost(self, ours: Row, theirs: Row) -> str:
        """Say by what ours is no better than theirs; empty where it is better, or as good."""
        mine, other = self.of(ours), self.of(theirs) / self.times
        if mine <= other:
            return ""
        asked = f" / {self.times:g}" if self.times != 1.0 else ""
        return f"{self.name} {self.form.format(mine)} > {self.form.format(self.of(theirs))}{asked}"


OBJECTIVE = Figure("J", lambda row: row.objective, "{:.5f}")
GIB = Figure("GiB", lambda row: row.gib, "{:.0f}")
MOVES = Figure("moves", lambda row: row.moves, "{:.0f}")
CPU_DEVIATION = Figure("CPU dev.", lambda row: row.cpu_deviation, "{:.4f}")
MEMORY_DEVIATION = Figure("mem. dev.", lambda row: row.memory_deviation, "{:.4f}")
CPU_TIME_50 = Figure("CPU s", lambda row: row.cpu_seconds, "{:.2f}", times=50.0)

EVENNESS = (MEMORY_DEVIATION, CPU_DEVIATION, MOVES, GIB)


@dataclass(frozen=True)
class Contest:
    """A policy of ours against peers, in these figures."""

    title: str
    wish: Wish
    rivals: tuple[str, ...]
    figures: tuple[Figure, ...]


CONTESTS = (
    Contest("The same J and 30 moves for both", THIRTY_MOVES, (HBAL_30,), (OBJECTIVE, GIB)),
    Contest("The same with 2,000 steps of the search", THIRTY_MOVES_BRIEFLY, (HBAL_30,), (OBJECTIVE, GIB, CPU_TIME_50)),
    Contest("A policy that evens memory first, in 83 moves", EVEN_MEMORY, (HBAL_FINE,), EVENNESS),
    Contest("The same in 30 moves, beside hbal as it comes", EVEN_MEMORY_30, (HBAL,), EVENNESS),
)


def losses(figures: tuple[Figure, ...], ours: Row, theirs: Row) -> list[str]:
    """Say in which figures ours is no better."""
    return [said for figure in figures if (said := figure.lost(ours, theirs))]
