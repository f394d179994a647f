"""Wishes: the score follows the formula, the solver's view agrees with it, and each share is of the whole cluster."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.host import Power
from balancer.domain.placement import Move, Placement
from balancer.objectives import KINDS, EvenLoad, FewMoves, LeastPower, Objective
from balancer.policy.model import Objectives
from balancer.solving import Problem, find_placement
from tests.drawing import cluster


def test_even_load_is_the_mean_square_of_utilisation() -> None:
    drawn = cluster("h1 10: a=5/4 | h2 30: b=15/0")
    # CPU: (1/2 * 0.25^2 + 1/2 * 0), memory: (1/4 * 0.5^2 + 3/4 * 0.5^2)
    assert EvenLoad(weight=1).share(drawn, drawn) == pytest.approx(0.5 * (0.03125 + 0.25))


def test_even_load_grows_as_capacity_is_switched_off() -> None:
    drawn = cluster("h1 64: a=8 | h2 64:")
    packed = Placement({"a": "h1"}, frozenset({"h1"})).applied_to(drawn)
    moved = drawn.after(Move("a", "h1", "h2"))
    assert EvenLoad(weight=1).share(drawn, packed) == EvenLoad(weight=1).share(drawn, moved)


def test_least_power_is_the_share_of_idle_watts() -> None:
    drawn = cluster("h1 64: | h2 64: | h3 64 standby:")
    drawn = drawn.with_host("h1", power=Power(idle_watts=100, peak_watts=200))
    drawn = drawn.with_host("h2", power=Power(idle_watts=300, peak_watts=400))
    # h3 has no power data and is taken for the mean of those that have
    assert LeastPower(weight=1).share(drawn, drawn) == pytest.approx(400 / 600)


def test_least_power_weighs_hosts_alike_without_power_data() -> None:
    drawn = cluster("h1 64: | h2 64: | h3 64: | h4 64 standby:")
    assert LeastPower(weight=1).share(drawn, drawn) == pytest.approx(0.75)


def test_few_moves_is_the_share_of_memory_that_moves() -> None:
    drawn = cluster("h1 64: a=8 b=24 | h2 64:")
    assert FewMoves(weight=1).share(drawn, drawn.after(Move("a", "h1", "h2"))) == pytest.approx(0.25)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_has_an_example(kind: type[Objective]) -> None:
    assert kind.example.startswith(f"{kind.kind}: {{")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    homes=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 9), min_size=6, max_size=6),
    weights=st.tuples(st.floats(0, 2), st.floats(0, 2), st.floats(0, 1)),
)
def test_what_the_solver_reports_is_what_the_objectives_score(
    homes: list[int], sizes: list[int], weights: tuple[float, float, float]
) -> None:
    drawn = cluster(
        " | ".join(
            f"h{host} 99: " + " ".join(f"v{i}={sizes[i]}/{sizes[i] / 4}" for i in range(len(homes)) if homes[i] == host)
            for host in range(3)
        )
    )
    even, power, moves = weights
    wishes = Objectives(
        even_load=EvenLoad(weight=even), least_power=LeastPower(weight=power), few_moves=FewMoves(weight=moves)
    )
    decision = find_placement(
        Problem(
            cluster=drawn,
            costs=tuple(wishes.lower(drawn)),
            may_move=frozenset(vm.name for vm in drawn.vms),
            may_sleep=frozenset(host.name for host in drawn.hosts),
        )
    )
    later = decision.placement.applied_to(drawn)
    assert decision.objective_now == pytest.approx(wishes.score(drawn, drawn), abs=1e-9)
    assert decision.objective == pytest.approx(wishes.score(drawn, later), abs=1e-9)
