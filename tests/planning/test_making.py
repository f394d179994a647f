"""Plans as administrators meet them: what is done, what is left alone and why; and on random clusters always safe."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.host import HostState, Power
from balancer.domain.memory import Memory
from balancer.domain.outcome import outcome
from balancer.domain.plan import Action, Because, Kept, Plan
from balancer.domain.violation import hard_excess
from balancer.formats import read_text
from balancer.planning import make_plan, verify
from balancer.planning.making import _first_reasons
from balancer.policy import Policy
from balancer.policy.model import PowerRules
from tests.drawing import NOON, cluster, where


def policy(text: str = "") -> Policy:
    return read_text(f"schema: balancer.policy/1\n{text}", Policy, "policy")


EVEN = policy("objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}")
SAVER = policy("objectives: {even_load: {weight: 0.3}, least_power: {weight: 1}, few_moves: {weight: 0.02}}")


def planned(drawn: Cluster, rules: Policy = EVEN, memory: Memory | None = None) -> Plan:
    """Make a plan and insist that it is safe and no worse than staying put."""
    plan = make_plan(drawn, rules, memory or Memory())
    assert verify(plan, drawn, rules) == ()
    return plan


def doing(plan: Plan, action: Action) -> list[str]:
    return [step.host or "" for step in plan.steps if step.action is action]


def why(plan: Plan, subject: str) -> Because:
    return next(kept.because for kept in plan.kept if kept.subject == subject)


def doubting(drawn: Cluster, *subjects: str) -> Cluster:
    doubts = tuple(Doubt(subject=subject, kind="stale", detail="last seen 9 min ago") for subject in subjects)
    return Cluster.model_validate({**drawn.model_dump(by_alias=True), "doubts": doubts})


def test_a_skewed_cluster_is_evened_and_then_left_alone() -> None:
    drawn = cluster("h1 64: a=8/3 b=8/3 c=8/3 d=8/3 | h2 64:")
    plan = planned(drawn)
    after = outcome(plan, drawn)
    assert after.imbalance("cpu") == 0
    assert plan.summary.imbalance_before.cpu > 0.3
    assert all(step.because.startswith("evens ") for step in plan.moves)
    assert planned(after).steps == ()


def test_a_saver_empties_a_host_and_switches_it_off_last() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=16 c=16")
    plan = planned(drawn, SAVER)
    assert doing(plan, Action.POWER_OFF) == ["h1"]
    assert [step.action for step in plan.steps] == [Action.CORDON, Action.MOVE, Action.POWER_OFF]
    off = plan.steps[-1]
    assert set(off.depends_on) == {step.id for step in plan.steps[:-1]}
    assert (plan.summary.hosts_on_before, plan.summary.hosts_on_after) == (2, 1)


def test_a_sleeping_host_is_woken_waited_for_and_filled_in_one_plan() -> None:
    drawn = cluster("h1 20: a=6 b=6 c=6 d=4 | h2 64 standby:")
    plan = planned(drawn, SAVER)
    on, ready = plan.steps[0], plan.steps[1]
    assert (on.action, ready.action, on.host) == (Action.POWER_ON, Action.WAIT_READY, "h2")
    moves = [step for step in plan.moves if step.target == "h2"]
    assert moves
    assert all(ready.id in step.depends_on for step in moves)
    assert plan.summary.hosts_to_wake == ("h2",)


def test_a_host_that_somebody_else_switched_off_is_left_off() -> None:
    drawn = cluster("h1 20: a=6 b=6 c=6 d=4 | h2 64 powered_off:")
    plan = planned(drawn, SAVER)
    assert doing(plan, Action.POWER_ON) == []
    assert why(plan, "host:h2") is Because.NOT_PUT_TO_SLEEP_BY_US
    assert [unmet.promise for unmet in plan.unmet] == ["headroom"]
    listed = policy("power: {wake: [h2]}\nobjectives: {even_load: {weight: 1}}")
    assert doing(planned(drawn, listed), Action.POWER_ON) == ["h2"]


def test_a_host_that_is_drained_is_emptied() -> None:
    drawn = cluster("h1 64 draining: a=8 b=8 fix=1! | h2 64: | h3 64:")
    after = where(outcome(planned(drawn), drawn))
    assert after["a"] != "h1"
    assert after["b"] != "h1"
    assert after["fix"] == "h1"


def test_an_immovable_guest_is_load_and_keeps_its_host_awake() -> None:
    drawn = cluster("h1 64: fix=8! | h2 64: b=8")
    plan = planned(drawn, SAVER)
    assert where(outcome(plan, drawn)) == {"fix": "h1", "b": "h1"}
    assert doing(plan, Action.POWER_OFF) == ["h2"]
    assert why(plan, "vm:fix") is Because.IMMOVABLE
    assert why(plan, "host:h1") is Because.CARRIES_IMMOVABLE


def test_a_shut_off_guest_is_moved_before_its_host_sleeps() -> None:
    plan = planned(cluster("h1 64: a=8~ | h2 64: b=16"), SAVER)
    (move,) = plan.moves
    assert (move.vm, move.kind) == ("a", "cold")
    assert doing(plan, Action.POWER_OFF) == ["h1"]


def test_doubt_freezes_its_subject_and_keeps_everything_awake() -> None:
    drawn = cluster("h1 64: a=8/8 b=8/4 | h2 64: c=1/1 | h3 64: | h4 64: | h5 64: | h6 64:")
    plan = planned(doubting(drawn, "host:h1", "vm:c"), SAVER)
    assert plan.steps == ()
    assert why(plan, "vm:a") is Because.IN_DOUBT
    assert why(plan, "vm:c") is Because.IN_DOUBT
    assert why(plan, "host:h2") is Because.DOUBTS_ELSEWHERE


def test_a_guest_that_uses_more_than_it_has_is_doubted_and_counts_as_busy() -> None:
    drawn = cluster("h1 64: a=8/5600 | h2 64: b=8/1")
    assert drawn.used(drawn.host("h1"), "cpu") == 4
    plan = planned(drawn, SAVER)
    assert doing(plan, Action.POWER_OFF) == []
    assert why(plan, "vm:a") is Because.IN_DOUBT


def test_too_much_doubt_stops_all_moves() -> None:
    drawn = cluster("h1 64: a=8/8 b=8/4 | h2 64: | h3 64: | h4 64:")
    plan = planned(doubting(drawn, "host:h3"))
    assert plan.steps == ()
    assert plan.refused.startswith("1 of 4 hosts are in doubt, max_doubts allows 20%")
    assert "h3: last seen 9 min ago" in plan.refused


def test_a_host_whose_wake_is_not_proven_stays_on() -> None:
    drawn = cluster("h1 64: | h2 64: b=8").with_host("h1", may_sleep=True, sleep_blocked_by="never tested")
    plan = planned(drawn, SAVER)
    assert "h1" not in doing(plan, Action.POWER_OFF)
    assert why(plan, "host:h1") is Because.WAKE_NOT_PROVEN


def test_a_host_that_slept_often_enough_today_stays_on() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=8")
    assert planned(drawn, SAVER, Memory(slept_today={"h1": 3, "h2": 3})).summary.hosts_to_sleep
    tired = planned(drawn, SAVER, Memory(slept_today={"h1": 4, "h2": 4}))
    assert tired.summary.hosts_to_sleep == ()
    assert why(tired, "host:h1") is Because.SLEPT_OFTEN_ENOUGH
    unlimited = SAVER.model_copy(update={"power": PowerRules(cycles_per_day=None)})
    assert planned(drawn, unlimited, Memory(slept_today={"h1": 9, "h2": 9})).summary.hosts_to_sleep


def test_the_budget_is_kept_and_the_best_moves_are_taken() -> None:
    drawn = cluster("h1 64: " + " ".join(f"v{i}=2/1" for i in range(12)) + " big=4/4 | h2 64:")
    plan = planned(
        drawn, policy("budget: {moves: 1}\nobjectives: {even_load: {weight: 1}, few_moves: {weight: 0.001}}")
    )
    assert [step.vm for step in plan.moves] == ["big"]


def test_a_guest_that_was_moved_a_moment_ago_is_left_in_peace() -> None:
    drawn = cluster("h1 64: a=8/3 b=8/3 | h2 64:")
    memory = Memory(cooling_until={"a": NOON + timedelta(minutes=5), "b": NOON - timedelta(minutes=5)})
    plan = planned(drawn, memory=memory)
    assert [step.vm for step in plan.moves] == ["b"]
    assert why(plan, "vm:a") is Because.COOLING_DOWN


def test_what_a_running_plan_holds_is_not_touched_by_the_next() -> None:
    drawn = cluster("h1 64: a=8/3 b=8/3 | h2 64: | h3 64 standby:")
    held = Memory(held_vms=frozenset({"a", "b"}), held_hosts=frozenset({"h3"}))
    assert planned(drawn, memory=held).steps == ()


def test_a_small_gain_is_not_worth_a_plan() -> None:
    drawn = cluster("h1 64: a=8/1.1 b=8/1 | h2 64: c=8/1 d=8/1.02")
    patient = policy("stability: {minimum_gain: 0.01}\nobjectives: {even_load: {weight: 1}}")
    plan = planned(drawn, patient)
    assert plan.steps == ()


def test_watts_and_reasons_are_said() -> None:
    drawn = cluster("h1 64: a=8 | h2 64: b=16").with_host("h1", power=Power(idle_watts=100, peak_watts=200))
    drawn = drawn.with_host("h2", power=Power(idle_watts=90, peak_watts=200))
    plan = planned(drawn, SAVER)
    assert plan.summary.watts_after < plan.summary.watts_before
    assert plan.moves[0].because == "empties h1, to sleep and save 95 W"


def test_equal_arguments_give_equal_plans() -> None:
    drawn = cluster("h1 64: a=8/3 b=8/3 c=4/1 | h2 64: d=2/1 | h3 64:")
    first, second = planned(drawn), planned(drawn)
    assert first.model_copy(update={"id": "x"}) == second.model_copy(update={"id": "x"})


@pytest.mark.parametrize("drawing", ["h1 64:", "h1 64: a=8", "h1 64: a=80 | h2 64:", "h1 0: | h2 0:", "h1 64: a=8!"])
def test_on_degenerate_clusters_no_guest_moves_and_none_loses_its_host(drawing: str) -> None:
    for rules in (EVEN, SAVER):
        drawn = cluster(drawing)
        after = outcome(planned(drawn, rules), drawn)
        assert where(after) == where(drawn)
        assert all(after.host(vm.host).is_on for vm in after.vms)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    racks = draw(st.sampled_from([1, 2]))
    states = st.sampled_from(["up"] * 6 + ["standby", "powered_off", "draining"])
    hosts = [
        (f"h{n} {draw(st.integers(8, 40))} {draw(states)} rack=r{n % racks}") for n in range(draw(st.integers(2, 5)))
    ]
    drawing = []
    for number, host in enumerate(hosts):
        is_off = "standby" in host or "powered_off" in host
        guests = []
        for index in range(0 if is_off else draw(st.integers(0, 4))):
            size, cores = draw(st.integers(1, 8)), draw(st.integers(0, 40)) / 10
            app, mark = draw(st.sampled_from(["db", "web", "mq"])), draw(st.sampled_from(["", "", "", "", "!", "~"]))
            guests.append(f"v{number}{index}={size}/{cores}@{app}{mark}")
        drawing.append(f"{host}: {' '.join(guests)}")
    return cluster(" | ".join(drawing))


RULES = policy(
    """
