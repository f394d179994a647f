"""Costs of loads that follow tables, which bend as they like: the search is exact, the bounds are bounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.shapes import LoadTable
from balancer.objectives import EvenLoad
from balancer.objectives.little_wait import LEVELS, queue
from balancer.solving import Effort, Problem, find_placement
from balancer.solving.evacuation import empty_hosts
from balancer.solving.find import _bounded
from balancer.solving.lowering import arrays_of
from balancer.solving.pods import parts_of_problem, pods_of
from balancer.solving.score import Solution, score
from balancer.solving.state import State
from balancer.solving.tables import above_envelope, envelope, tables_of
from balancer.solving.work import Work
from tests.drawing import cluster
from tests.solving.outright import best_outright, cost_of
from tests.solving.outright import excess_of as excess_of_cluster
from tests.solving.tiny import random_problem, random_wishes
from tests.solving.walks import swaps_from_today

BY_SEARCH = Effort(exact_binaries=0, restarts=3)


def wished(seed: int, hosts: int | None = None, vms: int | None = None, effort: Effort | None = None) -> Problem:
    return random_wishes(seed, random_problem(seed, hosts, vms, effort))[0]


middling = st.builds(wished, st.integers(0, 10_000), st.integers(3, 6), st.integers(6, 16), st.just(BY_SEARCH))


def test_a_table_has_straight_lines_and_its_last_one_goes_on() -> None:
    table = LoadTable("h1", "cpu", ((0.0, 0.0), (2.0, 4.0), (4.0, 5.0)))
    assert [table.at(load) for load in (0.0, 1.0, 2.0, 3.0, 4.0, 8.0)] == [0.0, 2.0, 4.0, 4.5, 5.0, 7.0]


def test_several_tables_of_one_host_add_up_and_hosts_without_one_cost_nothing() -> None:
    first, second = (LoadTable("h1", "cpu", points) for points in (((0.0, 0.0), (4.0, 4.0)), ((0.0, 0.0), (1.0, 5.0))))
    tables = tables_of([first, second], {"h1": 0, "h2": 1}, 0, 10.0)
    loads = np.array([[0.5, 3.0], [7.0, 9.0], [20.0, 0.0]])
    assert tables.on_all(loads)[:, 0] == pytest.approx([first.at(x) + second.at(x) for x in loads[:, 0]])
    assert not tables.on_all(loads)[:, 1].any()
    assert tables.on_host(0, loads[:2, 0]) == pytest.approx(tables.on_all(loads)[:2, 0])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_an_envelope_is_convex_and_nowhere_above_its_points(costs: list[float]) -> None:
    points = [(float(place), cost) for place, cost in enumerate(costs)]
    corners = envelope(points)
    slopes = [(high - low) / (end - start) for (start, low), (end, high) in pairwise(corners)]
    assert slopes == sorted(slopes)
    assert min(above_envelope(points)) >= -1e-12
    assert {corners[0], corners[-1]} == {points[0], points[-1]} and set(corners) <= set(points)


@pytest.mark.parametrize("cores", [0.5, 1, 7.5, 32, 256])
def test_the_table_of_waiting_bends_upwards(cores: float) -> None:
    points = [(level, queue(cores, level)) for level in LEVELS]
    assert max(above_envelope(points)) < 1e-9


@pytest.mark.parametrize("seed", range(200))
def test_nothing_legal_is_better_and_the_bounds_are_below_the_best(seed: int) -> None:
    problem = wished(seed)
    decision = find_placement(problem)
    excess, cost = best_outright(problem)
    assert decision.excess == pytest.approx(excess, abs=1e-5)
    assert decision.objective <= cost * 1.0001 + 2e-6
    assert decision.objective == pytest.approx(
        cost_of(problem, decision.placement.applied_to(problem.cluster)), abs=1e-9
    )
    if excess_of_cluster(problem, problem.cluster) == 0:
        assert decision.bound is not None and decision.bound <= cost + 2e-6
        assert decision.proved_optimal
        priced, *_ = _bounded(problem, [arrays_of(problem)])
        assert priced is None or priced <= cost + 2e-6


@pytest.mark.parametrize("seed", range(200, 400))
def test_the_flow_model_bounds_every_legal_placement(seed: int) -> None:
    problem = wished(seed, effort=BY_SEARCH)
    bound = find_placement(problem).bound
    assert bound is not None
    assert bound <= best_outright(problem)[1] + 2e-6 or excess_of_cluster(problem, problem.cluster) > 0


@pytest.mark.parametrize("seed", range(40))
def test_the_bound_over_pods_is_below_what_is_found(seed: int) -> None:
    problem = wished(seed, 6, 18)
    if excess_of_cluster(problem, problem.cluster) > 0:
        return
    bound, *_ = _bounded(problem, [arrays_of(part) for part in parts_of_problem(problem, pods_of(problem, 3))])
    assert bound is None or bound <= find_placement(problem).objective + 1e-6


@pytest.mark.parametrize("seed", range(100))
def test_the_solver_and_the_wishes_agree_on_what_a_placement_costs(seed: int) -> None:
    problem, wishes = random_wishes(seed, random_problem(seed, 4, 10, BY_SEARCH))
    alone = Problem(
        problem.cluster, (), problem.costs, problem.may_move, problem.may_sleep, problem.may_wake, effort=BY_SEARCH
    )
    decision = find_placement(alone)
    later = decision.placement.applied_to(problem.cluster)
    assert decision.objective_now == pytest.approx(wishes.score(problem.cluster, problem.cluster), abs=1e-9)
    assert decision.objective == pytest.approx(wishes.score(problem.cluster, later), abs=1e-9)


@settings(derandomize=True, max_examples=40, deadline=None)
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
        np.testing.assert_allclose(state.changes(), State(arrays, state.solution()).changes(), atol=1e-9)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(middling)
def test_each_swap_changes_what_was_said(problem: Problem) -> None:
    for made in swaps_from_today(arrays_of(problem)):
        assert made.after.cost - made.before.cost == pytest.approx(made.said, abs=1e-9)


def test_a_host_that_lists_none_of_a_resource_does_not_draw_those_who_need_it() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=8 c=8 | h3 64:").with_host("h3", resources={"network": 100.0})
    vms = tuple(vm.model_copy(update={"resources": {"network": 10.0}}) for vm in drawn.vms)
    drawn = drawn.model_copy(update={"vms": vms})
    costs = tuple(EvenLoad(weight=1.0, resources={"network": 0.001}).lower(drawn))
    arrays = arrays_of(Problem(drawn, (), costs, frozenset({"a"}), frozenset({"h1"})))
    state = State(arrays, Solution.today(arrays))
    assert empty_hosts(state, [0], Work(100), tightly=False)
    assert state.at.tolist() == [2]
