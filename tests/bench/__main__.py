"""`python -m tests.bench` measures plans on made-up clusters, beside peers: see docs/benchmarks.md."""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tests.bench.asked import Asked, read_command
from tests.bench.bars import weak_spots
from tests.bench.contests import CONTESTS
from tests.bench.measuring import Measured, Task, measure
from tests.bench.peers import PeerMeasured, PeerTask, ask_peer
from tests.bench.table import beside_table, contest_table, table_of
from tests.bench.wishes import WISHES

WIDE_ENOUGH = 190  # the table has seventeen columns, and a file has no width of its own
NAMED_PACKAGES = ("balancer", "highspy", "numpy", "pulp")


def main(words: Sequence[str]) -> int:
    """Measure, print, and exit 1 where a plan had a fault or could not be made."""
    cores = len(os.sched_getaffinity(0))
    asked = read_command(words, cores)
    done = list(_with_progress(asked))
    measured = [outcome for outcome in done if isinstance(outcome, Measured)]
    peers = [outcome for outcome in done if isinstance(outcome, PeerMeasured)]
    wrong = [outcome for outcome in done if isinstance(outcome, str)]
    wrong += [f"{one.task}: {fault}" for one in measured for fault in one.faults]
    screen = Console(highlight=False)
    screen.width = max(screen.width, WIDE_ENOUGH)
    _print_report(screen, asked, measured, peers)
    screen.print(_where_measured(cores, asked.jobs), style="dim")
    for line in wrong:
        screen.print(line, style="red", markup=False)
    return 1 if wrong else 0


def _print_report(screen: Console, asked: Asked, measured: Sequence[Measured], peers: Sequence[PeerMeasured]) -> None:
    plans = [one for one in measured if one.task.wish in WISHES]
    ours = {(one.task.case, one.task.wish.name): one for one in measured}
    screen.print(table_of(plans, asked.tasks()))
    weak = weak_spots(plans)
    if peers:
        in_order = sorted(peers, key=lambda one: asked.peer_tasks().index(one.task))
        screen.print(beside_table(ours, in_order, [wish.name for wish in WISHES]))
        for contest in CONTESTS if asked.contest_tasks() else ():
            table, lost = contest_table(contest, ours, in_order)
            screen.print(table)
            weak += lost
    screen.print("What misses its bar, or is no better than a peer:" if weak else "All bars are met.", style="bold")
    for line in weak:
        screen.print(f"- {line}", markup=False)


def _with_progress(asked: Asked) -> Iterator[Measured | PeerMeasured | str]:
    count = len(_all_tasks(asked))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(_outcomes(asked), total=count, description="planning")


def _outcomes(asked: Asked) -> Iterator[Measured | PeerMeasured | str]:
    """Measure each task in a fresh process, so that no plan pays for the memory of another; a failure is a sentence."""
    start_fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, mp_context=start_fresh, max_tasks_per_child=1) as pool:
        task_of = {_started(pool, task): task for task in _largest_first(_all_tasks(asked))}
        for future in as_completed(task_of):
            failure = future.exception()
            yield future.result() if failure is None else f"{task_of[future]}: {failure!r}"


def _started(pool: Executor, task: Task | PeerTask) -> Future[Any]:
    return pool.submit(measure, task) if isinstance(task, Task) else pool.submit(ask_peer, task)


def _all_tasks(asked: Asked) -> list[Task | PeerTask]:
    return [*asked.tasks(), *asked.contest_tasks(), *asked.peer_tasks()]


def _largest_first(tasks: list[Task | PeerTask]) -> list[Task | PeerTask]:
    # So that no core waits at the end for a long piece of work that another began late.
    return sorted(tasks, key=lambda task: (task.case.vms, isinstance(task, PeerTask) or task.is_verified), reverse=True)


def _where_measured(cores: int, jobs: int) -> str:
    packages = ", ".join(f"{package} {version(package)}" for package in NAMED_PACKAGES)
    machine = f"{platform.system()} {platform.machine()}, {cores} cores, {jobs} at once"
    return f"Python {platform.python_version()}, {packages}; {machine}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
