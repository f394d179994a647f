"""What an operator would say of a decision."""

from __future__ import annotations

from typing import Any

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.placement import Move
from balancer.domain.shapes import AllowedHosts, AtMost, CapacityShare, HostMust, HostOn, LoadCurve, Shape, Together
from balancer.domain.violation import TOLERANCE
from balancer.solving import Decision, Effort, Problem, find_placement
from tests.drawing import cluster

ALL = frozenset({"h1", "h2", "h3", "h4"})


def decide(drawn: Cluster, *shapes: Shape, power: float = 0.0, even: float = 1.0, **more: Any) -> Decision:
    """Decide with headroom for memory, everything movable, and whoever is on or asleep free to change that."""
    costs = [HostOn(host.name, power) for host in drawn.hosts]
    loads = [LoadCurve(host.name, "memory", even) for host in drawn.hosts]
    room = [CapacityShare(host.name, "memory", 0.9) for host in drawn.hosts]
    asked: dict[str, Any] = {
        "may_move": frozenset(vm.name for vm in drawn.vms),
        "may_sleep": ALL,
        "may_wake": ALL,
        **more,
    }
    return find_placement(Problem(drawn, (*room, *shapes), (*costs, *loads), **asked))


def moves(decision: Decision, drawn: Cluster) -> list[Move]:
    return list(decision.placement.moves_from(drawn))


def test_a_crowded_host_sheds_to_an_idle_one() -> None:
    drawn = cluster("h1 64: a=16 b=16 | h2 64:")
    assert len(moves(decide(drawn), drawn)) == 1


def test_power_empties_a_host_and_lets_it_sleep() -> None:
    drawn = cluster("h1 64: a=8 b=8 | h2 64: c=8")
    decision = decide(drawn, power=1.0, even=0.1)
    assert len(decision.placement.on) == 1
    assert decision.proved_optimal


def test_a_guest_that_may_not_move_keeps_its_host_awake() -> None:
    drawn = cluster("h1 64: a=8 b=8 | h2 64: c=8")
    decision = decide(drawn, power=1.0, even=0.1, may_move=frozenset({"a", "b"}))
    assert decision.placement.on == {"h2"}


def test_a_shut_off_guest_that_may_not_move_keeps_its_host_awake_too() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: c=8~")
    assert decide(drawn, power=1.0, even=0.1, may_move=frozenset({"a"})).placement.on == {"h2"}


def test_a_shut_off_guest_that_may_move_leaves_with_the_others() -> None:
    drawn = cluster("h1 64: a=8 b=8 | h2 64: c=8~")
    decision = decide(drawn, power=1.0, even=0.1)
    assert len(decision.placement.on) == 1
    assert len(set(decision.placement.homes.values())) == 1


def test_a_host_that_may_not_sleep_stays_on_though_empty() -> None:
    drawn = cluster("h1 64: a=8 | h2 64:")
    assert decide(drawn, power=1.0, may_sleep=frozenset({"h1"})).placement.on >= {"h2"}


def test_nothing_moves_to_a_doubted_host_and_it_is_not_put_to_sleep() -> None:
    doubts = (Doubt(subject="host:h2", kind="stale"),)
    drawn = cluster("h1 64: a=16 b=16 | h2 64:", doubts=doubts)
    assert moves(decide(drawn), drawn) == []
    assert "h2" in decide(drawn, power=1.0).placement.on


def test_a_guest_in_doubt_stays_where_it_is() -> None:
    drawn = cluster("h1 64: a=16 | h2 64: b=16", doubts=(Doubt(subject="vm:a", kind="unknown"),))
    assert decide(drawn, power=1.0, even=0.1).placement.on == {"h1"}


def test_a_guest_in_flight_fills_both_ends_and_keeps_both_awake() -> None:
    drawn = cluster("h1 64: a=32 | h2 64: | h3 64: b=32").while_moving(Move("a", "h1", "h2"))
    decision = decide(drawn, power=1.0, even=0.0)
    assert decision.placement.on == {"h1", "h2", "h3"}
    assert decision.placement.homes["b"] == "h3"


def test_a_host_over_its_limit_is_relieved_first_and_takes_nothing() -> None:
    drawn = cluster("h1 64: a=32 b=30 | h2 64: c=4")
    decision = decide(drawn, power=9.0, even=0.0, max_moves=1, effort=Effort(exact_binaries=0, restarts=0))
    assert decision.excess_now > 0
    assert decision.excess == 0
    assert [move.source for move in moves(decision, drawn)] == ["h1"]


