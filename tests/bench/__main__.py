"""`python -m tests.bench` measures plans on made-up clusters and prints one table: see docs/benchmarks.md."""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version

from rich.console import Console
from rich.progress import Progress

from tests.bench.asked import Asked, read_command
from tests.bench.measuring import Measured, Task, measure
from tests.bench.table import table_of

WIDE_ENOUGH = 170  # the table has fifteen columns, and a file has no width of its own
NAMED_PACKAGES = ("balancer", "highspy", "numpy", "pulp")


def main(words: Sequence[str]) -> int:
    """Measure, print, and exit 1 where a plan had a fault or could not be made."""
    cores = len(os.sched_getaffinity(0))
    asked = read_command(words, cores)
    done = list(_with_progress(asked))
    measured = [outcome for outcome in done if isinstance(outcome, Measured)]
    wrong = [outcome for outcome in done if isinstance(outcome, str)]
    wrong += [f"{one.task}: {fault}" for one in measured for fault in one.faults]
    screen = Console(highlight=False)
    screen.width = max(screen.width, WIDE_ENOUGH)
    screen.print(table_of(measured, asked.tasks()))
    screen.print(_where_measured(cores, asked.jobs), style="dim")
    for line in wrong:
        screen.print(line, style="red", markup=False)
    return 1 if wrong else 0


def _with_progress(asked: Asked) -> Iterator[Measured | str]:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(_outcomes(asked), total=len(asked.tasks()), description="planning")


def _outcomes(asked: Asked) -> Iterator[Measured | str]:
    """Measure each task in a fresh process, so that no plan pays for the memory of another; a failure is a sentence."""
    start_fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, mp_context=start_fresh, max_tasks_per_child=1) as pool:
        task_of = {pool.submit(measure, task): task for task in _largest_first(asked.tasks())}
        for future in as_completed(task_of):
            failure = future.exception()
            yield future.result() if failure is None else f"{task_of[future]}: {failure!r}"


def _largest_first(tasks: list[Task]) -> list[Task]:
    # So that no core waits at the end for a long plan that another began late.
    return sorted(tasks, key=lambda task: (task.case.vms, task.is_verified), reverse=True)


def _where_measured(cores: int, jobs: int) -> str:
    packages = ", ".join(f"{package} {version(package)}" for package in NAMED_PACKAGES)
    machine = f"{platform.system()} {platform.machine()}, {cores} cores, {jobs} at once"
    return f"Python {platform.python_version()}, {packages}; {machine}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
