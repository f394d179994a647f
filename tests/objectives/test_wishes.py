"""Wishes: the score follows the formula, the solver's view agrees with it, and each share is of the whole cluster."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.cluster import Cluster
from balancer.domain.host import Power
from balancer.domain.placement import Move, Placement
from balancer.objectives import KINDS, EvenLoad, FewMoves, LeastPower, LittleWait, Objective
from balancer.objectives.little_wait import queue
from balancer.planning import make_plan
from balancer.policy import Policy
from balancer.policy.model import Objectives
from balancer.solving import Problem, find_placement
from tests.drawing import cluster, where


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


def policy(**wishes: object) -> Policy:
    return Policy.model_validate({"objectives": wishes, "stability": {"hold_minutes": 0.0}})


def after_the_plan(drawn: Cluster, wanted: Policy) -> dict[str, str]:
    """Return where guests are when the plan is done."""
    return where(drawn.after(*(step.move for step in make_plan(drawn, wanted).moves)))


def with_network(drawn: Cluster, capacity: dict[str, float], needs: dict[str, float]) -> Cluster:
    hosts = [
        h.model_copy(update={"resources": {"network": capacity[h.name]} if h.name in capacity else {}})
        for h in drawn.hosts
    ]
    vms = [v.model_copy(update={"resources": {"network": needs[v.name]} if v.name in needs else {}}) for v in drawn.vms]
    return drawn.model_copy(update={"hosts": tuple(hosts), "vms": tuple(vms)})


# -- evenness of any resource


def test_evenness_of_a_further_resource_counts_what_is_reported_on_hosts_that_have_it() -> None:
    drawn = with_network(
        cluster("h1 64: a=1 b=1 | h2 64: c=1 | h3 64: d=1"), {"h1": 100, "h2": 300}, {"a": 50, "c": 30, "d": 9}
    )
    wish = EvenLoad(weight=1, cpu=0, memory=0, resources={"network": 2.0})
    # b reports nothing and counts as 0, h3 has no capacity and counts for nothing
    assert wish.share(drawn, drawn) == pytest.approx(0.5 * 2.0 * (0.25 * 0.5**2 + 0.75 * 0.1**2))


def test_guests_that_load_the_network_part_ways_although_cpu_and_memory_are_even() -> None:
    drawn = with_network(cluster("h1 64: a=8 b=8 | h2 64: c=8 d=8"), {"h1": 100, "h2": 100}, {"a": 40, "b": 40})
    blind = after_the_plan(drawn, policy(even_load={"weight": 1.0}))
    seeing = after_the_plan(drawn, policy(even_load={"weight": 1.0, "resources": {"network": 1.0}}))
    assert blind == where(drawn)
    assert seeing["a"] != seeing["b"]


def test_a_reason_names_the_resource_that_is_evened() -> None:
    drawn = with_network(cluster("h1 64: a=8 b=8 | h2 64: c=8 d=8"), {"h1": 100, "h2": 100}, {"a": 40, "b": 40})
    plan = make_plan(drawn, policy(even_load={"weight": 1.0, "resources": {"network": 1.0}}))
    assert any("network: h1 80% → 40%, h2 0% → 40%" in step.because for step in plan.steps)


def test_cpu_is_not_said_twice() -> None:
    with pytest.raises(ValueError, match="lists cpu under `resources`"):
        EvenLoad(weight=1, resources={"cpu": 1.0})


# -- watts at the planned load


def test_watts_at_the_planned_load_are_read_from_the_table() -> None:
    drawn = cluster("h1 64: a=8/4 | h2 64: b=8/4 c=8/4 d=8/4 | h3 64 standby:")
    drawn = drawn.with_host("h1", power=Power(watts=(100, 160, 180)))  # 0, 8 and 16 cores
    drawn = drawn.with_host("h2", power=Power(idle_watts=200, peak_watts=400))
    drawn = drawn.with_host("h3", power=Power(idle_watts=100, peak_watts=400))
    assert LeastPower(weight=1).share(drawn, drawn) == pytest.approx(300 / 400)
    assert LeastPower(weight=1, planned_load=True).share(drawn, drawn) == pytest.approx((130 + 350) / 400)


def test_a_host_without_watts_draws_the_mean_of_the_others_at_its_own_load() -> None:
    drawn = cluster("h1 64: | h2 64: | h3 64: a=8/4 b=8/4")
    drawn = drawn.with_host("h1", power=Power(idle_watts=100, peak_watts=200))
    drawn = drawn.with_host("h2", power=Power(watts=(200, 300, 500)))
    # h3 idles at the mean, 150, and is half busy: mean of 50 and 100 above that
    assert LeastPower(weight=1, planned_load=True).share(drawn, drawn) == pytest.approx((300 + 150 + 75) / 450)


def test_more_load_than_a_host_has_draws_no_more_than_all_of_it() -> None:
    drawn = cluster("h1 64: a=8/4").with_host("h1", cpu_used_cores=20.0, power=Power(idle_watts=100, peak_watts=200))
    assert LeastPower(weight=1, planned_load=True).share(drawn, drawn) == pytest.approx(2.0)


def test_work_goes_where_it_takes_fewer_watts() -> None:
    drawn = cluster("h1 64: a=8/4 | h2 64: b=8/1")
    drawn = drawn.with_host("h1", power=Power(idle_watts=100, peak_watts=400), may_sleep=False)
    drawn = drawn.with_host("h2", power=Power(idle_watts=100, peak_watts=150), may_sleep=False)
    assert after_the_plan(drawn, policy(least_power={"weight": 1.0})) == where(drawn)
    assert after_the_plan(drawn, policy(least_power={"weight": 1.0, "planned_load": True})) == {"a": "h2", "b": "h2"}


def test_reasons_speak_of_watts_and_of_waiting() -> None:
    drawn = cluster("h1 64: a=8/4 | h2 64: b=8/1")
    drawn = drawn.with_host("h1", power=Power(idle_watts=100, peak_watts=400), may_sleep=False)
    drawn = drawn.with_host("h2", power=Power(idle_watts=100, peak_watts=150), may_sleep=False)
    saving = make_plan(drawn, policy(least_power={"weight": 1.0, "planned_load": True}))
    assert [step.because for step in saving.steps] == ["takes fewer watts on h2 than on h1"]
    crowded = cluster("h1 64: a=8/4 b=8/4 c=8/4 d=8/2 | h2 64: e=8/1")
    relieved = make_plan(crowded, policy(little_wait={"weight": 1.0}, few_moves={"weight": 0.02}))
    assert {step.because for step in relieved.steps} == {"lets guests on h1 wait less for a core"}


# -- little wait


def test_the_queue_is_that_of_one_and_of_many_cores() -> None:
    assert queue(1, 0.5) == pytest.approx(0.5)  # M/M/1: u^2 / (1 - u)
    assert queue(32, 0.9) == pytest.approx(4.25, abs=0.1)  # Erlang C: 4.04; the approximation is a little above it
    assert queue(32, 0.5) < 0.01


def test_waiting_is_a_share_of_all_cores_and_counts_hosts_that_are_on() -> None:
    drawn = cluster("h1 64: a=8/4 b=8/4 | h2 64: c=8/4 d=8/4 e=8/4 f=8/2.4 | h3 64 standby:")
    expected = (queue(16, 0.5) + queue(16, 0.9)) / 48
    assert LittleWait(weight=1).share(drawn, drawn) == pytest.approx(expected)


def test_a_guest_that_waits_asks_for_more_than_it_is_seen_to_use() -> None:
    drawn = cluster("h1 64: a=8/2 b=8/3 c=8/1")
    held_back = {"a": 0.2, "b": 0.5, "c": 1.0}
    vms = tuple(vm.model_copy(update={"cpu_wait_share": held_back[vm.name]}) for vm in drawn.vms)
    waiting = drawn.model_copy(update={"vms": vms})
    # a waits for 0.8 of its 4 vCPUs; b and c ask for no more than all of them
    assert [vm.need("cpu_demand") for vm in waiting.vms] == [pytest.approx(2.8), 4.0, 4.0]
    assert [vm.need("cpu") for vm in waiting.vms] == [2.0, 3.0, 1.0]
    assert waiting.used(waiting.hosts[0], "cpu_demand") == pytest.approx(10.8)


def test_what_a_host_uses_itself_is_demand_too() -> None:
    drawn = cluster("h1 64: a=8/2").with_host("h1", cpu_used_cores=5.0)
    assert drawn.used(drawn.hosts[0], "cpu_demand") == pytest.approx(5.0)


def test_a_crowded_host_is_relieved_and_a_half_full_one_is_left_alone() -> None:
    wanted = policy(little_wait={"weight": 1.0}, few_moves={"weight": 0.02})
    half = cluster("h1 64: a=8/4 b=8/4 | h2 64: c=8/1")
    crowded = cluster("h1 64: a=8/4 b=8/4 c=8/4 d=8/2 | h2 64: e=8/1")
    assert after_the_plan(half, wanted) == where(half)
    assert sum(host == "h2" for host in after_the_plan(crowded, wanted).values()) > 1


def test_a_guest_in_flight_that_arrives_where_it_was_going_has_not_moved() -> None:
    flying = cluster("h1 64: a=8 | h2 64:").while_moving(Move("a", "h1", "h2"))
    assert FewMoves(weight=1).share(flying, flying) == 0
    assert FewMoves(weight=1).share(flying, flying.after(Move("a", "h1", "h2"))) == 0
    assert FewMoves(weight=1).share(flying, flying.after(Move("a", "h2", "h1"))) == 1


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
