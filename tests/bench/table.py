"""What was measured, as tables: medians over the seeds, and contests seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import TypeVar

from rich import box
from rich.table import Table

from tests.bench.clusters import BenchCase
from tests.bench.contests import Contest, Row, losses
from tests.bench.measuring import Measured, Task
from tests.bench.peers import PeerMeasured, Scored

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
    "decide s",
    "plan s",
    "MiB",
    "child",
    "run / least",
    "again",
    "verify s",
    "faults",
)
BESIDE_COLUMNS = (
    "hosts x guests",
    "weighting",
    "who",
    "norm_gap",
    "J",
    "moves",
    "GiB",
    "hosts on",
    "CPU dev.",
    "mem. dev.",
    "CPU s",
    "MiB",
    "answers",
    "legal",
)
CONTEST_COLUMNS = ("seed", "who", "J", "mem. dev.", "CPU dev.", "moves", "GiB", "CPU s", "balancer is no better in")
UNKNOWN = "-"

One = TypeVar("One")

Figures = Mapping[tuple[BenchCase, str], Measured]
"""What was measured of ours, by the case and the name of the wish."""


def table_of(measured: Iterable[Measured], order: Sequence[Task]) -> Table:
    """Return the table of plans, its rows in the order in which the tasks were asked for."""
    table = _table("", COLUMNS, words=2)
    place_of = {task: place for place, task in enumerate(order)}
    in_order = sorted((one for one in measured if one.task in place_of), key=lambda one: place_of[one.task])
    for (instance, wish), seeds in groupby(in_order, key=lambda one: (str(one.task.case), one.task.wish.name)):
        table.add_row(instance, wish, *_cells(tuple(seeds)))
    return table


def _table(title: str, columns: Sequence[str], words: int) -> Table:
    table = Table(box=box.MARKDOWN, title=title or None, title_justify="left", title_style="bold")
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < words else "right", no_wrap=True)
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
        _median(seeds, lambda one: one.decision_seconds, "{:.2f}"),
        _median(seeds, lambda one: one.cpu_seconds, "{:.2f}"),
        _median(seeds, lambda one: one.peak_mib, "{:.0f}"),
        _median(seeds, lambda one: one.child_mib, "{:.0f}"),
        _median(seeds, lambda one: one.run_over_least, "{:.3f}"),
        _most_again(seeds),
        _median(seeds, lambda one: one.verify_seconds, "{:.2f}"),
        _faults(seeds),
    )


def _median(seeds: Sequence[One], figure: Callable[[One], float | None], form: str) -> str:
    """Say the median over the seeds for which the figure is defined."""
    known = [value for one in seeds if (value := figure(one)) is not None]
    return form.format(median(known)) if known else UNKNOWN


def _most_again(seeds: Sequence[Measured]) -> str:
    """Say the most steps that any seed's next plan has; a median would hide them."""
    known = [one.steps_again for one in seeds if one.steps_again is not None]
    return str(max(known)) if known else UNKNOWN


def _faults(seeds: Sequence[Measured]) -> str:
    """Say the faults found, and in how many plans they were looked for."""
    verified = sum(one.verify_seconds is not None for one in seeds)
    return f"{sum(len(one.faults) for one in seeds)} in {verified}"


# -- beside peers


def beside_table(ours: Figures, peers: Sequence[PeerMeasured], wishes: Sequence[str]) -> Table:
    """Return the table of what peers make of a cluster, and we on the seeds that they were given."""
    table = _table("Beside peers, medians over the seeds that they were given", BESIDE_COLUMNS, words=3)
    instances = dict.fromkeys(str(one.task.case) for one in sorted(peers, key=lambda one: one.task.case.vms))
    for instance in instances:
        for wish in wishes:
            theirs = [one for one in peers if str(one.task.case) == instance and wish in _wishes(one)]
            cases = dict.fromkeys(one.task.case for one in theirs)
            mine = [ours[case, wish] for case in cases if (case, wish) in ours]
            if mine and theirs:
                table.add_row(instance, wish, "balancer", *_our_cells(mine))
            for peer in dict.fromkeys(one.task.peer for one in theirs):
                table.add_row(
                    instance, wish, peer, *_peer_cells(ours, wish, [p for p in theirs if p.task.peer == peer])
                )
    return table


