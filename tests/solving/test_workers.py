"""Work in other processes: stopped when it takes too long, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.plan import Because
from balancer.planning import make_plan
from balancer.policy.model import Policy
from balancer.solving import find_placement, highs
from balancer.solving.workers import Child, Job, Overran, engine, side_by_side
from tests.drawing import cluster
from tests.solving.outright import is_legal
from tests.solving.test_highs import knapsack
from tests.solving.tiny import random_problem

EVEN = Policy.model_validate({"name": "even", "objectives": {"even_load": {"weight": 1.0}}})


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_takes_too_long_is_killed() -> None:
    child = Child()
    pid = child.ask(os.getpid, within_seconds=30)
    with pytest.raises(Overran):
        child.ask(time.sleep, 600, within_seconds=0.05)
    assert not is_running(pid)


def test_what_goes_wrong_in_a_child_is_raised_here() -> None:
    child = Child()
    with pytest.raises(ZeroDivisionError):
        child.ask(divmod, 1, 0, within_seconds=30)
    assert child.ask(divmod, 7, 2, within_seconds=30) == (3, 1)
    child.kill()


def test_jobs_are_done_side_by_side_and_the_late_ones_are_given_up() -> None:
    jobs = [Job(os.getpid, ()), Job(time.sleep, (600,)), Job(os.getpid, ())]
    answers = dict(side_by_side(jobs, within_seconds=3))
    assert answers[1] is None
    assert answers[0] and answers[2]
    assert not any(is_running(answers[place]) for place in (0, 2))


def test_a_child_ends_with_its_parent_even_when_that_is_killed() -> None:
    program = (
        "import os\nfrom balancer.solving.workers import engine\n"
        "print(engine().ask(os.getpid, within_seconds=30), flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid = int(run.stdout)
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")


def test_a_model_that_overruns_is_stopped_and_the_next_one_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine()
    assert isinstance(first, Child)
    first.send(time.sleep, 600)  # what HiGHS does now and then
    with monkeypatch.context() as patience:
        patience.setattr(highs, "GRACE_SECONDS", 0.1 - highs.HARD_SECONDS)
        outcome = highs.solve(knapsack(), seed=1, nodes=1000)
    assert outcome.overran and not outcome.found and outcome.bound is None
    assert highs.solve(knapsack(), seed=1, nodes=1000).found
    assert engine() is not first


class Stuck:
    """An engine that never answers in time."""

    def ask(self, what: str, *words: Any, within_seconds: float) -> Any:
        raise Overran


def test_a_decision_without_its_models_is_legal_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highs, "engine", Stuck)
    problem = random_problem(11, 4, 10)
    decision = find_placement(problem)
    assert decision.cut_short
    assert decision.bound is None and not decision.proved_optimal
    assert is_legal(problem, decision.placement)


def test_a_plan_says_that_thinking_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highs, "engine", Stuck)
    plan = make_plan(cluster("h1 64: a=16 b=16 | h2 64:"), EVEN)
    assert Because.SOLVER_STOPPED in [kept.because for kept in plan.kept]
    assert plan.summary.objective_bound is None
    assert plan.summary.objective_after < plan.summary.objective_before
