"""Hosts that are emptied: who leaves, where nobody goes, and exactly why somebody stays."""

from __future__ import annotations

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.memory import Memory
from balancer.domain.outcome import outcome
from balancer.domain.plan import Action, Because, Kept, Plan, Step
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from tests.drawing import cluster, where
from tests.planning.test_making import policy
from tests.planning.test_verify import plan_of

WISHES = "objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}\n"
RULES = policy(WISHES)
WATCHED = Memory(wanted_since={})


def drained(drawing: str, *names: str) -> Cluster:
    """Draw a cluster with some hosts drained, as a look shows them."""
    drawn = cluster(drawing)
    for name in names:
        state = drawn.host(name).state
        state = HostState.DRAINING if state is HostState.UP else state
        drawn = drawn.with_host(name, drained=True, cordoned=True, state=state)
    return drawn


def planned(drawn: Cluster, rules: Policy = RULES, memory: Memory = WATCHED) -> Plan:
    plan = make_plan(drawn, rules, memory)
    assert verify(plan, drawn, rules, memory) == ()
    return plan


def kept(plan: Plan, subject: str) -> Kept:
    return next(each for each in plan.kept if each.subject == subject)


def test_guests_leave_at_once_and_nobody_else_moves() -> None:
    plan = planned(drained("h1 64: a=8 b=8 | h2 64: c=8/6 d=8/6 | h3 64:", "h1"))
    assert {step.vm for step in plan.moves} == {"a", "b"}
    assert plan.wanted


def test_those_who_leave_are_spread_as_the_wishes_want_it() -> None:
    drawn = drained("h1 64: a=8/3 b=8/3 | h2 64: | h3 64:", "h1")
    assert sorted(where(outcome(planned(drawn), drawn)).values()) == ["h2", "h3"]


def test_nobody_moves_to_a_drained_host_and_its_room_is_not_counted_on() -> None:
    drawn = drained("h1 64: | h2 20: a=8 b=8 c=8", "h1")
    plan = planned(drawn)
    assert plan.moves == ()
    assert [unmet.promise for unmet in plan.unmet] == ["headroom"]


def test_a_drained_host_is_neither_put_to_sleep_nor_woken() -> None:
    saver = policy("objectives: {even_load: {weight: 0.3}, least_power: {weight: 1}}")
    drawn = drained("h1 64: | h2 64: b=8 | h3 64 standby:", "h1", "h3")
    plan = planned(drawn, saver, Memory())
    assert [step.host for step in plan.steps if step.action is Action.POWER_OFF] == []
    assert kept(plan, "host:h1").because is Because.KEPT_FOR_MAINTENANCE
    crowded = drained("h1 20: a=8 b=8 c=8 | h3 64 standby:", "h3")
    assert planned(crowded, saver, Memory()).summary.hosts_to_wake == ()
    wrong = plan_of(Step(id="s1", action=Action.POWER_OFF, host="h1", how="soft"), seen=drawn)
    assert "it is kept for maintenance" in "\n".join(map(str, verify(wrong, drawn, saver)))


def test_a_move_onto_a_drained_host_is_objected_to() -> None:
    drawn = cluster("h1 64: | h2 64: b=8").with_host("h1", drained=True)
    wrong = plan_of(Step(id="s1", action=Action.MOVE, vm="b", source="h2", target="h1", kind="live"), seen=drawn)
    assert "h1 is drained" in "\n".join(map(str, verify(wrong, drawn, RULES)))


REASONS = {
    "the guest cannot be moved": ("h1 64: a=8! | h2 64:", "", Because.IMMOVABLE, "movable: never"),
    "the guest is pinned by the policy": (
        "h1 64: a=8 | h2 64: | h3 64:",
        "constraints: [{kind: stay, name: pinned, vms: [a]}]",
        Because.NO_HOST_ALLOWED,
        "pinned: it has to stay where it is",
    ),
    "a rule holds it": (
        "h1 64: a=8@db | h2 64: b=8@db | h3 64: c=8@db",
        "constraints: [{kind: apart, name: db-apart, match: {app: db}}]",
        Because.NO_HOST_ALLOWED,
        "db-apart",
    ),
    "it may run nowhere else": (
        "h1 64: a=8 | h2 64:",
        "constraints: [{kind: only_on, name: licence, vms: [a], hosts: [h1]}]",
        Because.NO_HOST_ALLOWED,
        "licence",
    ),
    "nobody has room": ("h1 64: a=31 | h2 32: b=8 | h3 32: c=8", "", Because.NO_ROOM_ELSEWHERE, "of its memory"),
    "nobody takes guests": (
        "h1 64: a=8 | h2 64 maintenance:",
        "",
        Because.NO_HOST_ALLOWED,
        "no other host takes guests",
    ),
    "moves are frozen": ("h1 64: a=8 | h2 64:", "freeze: moves", Because.FROZEN, "freeze: moves"),
    "the budget is spent": (
        "h1 64: a=8 | h2 64:",
        "budget: {moves: 0}",
        Because.BUDGET_SPENT,
        "budget.moves allows 0 in this cycle; the next one goes on",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_who_stays_is_said_with_the_exact_reason(name: str) -> None:
    drawing, rules, because, detail = REASONS[name]
    drawn = drained(drawing, "h1")
    plan = planned(drawn, policy(WISHES + rules))
    assert where(outcome(plan, drawn))["a"] == "h1"
    assert kept(plan, "vm:a").because is because
    assert detail in kept(plan, "vm:a").detail


def test_a_pair_that_has_one_other_host_parts_and_the_second_stays() -> None:
    drawn = drained("h1 64: a=8@db b=8@db | h2 64:", "h1")
    plan = planned(drawn, policy(WISHES + "constraints: [{kind: apart, name: db-apart, match: {app: db}}]"))
    assert len(plan.moves) == 1
    (stays,) = {"a", "b"} - {step.vm for step in plan.moves}
    assert kept(plan, f"vm:{stays}").because is Because.NO_HOST_ALLOWED
    assert kept(plan, f"vm:{stays}").detail.startswith("db-apart: ")


def test_a_cool_down_does_not_hold_an_evacuation_up() -> None:
    drawn = drained("h1 64: a=8 | h2 64:", "h1")
    fresh = Memory(cooling_until={"a": drawn.taken_at.replace(hour=13)})
    strict = policy(WISHES + "stability: {mending_overrides_cooldown: false}")
    for rules in (RULES, strict):
        assert [step.vm for step in planned(drawn, rules, fresh).moves] == ["a"]


def test_an_evacuation_that_outlasts_the_budget_takes_what_it_can() -> None:
    drawn = drained("h1 64: a=8 b=8 c=8 | h2 64: | h3 64:", "h1")
    rules = policy(WISHES + "budget: {moves: 2}")
    first = planned(drawn, rules)
    assert len(first.moves) == 2
    after = outcome(first, drawn)
    second = planned(after, rules)
    assert len(second.moves) == 1
    assert outcome(second, after).guests_of("h1") == ()


def test_a_guest_that_leaves_a_drained_host_is_said_to_leave_it() -> None:
    drawn = cluster("h1 64: a=8/1 b=8/1 | h2 64: c=8/1").with_hosts(HostState.DRAINING, "h1")
    plan = make_plan(drawn, Policy())
    assert {step.because for step in plan.moves} == {"empties h1, which is draining"}