def _wishes(one: PeerMeasured) -> list[str]:
    return [wish.name for wish in one.task.wishes]


def _our_cells(seeds: Sequence[Measured]) -> tuple[str, ...]:
    cells = _cells(seeds)
    after = _median(seeds, lambda one: one.hosts_on_after, "{:.0f}")
    most = f"{len(seeds)} of {len(seeds)}"
    legal = f"{sum(not one.faults for one in seeds)} of {len(seeds)}"
    return (cells[0], *cells[2:5], after, *cells[6:8], *cells[9:11], most, legal)


def _peer_cells(ours: Figures, wish: str, seeds: Sequence[PeerMeasured]) -> tuple[str, ...]:
    answered = [(one, one.scored[wish]) for one in seeds if wish in one.scored]
    if not answered:
        return (seeds[0].why_none, *[UNKNOWN] * 8, f"0 of {len(seeds)}", UNKNOWN)
    scores = [score for _, score in answered]
    gaps = [gap for one, score in answered if (gap := _gap(ours.get((one.task.case, wish)), score)) is not None]
    return (
        f"{median(gaps):.2%}" if gaps else UNKNOWN,
        _median(scores, lambda one: one.objective, "{:.5f}"),
        _median(scores, lambda one: one.moves, "{:.0f}"),
        _median(scores, lambda one: one.gib, "{:.0f}"),
        _median(scores, lambda one: one.hosts_on, "{:.0f}"),
        _median(scores, lambda one: one.cpu_deviation, "{:.4f}"),
        _median(scores, lambda one: one.memory_deviation, "{:.4f}"),
        _median(answered, lambda one: one[0].cpu_seconds, "{:.2f}"),
        _median(answered, lambda one: one[0].peak_mib, "{:.0f}"),
        f"{len(answered)} of {len(seeds)}",
        f"{sum(one.is_legal for one in scores)} of {len(scores)}",
    )


def _gap(ours: Measured | None, theirs: Scored) -> float | None:
    """Return what a peer leaves of the achievable, by our bound and our J of today."""
    if ours is None or ours.bound is None or ours.objective_now - ours.bound <= 0:
        return None
    return (theirs.objective - ours.bound) / (ours.objective_now - ours.bound)


# -- contests


def contest_table(contest: Contest, ours: Figures, peers: Sequence[PeerMeasured]) -> tuple[Table, list[str]]:
    """Return a contest seed by seed, and what is lost in it."""
    lost: list[str] = []
    table = _table(f"{contest.title} ({contest.wish.name})", CONTEST_COLUMNS, words=2)
    mine = [one for (_, wish), one in ours.items() if wish == contest.wish.name]
    for one in sorted(mine, key=lambda one: one.task.case.seed):
        seed = one.task.case.seed
        our_row = Row.ours(one)
        table.add_row(str(seed), *_contest_cells(our_row), "")
        for peer in (p for p in peers if p.task.case == one.task.case and p.task.peer in contest.rivals):
            if contest.wish.name not in peer.scored:
                table.add_row(str(seed), peer.task.peer, peer.why_none, *[UNKNOWN] * 6)
                continue
            row = Row.theirs(peer, peer.scored[contest.wish.name])
            said = losses(contest.figures, our_row, row)
            lost += [f"{contest.wish.name}, seed {seed}, beside {row.who}: {each}" for each in said]
            table.add_row(str(seed), *_contest_cells(row), "; ".join(said) or "nothing")
    return table, lost


def _contest_cells(row: Row) -> tuple[str, ...]:
    deviations = f"{row.memory_deviation:.4f}", f"{row.cpu_deviation:.4f}"
    return (row.who, f"{row.objective:.5f}", *deviations, str(row.moves), f"{row.gib:.0f}", f"{row.cpu_seconds:.2f}")
