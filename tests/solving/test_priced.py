"""Bounds by prices: what cannot be cut is not counted as if it could."""

from __future__ import annotations

from dataclasses import replace

import pytest

from balancer.planning.question import ask
from balancer.policy.model import Policy
from balancer.solving import Effort, find_placement
from balancer.solving.aggregate import solve_flow
from balancer.solving.lowering import arrays_of
from tests.drawing import cluster
from tests.solving.tiny import random_problem

EVEN = Policy.model_validate({"name": "even", "objectives": {"even_load": {"weight": 1.0}, "few_moves": {"weight": 0}}})


def test_a_guest_that_is_larger_than_the_mean_load_is_not_cut() -> None:
    drawn = cluster("h1 64: a=32 b=2 | h2 64: c=4 | h3 64: d=6")
    problem = replace(ask(drawn, EVEN).problem, effort=Effort(exact_binaries=0))
    decision = find_placement(problem)
    assert decision.gap is not None and decision.gap < 0.1  # cut, it would look as if 0.59 were left
    assert decision.placement.homes["a"] == "h1"
    assert decision.placement.homes["b"] != "h1"


@pytest.mark.parametrize("seed", range(60))
def test_the_bound_of_the_flow_is_no_higher_than_what_is_found_outright(seed: int) -> None:
    problem = random_problem(seed, effort=Effort())
    arrays = arrays_of(problem)
    decision = find_placement(problem)
    if decision.excess_now > 0:
        return
    bound = solve_flow(arrays, Effort(), 1).bound
    assert bound is None or bound <= decision.objective + 1e-6