objectives: {even_load: {weight: 0.5}, least_power: {weight: 1}, few_moves: {weight: 0.02}}
constraints:
  - {kind: apart, match: {app: db}, at_most: 2}
  - {kind: apart, match: {app: mq}, across: rack, at_most: 3}
  - {kind: together, vms: [v00, v10]}
  - {kind: only_on, vms: [v01, v11], hosts: [h0, h1]}
  - {kind: not_on, vms: [v02], hosts: [h1]}
  - {kind: stay, vms: [v12]}
budget: {moves: 5, gib: 24}
"""
)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), st.sampled_from([EVEN, SAVER, RULES]))
def test_every_plan_is_safe_no_worse_than_staying_put_and_needs_no_second(drawn: Cluster, rules: Policy) -> None:
    plan = planned(drawn, rules)
    after = outcome(plan, drawn)
    assert hard_excess(rules.violations(after)) <= hard_excess(rules.violations(drawn)) + 1e-9
    if plan.steps and hard_excess(rules.violations(drawn)) == 0 and not _draining(drawn):
        assert rules.objectives.score(drawn, after) < rules.objectives.score(drawn, drawn)
    for host in after.hosts:
        assert host.is_on or not after.active_on(host.name)
    again = planned(after, rules)
    if rules is not RULES:  # with a budget the next cycle goes on where this one had to stop
        assert len(again.moves) <= len(plan.moves)


def _draining(drawn: Cluster) -> bool:
    return any(host.state is HostState.DRAINING for host in drawn.hosts)


def test_that_thinking_was_cut_short_is_said_beside_a_gain_that_is_too_small() -> None:
    both = [Kept(subject="cluster:c", because=because) for because in (Because.SOLVER_STOPPED, Because.GAIN_TOO_SMALL)]
    assert _first_reasons(*both, *both) == tuple(both)
