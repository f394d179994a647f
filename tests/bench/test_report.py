"""What is asked for is measured, and what is printed is the median of what was measured."""

from __future__ import annotations

import argparse
import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.bench.asked import read_command, seeds_from, sizes_from
from tests.bench.clusters import BenchCase
from tests.bench.measuring import BALANCE, BOTH, Measured, Task, measure
from tests.bench.table import table_of

ONE = Measured(
    task=Task(BenchCase(8, 80, 1), BALANCE),
    norm_gap=0.01,
    is_proved_optimal=True,
    objective=0.2,
    moves=10,
    gib=100.0,
    hosts_on_before=8,
    hosts_on_after=5,
    cpu_deviation=0.1,
    memory_deviation=0.2,
    cpu_seconds=1.0,
    peak_mib=70.0,
    run_over_least=1.0,
    verify_seconds=0.5,
    faults=(),
)


def of_seed(seed: int, wish: object = BALANCE, **changes: object) -> Measured:
    case = replace(ONE.task.case, seed=seed)
    return replace(ONE, task=replace(ONE.task, case=case, wish=wish), **changes)  # type: ignore[arg-type]


def printed_rows(*measured: Measured) -> list[list[str]]:
    screen = Console(file=io.StringIO(), width=200)
    screen.print(table_of(measured, [one.task for one in measured]))
    assert isinstance(screen.file, io.StringIO)
    lines = [line for line in screen.file.getvalue().splitlines() if line.startswith("| 8")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_row_is_the_median_over_the_seeds() -> None:
    gaps = {1: 0.05, 2: 0.01, 3: 0.02}
    (row,) = printed_rows(*(of_seed(seed, norm_gap=gap, moves=seed) for seed, gap in gaps.items()))
    assert row[2] == "2.00%" and row[5] == "2"


def test_what_is_not_defined_is_left_out_of_the_median() -> None:
    (row,) = printed_rows(of_seed(1, norm_gap=None), of_seed(2, norm_gap=0.03))
    assert row[2] == "3.00%"
    (row,) = printed_rows(of_seed(1, norm_gap=None))
    assert row[2] == "-"


def test_proofs_and_faults_are_counted_not_averaged() -> None:
    (row,) = printed_rows(
        of_seed(1, faults=("s1: breaks",)),
        of_seed(2, is_proved_optimal=False),
        of_seed(3, verify_seconds=None),
    )
    assert row[3] == "2 of 3"
    assert row[-1] == "1 in 2"


def test_weightings_have_rows_of_their_own() -> None:
    assert [row[1] for row in printed_rows(of_seed(1), of_seed(1, wish=BOTH))] == ["balance", "both"]


def test_the_usual_run_proves_plans_for_large_clusters_under_the_rules_of_one_seed_alone() -> None:
    tasks = read_command([], cores=2).tasks()
    large = [task for task in tasks if task.case.vms == 2000 and task.wish == BOTH]
    assert [task.case.seed for task in large if not task.case.rules] == [1, 2, 3, 4, 5]
    assert [(task.case.seed, task.is_verified) for task in large if task.case.rules] == [(1, True)]
    assert not any(task.is_verified for task in large if not task.case.rules)
    assert all(task.is_verified for task in tasks if task.case.vms < 2000)


def test_seeds_that_are_named_are_used_for_everything() -> None:
    tasks = read_command(["--sizes", "64x2000", "--seeds", "2-3"], cores=2).tasks()
    assert len(tasks) == 2 * 3 * 2 and all(task.is_verified for task in tasks)


def test_proofs_can_be_left_out() -> None:
    assert not any(task.is_verified for task in read_command(["--no-verify"], cores=2).tasks())


def test_sizes_and_seeds_read_as_people_write_them() -> None:
    assert sizes_from("8x80, 32x500") == ((8, 80), (32, 500))
    assert seeds_from("1-3,7,2") == (1, 2, 3, 7)


@pytest.mark.parametrize("text", ["", "8", "8x", "0x10", "8x80;9x90"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="8x80,32x500"):
        sizes_from(text)


@pytest.mark.parametrize("text", ["", "a", "5-1", "-1"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="1-5"):
        seeds_from(text)


def test_a_plan_is_measured_with_its_proof() -> None:
    found = measure(Task(BenchCase(4, 30, 1), BALANCE))
    assert found.moves > 0 and found.faults == ()
    assert found.norm_gap is not None and 0 <= found.norm_gap < 1
    assert found.verify_seconds is not None
    assert found.peak_mib > 10 and found.hosts_on_after == 4
