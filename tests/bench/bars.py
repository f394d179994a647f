"""The bars: what a plan is to be like. What misses them is said at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from statistics import median

from tests.bench.measuring import Measured

# norm_gap in per cent, and CPU seconds for the whole decision (model and search), as medians over the seeds.
BARS: dict[tuple[int, int], dict[str, tuple[float, float]]] = {
    (32, 500): {"balance": (3.0, 1), "both": (0.2, 2), "fewest": (0.5, 5)},
    (64, 2000): {"balance": (0.8, 2), "both": (0.1, 4), "fewest": (1.5, 8)},
    (96, 10000): {"balance": (0.3, 4), "both": (0.1, 6), "fewest": (1.5, 10)},
    (1000, 20000): {"balance": (3.0, 3), "both": (2.5, 6), "fewest": (2.5, 15)},
    (10000, 200000): {"balance": (3.0, 15), "both": (2.5, 40), "fewest": (2.5, 70)},
}
WITH_RULES = 2.0  # times the bar on norm_gap
RUN_OVER_LEAST = 1.05
MOST_MIB = 1024.0
MOST_MIB_AT_LARGEST = 2048.0
LARGEST_VMS = 200_000


def weak_spots(measured: Iterable[Measured]) -> list[str]:
    """Say what misses its bar, row by row of the table."""
    by_row = sorted(measured, key=_row)
    return [f"{row[1]}, {row[2]}: {said}" for row, ones in groupby(by_row, key=_row) for said in _missed(list(ones))]


def _row(one: Measured) -> tuple[int, str, str]:
    return one.task.case.vms, str(one.task.case), one.task.wish.name


def _missed(ones: list[Measured]) -> Iterator[str]:
    case, wish = ones[0].task.case, ones[0].task.wish
    bar = BARS.get((case.hosts, case.vms), {}).get(wish.name)
    gaps = [one.norm_gap for one in ones if one.norm_gap is not None]
    if bar is not None:
        most_gap = bar[0] / 100 * (WITH_RULES if case.rules else 1.0)
        if gaps and median(gaps) > most_gap:
            yield f"norm_gap {median(gaps):.2%}, the bar is {most_gap:.2%}"
        if (seconds := median(one.decision_seconds for one in ones)) > bar[1]:
            yield f"{seconds:.2f} CPU s, the bar is {bar[1]:g}"
    slowest = max((one.run_over_least for one in ones if one.run_over_least is not None), default=0.0)
    if slowest > RUN_OVER_LEAST:
        yield f"takes up to {slowest:.3f} times the lower bound on its time, the bar is {RUN_OVER_LEAST:g}"
    most_mib = MOST_MIB_AT_LARGEST if case.vms >= LARGEST_VMS else MOST_MIB
    if (mib := max(one.peak_mib + one.child_mib for one in ones)) > most_mib:
        yield f"{mib:.0f} MiB with the largest child, the bar is {most_mib:.0f}"
    for one in ones:
        if one.steps_again:
            yield f"seed {one.task.case.seed}: the plan made after it has {one.steps_again} more steps"
