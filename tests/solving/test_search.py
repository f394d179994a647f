"""The search alone, on clusters that nobody can try outright: legal, never worse, and its sums are right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.solving import Effort, Problem, find_placement
from balancer.solving.lowering import arrays_of
from balancer.solving.score import Solution, excess_of, load_of, score
from balancer.solving.state import State
from tests.solving.outright import best_outright, is_legal
from tests.solving.outright import excess_of as excess_of_cluster
from tests.solving.tiny import random_problem
from tests.solving.walks import swaps_from_today

BY_SEARCH = Effort(exact_binaries=0, restarts=3)
middling = st.builds(random_problem, st.integers(0, 10_000), st.integers(3, 6), st.integers(6, 16), st.just(BY_SEARCH))


@settings(derandomize=True, max_examples=25, deadline=None)
@given(middling)
def test_what_the_search_finds_is_legal_and_never_worse(problem: Problem) -> None:
    decision = find_placement(problem)
    assert is_legal(problem, decision.placement)
    assert (round(decision.excess, 6), decision.objective) <= (round(decision.excess_now, 6), decision.objective_now)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(middling)
def test_the_bound_is_below_what_was_found(problem: Problem) -> None:
    decision = find_placement(problem)
    assert decision.bound is not None
    assert decision.bound <= decision.objective + 2e-6 or decision.excess_now > 0


@pytest.mark.parametrize("seed", range(150, 300))
def test_the_flow_model_bounds_every_legal_placement(seed: int) -> None:
    problem = random_problem(seed, effort=BY_SEARCH)
    _, cost = best_outright(problem)
    bound = find_placement(problem).bound
    assert bound is not None
    assert bound <= cost + 2e-6 or excess_of_cluster(problem, problem.cluster) > 0


@settings(derandomize=True, max_examples=25, deadline=None)
@given(middling, st.integers(0, 1000))
def test_each_change_is_what_the_score_says(problem: Problem, seed: int) -> None:
    arrays, rng = arrays_of(problem), np.random.default_rng(seed)
    state = State(arrays, Solution.today(arrays))
    for _ in range(8):
        changes = state.changes()
        legal = np.argwhere(np.isfinite(changes))
        if not len(legal):
            return
        unit, host = (int(i) for i in rng.choice(legal))
        before = score(arrays, state.solution())
        state.relocate(unit, host)
        after = score(arrays, state.solution())
        assert after.cost - before.cost == pytest.approx(changes[unit, host], abs=1e-9)
        assert after.excess <= before.excess + 1e-9
        assert state.load == pytest.approx(load_of(arrays, state.at), abs=1e-6)
        fresh = State(arrays, state.solution())
        np.testing.assert_allclose(state.changes(), fresh.changes(), atol=1e-9)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(middling)
def test_each_swap_is_legal_and_changes_what_was_said(problem: Problem) -> None:
    arrays = arrays_of(problem)
    for made in swaps_from_today(arrays):
        assert made.after.cost - made.before.cost == pytest.approx(made.said, abs=1e-9)
        assert excess_of(arrays, made.state.solution()) <= made.before.excess + 1e-9
        assert made.state.guests_left >= 0 and made.state.mib_left >= -1e-6


def test_the_same_problem_has_the_same_answer() -> None:
    problem = random_problem(7, 6, 20)
    assert find_placement(problem) == find_placement(problem)
