"""On clusters small enough to try every placement: the answer is the best, and the bound is a bound."""

from __future__ import annotations

import pytest

from balancer.solving import find_placement
from tests.solving.outright import best_outright, cost_of, excess_of, is_legal
from tests.solving.tiny import random_problem


@pytest.mark.parametrize("seed", range(150))
def test_nothing_legal_is_better(seed: int) -> None:
    problem = random_problem(seed)
    decision = find_placement(problem)
    excess, cost = best_outright(problem)
    assert decision.excess == pytest.approx(excess, abs=1e-5)
    assert decision.objective <= cost * 1.0001 + 2e-6
    assert decision.bound is not None
    if excess_of(problem, problem.cluster) == 0:
        assert decision.bound <= cost + 2e-6
        assert decision.proved_optimal


@pytest.mark.parametrize("seed", range(150))
def test_what_is_reported_is_what_the_cluster_would_be(seed: int) -> None:
    problem = random_problem(seed)
    decision = find_placement(problem)
    later = decision.placement.applied_to(problem.cluster)
    assert is_legal(problem, decision.placement)
    assert decision.objective == pytest.approx(cost_of(problem, later), abs=1e-9)
    assert decision.excess == pytest.approx(excess_of(problem, later), abs=1e-7)
    assert decision.objective_now == pytest.approx(cost_of(problem, problem.cluster), abs=1e-9)
    assert decision.excess_now == pytest.approx(excess_of(problem, problem.cluster), abs=1e-7)
