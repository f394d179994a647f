"""One row for each instance and weighting: medians over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from statistics import median

from rich import box
from rich.table import Table

from tests.bench.measuring import Measured, Task

COLUMNS = (
    "hosts x guests",
    "weighting",
    "norm_gap",
    "proved",
    "J",
    "moves",
    "GiB",
    "hosts on",
    "CPU dev.",
    "mem. dev.",
    "CPU s",
    "MiB",
    "run / least",
    "verify s",
    "faults",
)
UNKNOWN = "-"


def table_of(measured: Iterable[Measured], order: Sequence[Task]) -> Table:
    """Return the table, its rows in the order in which the tasks were asked for."""
    table = Table(box=box.MARKDOWN)
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if place < 2 else "right", no_wrap=True)
    place_of = {task: place for place, task in enumerate(order)}
    in_order = sorted(measured, key=lambda one: place_of[one.task])
    for (instance, wish), seeds in groupby(in_order, key=lambda one: (str(one.task.case), one.task.wish.name)):
        table.add_row(instance, wish, *_cells(tuple(seeds)))
    return table


def _cells(seeds: Sequence[Measured]) -> tuple[str, ...]:
    before = median(one.hosts_on_before for one in seeds)
    return (
        _median(seeds, lambda one: one.norm_gap, "{:.2%}"),
        f"{sum(one.is_proved_optimal for one in seeds)} of {len(seeds)}",
        _median(seeds, lambda one: one.objective, "{:.5f}"),
        _median(seeds, lambda one: one.moves, "{:.0f}"),
        _median(seeds, lambda one: one.gib, "{:.0f}"),
        f"{before:.0f} > " + _median(seeds, lambda one: one.hosts_on_after, "{:.0f}"),
        _median(seeds, lambda one: one.cpu_deviation, "{:.4f}"),
        _median(seeds, lambda one: one.memory_deviation, "{:.4f}"),
        _median(seeds, lambda one: one.cpu_seconds, "{:.2f}"),
        _median(seeds, lambda one: one.peak_mib, "{:.0f}"),
        _median(seeds, lambda one: one.run_over_least, "{:.3f}"),
        _median(seeds, lambda one: one.verify_seconds, "{:.2f}"),
        _faults(seeds),
    )


def _median(seeds: Sequence[Measured], figure: Callable[[Measured], float | None], form: str) -> str:
    """Say the median over the seeds for which the figure is defined."""
    known = [value for one in seeds if (value := figure(one)) is not None]
    return form.format(median(known)) if known else UNKNOWN


def _faults(seeds: Sequence[Measured]) -> str:
    """Say the faults found, and in how many plans they were looked for."""
    verified = sum(one.verify_seconds is not None for one in seeds)
    return f"{sum(len(one.faults) for one in seeds)} in {verified}"
