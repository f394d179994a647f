"""The order of moves: every state on the way is legal, deadlocks are broken by a hop, and time is not wasted."""

from __future__ import annotations

from math import inf
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.constraints import Apart, Constraint, Headroom, Together
from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.violation import worsened
from balancer.domain.vm import Movable
from balancer.planning.order import Schedule, order
from tests.drawing import cluster

FULL = Headroom(cpu=1.0, memory=1.0)


def scheduled(
    drawn: Cluster, *moves: Move, promises: tuple[Constraint, ...] = (FULL,), slots: int = 2, **more: Any
) -> Schedule:
    shapes = [shape for promise in promises for shape in promise.lower(drawn)]
    return order(drawn, moves, shapes, lambda move: drawn.vm(move.vm).memory_mib / 1024, slots, **more)


def test_a_guest_waits_for_the_room_that_another_leaves() -> None:
    drawn = cluster("h1 10: a=8 | h2 10: b=8 | h3 10:")
    plan = scheduled(drawn, Move("a", "h1", "h2"), Move("b", "h2", "h3"))
    first, second = plan.timed
    assert (first.move.vm, second.move.vm) == ("b", "a")
    assert second.after == (0,)
    assert second.start >= first.end


def test_a_swap_that_does_not_fit_hops_over_a_third_host() -> None:
    drawn = cluster("h1 10: a=8 | h2 10: b=6 | h3 10:")
    plan = scheduled(drawn, Move("a", "h1", "h2"), Move("b", "h2", "h1"))
    assert [(t.move.vm, t.move.target, t.is_hop) for t in plan.timed] == [
        ("b", "h3", True),
        ("a", "h2", False),
        ("b", "h1", False),
    ]
    assert plan.timed[2].after == (0, 1)
    assert plan.dropped == ()


def test_nobody_hops_over_a_host_that_is_about_to_sleep() -> None:
    drawn = cluster("h1 10: a=8 | h2 10: b=6 | h3 10:")
    moves = Move("a", "h1", "h2"), Move("b", "h2", "h1")
    plan = scheduled(drawn, *moves, leaving_hosts=frozenset({"h3"}))
    assert plan.timed == ()
    assert set(plan.dropped) == set(moves)


def test_nobody_hops_where_no_way_leads_and_none_that_would_be_shut_down_twice() -> None:
    drawn = cluster("h1 10: a=8 | h2 10: b=6 | h3 10:")
    moves = Move("a", "h1", "h2"), Move("b", "h2", "h1")
    shapes = list(FULL.lower(drawn))
    seconds = {Move("a", "h1", "h2"): 8.0, Move("b", "h2", "h1"): 6.0, Move("b", "h2", "h3"): 6.0}
    assert order(drawn, moves, shapes, lambda move: seconds.get(move, inf)).timed == ()
    seconds[Move("b", "h3", "h1")] = 6.0
    assert len(order(drawn, moves, shapes, lambda move: seconds.get(move, inf)).timed) == 3
    cold = drawn.model_copy(update={"vms": tuple(vm.model_copy(update={"movable": Movable.COLD}) for vm in drawn.vms)})
    assert order(cold, moves, shapes, lambda move: seconds.get(move, inf)).timed == ()


def test_a_guest_steps_aside_where_that_lets_others_in_sooner() -> None:
    """The chain x, c, a would take 39 + 16 + 20; while x leaves, c may stand on another host, and a comes in."""
    drawn = cluster("h1 40: a=20 | h2 20: c=16 | h3 40: x=39 | h4 60: y=1")
    plan = scheduled(drawn, Move("x", "h3", "h4"), Move("c", "h2", "h3"), Move("a", "h1", "h2"))
    assert [(t.move.target == "h3", t.is_hop) for t in plan.timed if t.move.vm == "c"] == [(False, True), (True, False)]
    assert plan.dropped == ()
    assert plan.seconds == 39 + 16


def test_two_guests_step_aside_where_one_alone_would_not_make_enough_room() -> None:
    drawn = cluster("h1 12: a=10 | h2 10: b=4 c=4 | h3 9:")
    plan = scheduled(drawn, Move("a", "h1", "h2"), Move("b", "h2", "h1"), Move("c", "h2", "h1"))
    assert sorted((t.move.vm, t.move.target) for t in plan.timed if t.is_hop) == [("b", "h3"), ("c", "h3")]
    assert plan.dropped == ()


