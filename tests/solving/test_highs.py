"""The traps of PuLP and HiGHS, each with the answer that has to come out."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pulp
import pytest

from balancer.solving import highs


def knapsack(count: int = 30) -> Any:
    model = pulp.LpProblem("knapsack", pulp.LpMinimize)
    picks = [model.add_variable(f"x_{i}", cat=pulp.LpBinary) for i in range(count)]
    model += pulp.lpSum(-(17 + (i * 37) % 23) * x for i, x in enumerate(picks)) + 1000
    model += pulp.lpSum((19 + (i * 53) % 29) * x for i, x in enumerate(picks)) <= 11 * count
    return model


def test_the_constant_of_the_objective_is_in_the_bound_and_in_the_objective() -> None:
    outcome = highs.solve(knapsack(), seed=1, nodes=1000)
    assert outcome.bound == pytest.approx(outcome.objective, rel=1e-4)
    assert outcome.objective > 0


def test_a_run_cut_short_claims_no_more_than_it_proved() -> None:
    best = highs.solve(knapsack(), seed=1, nodes=100_000).objective
    short = highs.solve(knapsack(), seed=1, nodes=1)
    assert short.bound is not None
    assert short.bound <= best + 1e-6


def test_a_linear_model_is_its_own_bound() -> None:
    outcome = highs.solve_relaxed(knapsack(), seed=1, sharpen=lambda: 0, rounds=1)
    assert outcome.found
    assert outcome.bound == pytest.approx(outcome.objective)


def test_a_model_without_an_answer_says_so() -> None:
    model = pulp.LpProblem("none", pulp.LpMinimize)
    x = model.add_variable("x", 0, 1, cat=pulp.LpInteger)
    model += x
    model += 2 * x == 1
    outcome = highs.solve(model, seed=1, nodes=10)
    assert not outcome.found
    assert outcome.infeasible


def hidden() -> tuple[Any, dict[str, float]]:
    """A model whose answers are too rare to be stumbled upon, and one of them."""
    model = pulp.LpProblem("hidden", pulp.LpMinimize)
    picks = [model.add_variable(f"x_{i}", cat=pulp.LpBinary) for i in range(40)]
    answer = {x.name: float(i % 3 == 0) for i, x in enumerate(picks)}
    model += pulp.lpSum(picks)
    rng = random.Random(1)
    for _ in range(3):
        weights = [rng.randint(10_000, 99_999) for _ in picks]
        total = sum(w * answer[x.name] for w, x in zip(weights, picks, strict=True))
        model += pulp.lpSum(w * x for w, x in zip(weights, picks, strict=True)) == total
    return model, answer


def test_a_known_answer_is_started_from() -> None:
    model, answer = hidden()
    assert not highs.solve(model, seed=1, nodes=1).found
    assert highs.solve(model, seed=1, nodes=1, start=answer).objective == pytest.approx(sum(answer.values()))


def test_nothing_is_printed() -> None:
    program = (
        "import pulp\nfrom balancer.solving import highs\n"
        "model = pulp.LpProblem('one', pulp.LpMinimize)\nx = model.add_variable('x', 0, 1)\nmodel += x\n"
        "highs.solve(model, seed=1, nodes=1)\nprint('done')\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "done\n"
