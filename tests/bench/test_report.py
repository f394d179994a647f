"""What is asked for is measured, and what is printed is the median of what was measured."""

from __future__ import annotations

import argparse
import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from balancer.planning import make_plan
from balancer.solving.workers import Child, engine
from tests.bench.asked import read_command, seeds_from, sizes_from
from tests.bench.bars import weak_spots
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.contests import CONTESTS, EVENNESS, SIZE, Row, losses
from tests.bench.measuring import Measured, Task, carried_out, measure
from tests.bench.peers import FULL_CBC, HBAL, HBAL_30, HSQUEEZE, PeerMeasured, PeerTask, Scored
from tests.bench.table import beside_table, contest_table, table_of
from tests.bench.taking import own_use, taken_so_far
from tests.bench.wishes import BALANCE, BOTH, FEWEST, Wish
from tests.bench.wishes import THIRTY_MOVES_BRIEFLY as BRIEFLY

ONE = Measured(
    task=Task(BenchCase(8, 80, 1), BALANCE),
    norm_gap=0.01,
    is_proved_optimal=True,
    objective_now=0.3,
    objective=0.2,
    bound=0.1,
    moves=10,
    gib=100.0,
    hosts_on_before=8,
    hosts_on_after=5,
    cpu_deviation=0.1,
    memory_deviation=0.2,
    decision_seconds=1.0,
    cpu_seconds=1.5,
    peak_mib=70.0,
    child_mib=60.0,
    run_over_least=1.0,
    steps_again=0,
    verify_seconds=0.5,
    faults=(),
)


def of_seed(seed: int, wish: object = BALANCE, **changes: object) -> Measured:
    case = replace(ONE.task.case, seed=seed)
    return replace(ONE, task=replace(ONE.task, case=case, wish=wish), **changes)  # type: ignore[arg-type]


def printed_rows(*measured: Measured) -> list[list[str]]:
    return rows_of(table_of(measured, [one.task for one in measured]))