def test_members_that_must_be_apart_do_not_meet_halfway() -> None:
    drawn = cluster("h1 64: a=8@db | h2 64: c=8@db | h3 64:")
    apart = Apart(kind="apart", match={"app": "db"})
    plan = scheduled(drawn, Move("a", "h1", "h2"), Move("c", "h2", "h3"), promises=(FULL, apart))
    assert [t.move.vm for t in plan.timed] == ["c", "a"]
    assert plan.timed[1].after == (0,)


def test_a_group_that_stays_together_starts_together() -> None:
    drawn = cluster("h1 64: web=8 x=1 cache=8 y=1 | h2 64:")
    moves = [Move(name, "h1", "h2") for name in ("web", "x", "cache", "y")]
    plan = scheduled(drawn, *moves, promises=(FULL, Together(kind="together", vms=("web", "cache"))))
    names = [t.move.vm for t in plan.timed]
    assert abs(names.index("web") - names.index("cache")) == 1


def test_a_woken_host_takes_guests_only_when_it_is_ready() -> None:
    drawn = cluster("h1 64: a=8 | h2 64 standby:")
    plan = scheduled(drawn, Move("a", "h1", "h2"), ready_after={"h2": 180.0})
    assert plan.timed[0].start == 180.0


def test_slots_are_kept_and_time_is_near_its_bound() -> None:
    drawn = cluster("h1 100: " + " ".join(f"v{i}=2" for i in range(12)) + " | h2 100: | h3 100: | h4 100:")
    moves = [Move(f"v{i}", "h1", f"h{2 + i % 3}") for i in range(12)]
    plan = scheduled(drawn, *moves, slots=2)
    for item in plan.timed:
        side_by_side = [t for t in plan.timed if t.start <= item.start < t.end]
        assert len(side_by_side) <= 2
    assert plan.seconds <= 1.05 * plan.seconds_at_least


@st.composite
def tight_clusters(draw: st.DrawFn) -> tuple[Cluster, list[Move]]:
    count = draw(st.integers(2, 4))
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=9))
    homes = [draw(st.integers(0, count - 1)) for _ in sizes]
    goals = [draw(st.integers(0, count - 1)) for _ in sizes]
    need = [
        max(sum(s for s, h in zip(sizes, at, strict=True) if h == host) for at in (homes, goals))
        for host in range(count)
    ]
    slack = draw(st.integers(0, 4))
    text = " | ".join(
        f"h{host} {max(1, need[host] + slack)}: "
        + " ".join(
            f"v{i}={size}/0.1@{'db' if i % 3 == 0 else 'web'}" for i, size in enumerate(sizes) if homes[i] == host
        )
        for host in range(count)
    )
    moves = [Move(f"v{i}", f"h{homes[i]}", f"h{goals[i]}") for i in range(len(sizes)) if homes[i] != goals[i]]
    return cluster(text), moves


@settings(max_examples=300, deadline=None, derandomize=True)
@given(tight_clusters(), st.randoms(use_true_random=False))
def test_whatever_order_dependencies_allow_is_legal(case: tuple[Cluster, list[Move]], luck: Random) -> None:
    """An executor that starts and ends steps at random, honouring dependencies alone, never breaks a promise."""
    drawn, moves = case
    promises: tuple[Constraint, ...] = (FULL, Apart(kind="apart", match={"app": "db"}, at_most=2))
    plan = scheduled(drawn, *moves, promises=promises)
    before = [violation for promise in promises for violation in promise.violations(drawn)]
    state, done, flying = drawn, set[int](), set[int]()
    while len(done) < len(plan.timed):
        ready = [i for i, t in enumerate(plan.timed) if i not in done | flying and done.issuperset(t.after)]
        choices = [("start", i) for i in ready] * 3 + [("end", i) for i in sorted(flying)]
        what, i = luck.choice(choices)
        move = plan.timed[i].move
        if what == "start":
            state = state.while_moving(move)
            flying.add(i)
        else:
            state = state.after(move)
            flying.remove(i)
            done.add(i)
        now = [violation for promise in promises for violation in promise.violations(state)]
        assert worsened(before, now) == []