def test_a_sleeping_host_is_woken_where_a_promise_cannot_be_kept_without() -> None:
    drawn = cluster("h1 64: a=32 b=30 | h2 64 standby:")
    decision = decide(drawn, power=9.0)
    assert decision.placement.on == {"h1", "h2"}
    assert decision.excess == 0


def test_a_sleeping_host_that_may_not_be_woken_sleeps_on() -> None:
    drawn = cluster("h1 64: a=32 b=30 | h2 64 standby:")
    decision = decide(drawn, may_wake=frozenset())
    assert decision.placement.on == {"h1"}
    assert decision.excess == decision.excess_now > TOLERANCE


def test_a_host_that_must_be_on_is_woken_and_one_that_must_be_off_is_emptied() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=8 | h3 64 standby:")
    decision = decide(drawn, HostMust("h3", True), HostMust("h2", False))
    assert decision.placement.on == {"h1", "h3"}


def test_guests_that_stay_together_move_together() -> None:
    drawn = cluster("h1 64: a=12 b=12 c=24 | h2 64:")
    homes = decide(drawn, Together(frozenset({"a", "b"}))).placement.homes
    assert homes["a"] == homes["b"] != homes["c"]


def test_a_split_group_is_brought_together_where_least_memory_moves() -> None:
    drawn = cluster("h1 64: a=20 | h2 64: b=4")
    decision = decide(drawn, Together(frozenset({"a", "b"})))
    assert decision.placement.homes == {"a": "h1", "b": "h1"}
    assert decision.excess == 0


def test_a_split_group_without_room_is_left_as_it_is() -> None:
    drawn = cluster("h1 64: a=40 | h2 64: b=40 | h3 64:")
    decision = decide(drawn, Together(frozenset({"a", "b"})))
    assert moves(decision, drawn) == []
    assert decision.excess == decision.excess_now == 1


def test_a_group_with_an_immovable_member_stays() -> None:
    drawn = cluster("h1 64: a=20 b=20 | h2 64:")
    decision = decide(drawn, Together(frozenset({"a", "b"})), may_move=frozenset({"a"}))
    assert moves(decision, drawn) == []


def test_guests_that_are_too_many_in_a_rack_leave_it() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=8 | h3 64:")
    decision = decide(drawn, AtMost(frozenset({"a", "b"}), frozenset({"h1", "h2"}), 1))
    assert "h3" in decision.placement.homes.values()
    assert decision.excess == 0


def test_a_guest_leaves_a_host_where_it_may_not_be() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=30")
    decision = decide(drawn, AllowedHosts("a", frozenset({"h2"})), power=0.0)
    assert decision.placement.homes["a"] == "h2"


def test_the_budget_is_kept() -> None:
    drawn = cluster("h1 96: a=20 b=20 c=20 d=20 | h2 96:")
    assert len(moves(decide(drawn, max_moves=1), drawn)) == 1
    assert moves(decide(drawn, max_mib=19 * 1024.0), drawn) == []


def test_guests_that_fit_only_after_others_changed_places_are_packed() -> None:
    """Two hosts hold 57 GiB each of 57.6; whoever is emptied has to be interleaved with guests that stay."""
    drawn = cluster("h1 64: a=30 b=17 | h2 64: c=27 d=10 | h3 64: e=17 f=13")
    searched = decide(drawn, power=1.0, even=0.0, effort=Effort(exact_binaries=0))
    assert len(searched.placement.on) == 2
    assert searched.excess == 0


def test_a_host_is_emptied_where_others_have_to_change_places_for_it() -> None:
    """Nobody can step aside for f alone: b and c have to change places first."""
    drawn = cluster("h1 64: a=30 b=26 | h2 64: c=20 d=19 e=12 | h3 64: f=7")
    searched = decide(drawn, power=1.0, even=0.0, may_sleep=frozenset({"h3"}), effort=Effort(exact_binaries=0))
    assert searched.placement.on == {"h1", "h2"}
    assert searched.excess == 0


def test_a_guest_steps_aside_though_another_host_is_past_help() -> None:
    """h4 is over its limit for good. h3 can be emptied only once b has made room for f."""
    drawn = cluster("h1 64: a=40 b=12 | h2 64: c=44 | h3 64: f=16 | h4 64: s=62")
    movable = frozenset({"a", "b", "c", "f"})
    searched = decide(
        drawn, power=1.0, even=0.0, may_move=movable, may_sleep=frozenset({"h3"}), effort=Effort(exact_binaries=0)
    )
    assert "h3" not in searched.placement.on
