"""The largest clusters are measured by their decision alone: the same placement as a plan's, without the way to it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.bench import measuring
from tests.bench.clusters import BenchCase
from tests.bench.measuring import BALANCE, FEWEST, Measured, Task, Wish, measure


def decided(task: Task) -> Measured:
    measuring.PLANNED_VMS = 0
    return measure(task)


@pytest.mark.parametrize("wish", [BALANCE, FEWEST], ids=lambda wish: wish.name)
def test_a_decision_is_worth_what_its_plan_is_worth(wish: Wish) -> None:
    task = Task(BenchCase(4, 24, 1), wish, is_verified=False)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        plan, decision = pool.submit(measure, task).result(), pool.submit(decided, task).result()
    assert decision.objective == pytest.approx(plan.objective, abs=1e-6)
    assert (decision.moves, decision.hosts_on_after) == (plan.moves, plan.hosts_on_after)
    assert decision.gib == pytest.approx(plan.gib, abs=0.01)
    assert decision.cpu_deviation == pytest.approx(plan.cpu_deviation, abs=1e-4)
    assert decision.run_over_least is None and decision.faults == ()