def rows_of(table: Table) -> list[list[str]]:
    screen = Console(file=io.StringIO(), width=300)
    screen.print(table)
    assert isinstance(screen.file, io.StringIO)
    lines = [line for line in screen.file.getvalue().splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


SCORED = Scored(objective=0.25, moves=7, gib=90.0, hosts_on=8, cpu_deviation=0.1, memory_deviation=0.2, excess=0.0)


def by_peer(peer: str, seed: int, wish: Wish = BALANCE, answer: Scored | None = SCORED) -> PeerMeasured:
    task = PeerTask(replace(ONE.task.case, seed=seed), peer, (wish,), 60)
    why = "" if answer else "no answer in 60 CPU s"
    return PeerMeasured(task, {wish.name: answer} if answer else {}, 9.0, 55.0, why)


def figures(*measured: Measured) -> dict[tuple[BenchCase, str], Measured]:
    return {(one.task.case, one.task.wish.name): one for one in measured}


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
    assert found.peak_mib > 10 and found.child_mib > 10 and found.hosts_on_after == 4
    assert found.steps_again == 0 and found.bound is not None and found.bound <= found.objective < found.objective_now


def test_a_step_that_the_next_plan_finds_is_not_lost_in_a_median() -> None:
    (row,) = printed_rows(of_seed(1), of_seed(2, steps_again=4), of_seed(3, steps_again=None))
    assert row[15] == "4"


def test_a_peer_is_measured_by_our_bound() -> None:
    table = beside_table(figures(of_seed(1), of_seed(2)), [by_peer(HBAL, 1), by_peer(HBAL, 2)], ["balance"])
    ours, theirs = rows_of(table)
    assert ours[2] == "balancer" and ours[-2:] == ["2 of 2", "2 of 2"]
    assert theirs[2:8] == [HBAL, "75.00%", "0.25000", "7", "90", "8"]


def test_a_peer_without_an_answer_says_so_and_counts() -> None:
    peers = [by_peer(HBAL, 1, answer=None), by_peer(HBAL, 2), by_peer(HSQUEEZE, 1, FEWEST, None)]
    ours = figures(of_seed(1), of_seed(2), of_seed(1, wish=FEWEST))
    _, hbal, _, hsqueeze = rows_of(beside_table(ours, peers, ["balance", "fewest"]))
    assert hbal[-2] == "1 of 2"
    assert hsqueeze[2:4] == [HSQUEEZE, "no answer in 60 CPU s"] and hsqueeze[-2] == "0 of 1"


def test_an_answer_that_breaks_a_promise_is_not_called_legal() -> None:
    table = beside_table(figures(of_seed(1)), [by_peer(HBAL, 1, answer=replace(SCORED, excess=0.1))], ["balance"])
    assert rows_of(table)[1][-1] == "0 of 1"


def test_a_contest_says_in_which_figures_we_are_no_better() -> None:
    (contest,) = (one for one in CONTESTS if one.wish == BRIEFLY)
    ours = figures(of_seed(1, wish=BRIEFLY), of_seed(2, wish=BRIEFLY, decision_seconds=0.1, gib=80.0))
    peers = [by_peer(HBAL_30, 1, BRIEFLY), by_peer(HBAL_30, 2, BRIEFLY)]
    table, lost = contest_table(contest, ours, peers)
    said = [row[-1] for row in rows_of(table) if row[1] == HBAL_30]
    assert said == ["GiB 100 > 90; CPU s 1.00 > 9.00 / 50", "nothing"]
    assert lost == [f"30 moves, briefly, seed 1, beside hbal -l 30: {each}" for each in said[0].split("; ")]


def test_as_good_is_good_enough_in_a_contest() -> None:
    ours = Row.ours(ONE)
    assert losses(EVENNESS, ours, replace(ours, who="other")) == []
    assert losses(EVENNESS, ours, replace(ours, moves=9)) == ["moves 10 > 9"]


def test_what_misses_its_bar_is_said_with_the_bar() -> None:
    def on(hosts: int, vms: int, **changes: object) -> Measured:
        return replace(ONE, task=replace(ONE.task, case=BenchCase(hosts, vms, 1)), **changes)  # type: ignore[arg-type]

    assert weak_spots([on(32, 500)]) == []
    assert weak_spots([on(32, 500, norm_gap=0.04)]) == ["32 x 500, balance: norm_gap 4.00%, the bar is 3.00%"]
    assert weak_spots([on(32, 500, decision_seconds=1.5)]) == ["32 x 500, balance: 1.50 CPU s, the bar is 1"]
    assert weak_spots([on(8, 80, run_over_least=1.2)]) == [
        "8 x 80, balance: takes up to 1.200 times the lower bound on its time, the bar is 1.05"
    ]
    assert weak_spots([on(8, 80, peak_mib=900.0, child_mib=200.0)]) == [
        "8 x 80, balance: 1100 MiB with the largest child, the bar is 1024"
    ]
    assert weak_spots([on(8, 80, steps_again=3)]) == [
        "8 x 80, balance: seed 1: the plan made after it has 3 more steps"
    ]


def test_under_rules_twice_the_gap_is_allowed() -> None:
    with_rules = replace(ONE, task=replace(ONE.task, case=BenchCase(32, 500, 1, rules=True)), norm_gap=0.04)
    assert weak_spots([with_rules]) == []
    assert weak_spots([replace(with_rules, norm_gap=0.07)])


def test_peers_are_given_no_rules_and_of_large_clusters_one() -> None:
    tasks = read_command([], cores=2).peer_tasks()
    assert not any(task.case.rules for task in tasks)
    assert {task.case.seed for task in tasks if task.case.vms == 2000} == {1}
    assert {task.case.seed for task in tasks if task.peer == HBAL and task.case.vms == 500} == {1, 2, 3, 4, 5}
    assert {task.wishes for task in tasks if task.peer == FULL_CBC} == {(BALANCE,), (BOTH,), (FEWEST,)}
    assert read_command(["--no-peers"], cores=2).peer_tasks() == []


def test_contests_are_held_where_their_size_is_measured() -> None:
    asked = read_command([], cores=2)
    assert {(task.case.hosts, task.case.vms) for task in asked.contest_tasks()} == {SIZE}
    assert len(asked.contest_tasks()) == len(CONTESTS) * 5
    assert read_command(["--sizes", "8x80"], cores=2).contest_tasks() == []


def test_the_largest_have_one_seed_and_no_rules() -> None:
    tasks = read_command(["--large"], cores=2).tasks()
    huge = {(str(task.case), task.case.seed) for task in tasks if task.case.vms > 10_000}
    assert huge == {("1000 x 20000", 1), ("10000 x 200000", 1)}


def test_hosts_that_a_plan_puts_to_sleep_may_be_woken_by_the_next() -> None:
    case = BenchCase(4, 20, 1)
    cluster, policy = cluster_of(case), FEWEST.policy(case)
    plan = make_plan(cluster, policy)
    later = carried_out(plan, cluster)
    asleep = [host.name for host in later.hosts if not host.is_on]
    assert asleep and set(asleep) == set(plan.summary.hosts_to_sleep)
    assert all(later.host(name).asleep_by_us and not later.guests_of(name) for name in asleep)
    assert policy.score(cluster, later) == pytest.approx(plan.summary.objective_after)


def test_a_plan_that_is_limited_is_not_asked_for_more() -> None:
    found = measure(Task(BenchCase(4, 30, 1), replace(BRIEFLY, most_moves=2)))
    assert found.moves == 2 and found.steps_again is None


def test_what_a_child_takes_is_counted() -> None:
    child = engine()
    assert isinstance(child, Child)
    before, (_, mib_before) = taken_so_far(), child.ask(own_use, within_seconds=60.0)
    child.ask(sorted, list(range(2_000_000))[::-1], within_seconds=60.0)
    after, (_, mib_after) = taken_so_far(), child.ask(own_use, within_seconds=60.0)
    assert after.cpu_seconds > before.cpu_seconds
    assert after.child_mib >= mib_after > mib_before + 30
