"""Hosts that may be lost: a bound is a bound, and what the search calls safe the promise's own checker calls safe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from balancer.constraints import Reserve
from balancer.solving import find_placement
from balancer.solving.lowering import arrays_of
from balancer.solving.score import Solution, load_of
from tests.drawing import cluster
from tests.solving.outright import cost_of, excess_of, legal_clusters
from tests.solving.tiny import random_problem

RESERVES = [
    Reserve(kind="reserve"),
    Reserve(kind="reserve", memory=0.8, cpu=0.9),
    # Hosts may be fuller than a reserve may make them.
    Reserve(kind="reserve", memory=0.4, cpu=0.5),
]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("reserve", RESERVES, ids=["full", "tight", "tighter"])
def test_no_placement_with_a_reserve_is_cheaper_than_the_bound(seed: int, reserve: Reserve) -> None:
    problem = random_problem(seed, 3, 4)
    with_reserve = replace(problem, shapes=(*problem.shapes, *reserve.lower(problem.cluster)))
    if excess_of(problem, problem.cluster) > 0 or reserve.violations(problem.cluster):
        return
    decision = find_placement(with_reserve)
    plain = replace(problem, shapes=tuple(shape for shape in problem.shapes))
    safe = [later for later in legal_clusters(plain) if not reserve.violations(later)]
    best = min(cost_of(plain, later) for later in safe)
    assert decision.bound is not None and decision.bound <= best + 2e-6
    assert not reserve.violations(decision.placement.applied_to(problem.cluster))
    assert decision.objective >= best - 1e-6


@pytest.mark.parametrize("seed", range(80))
def test_solver_and_checker_find_the_same_guests_without_a_place(seed: int) -> None:
    problem = random_problem(seed, 4, 9)
    reserve = Reserve(kind="reserve", host_failures=1 + seed % 2, memory=0.6)
    arrays = arrays_of(replace(problem, shapes=(*problem.shapes, *reserve.lower(problem.cluster))))
    today = Solution.today(arrays)
    found = arrays.losses[0].homeless(today.at, today.on, load_of(arrays, today.at))
    assert sum(found.values()) == sum(violation.excess for violation in reserve.violations(problem.cluster))


def test_room_in_sum_is_no_room_for_the_largest_guest() -> None:
    drawn = cluster("h1 32: big=20 | h2 32: a=10 b=8 | h3 32: c=10 d=8")
    (violation,) = Reserve(kind="reserve").violations(drawn)
    assert (violation.subject, violation.excess) == ("host:h1", 1)
    assert violation.detail == "without h1 there is no room for big"
