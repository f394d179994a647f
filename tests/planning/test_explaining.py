"""Every why has an answer, with the reason that holds; text and JSON give the same."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from balancer.domain.cluster import Cluster
from balancer.domain.explanation import Explanation, Option
from balancer.domain.host import HostState
from balancer.domain.memory import Memory
from balancer.domain.placement import Move
from balancer.domain.plan import Because
from balancer.domain.shapes import CapacityShare, GroupLoad
from balancer.domain.violation import worsened
from balancer.formats import to_json
from balancer.formats.reading import read_text
from balancer.planning import make_plan
from balancer.planning.explaining import Case, explain_plan, explain_vm
from balancer.planning.explaining_hosts import explain_host
from balancer.policy import Policy
from balancer.reporting.answers import explanation_text
from tests.drawing import cluster
from tests.planning.any_policy import random_case

EVEN = "{even_load: {weight: 1.0}}"
SAVING = "{even_load: {weight: 0.3}, least_power: {weight: 1.0}}"


def case(drawing: str, *rules: str, objectives: str = EVEN, head: str = "") -> Case:
    """Return what is asked about: a drawn cluster, a policy of a few rules, and the plan that is made for it."""
    listed = "constraints:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else ""
    text = f"schema: balancer.policy/1\nobjectives: {objectives}\n{head}{listed}"
    policy, seen = read_text(text, Policy, "p.yaml"), cluster(drawing)
    return Case(seen, policy, make_plan(seen, policy), place_of=lambda promise: "p.yaml:4" if rules else "")


def told(answer: Explanation, columns: int = 100) -> list[str]:
    console = Console(width=columns, file=StringIO(), record=True)
    console.print(explanation_text(answer))
    return [line.rstrip() for line in console.export_text().splitlines()]


def option(answer: Explanation, host: str) -> Option:
    return next(option for option in answer.options if option.host == host)


def why(answer: Explanation) -> list[Because]:
    return [reason.because for reason in answer.reasons]


# -- guests


def test_each_other_host_says_why_not_or_what_it_would_change() -> None:
    asked = case(
        "h1 64: a=20/4 | h2 64: b=20/4 | h3 64: c=20/4 | h4 64 draining: | h6 64: d=20/4",
        "{kind: apart, name: a-d, vms: [a, d]}",
    )
    assert told(explain_vm(asked, "a")) == [
        "a stays on h1",
        "state running; needs 4.00 cores, 20.0 GiB",
        "",
        "because  no other place that it may go to is better: the next best, h2, would add 0.03203 to J",
        "",
        "other hosts         J",
        "h2           +0.03203  would be no better",
        "h3           +0.03203  would be no better",
        "h4                 no  takes no guests now: it is draining",
        "h6                 no  a-d (p.yaml:4): a, d share host h6, no two may",
    ]


def test_missing_room_is_told_with_numbers_and_a_cpu_with_its_name() -> None:
    asked = case("h1 64 cpu=new: a=20^new | h2 64 cpu=new: b=50 | h3 64 cpu=old:")
    answer = explain_vm(asked, "a")
    assert why(answer) == [Because.NO_ROOM_ELSEWHERE]
    assert answer.reasons[0].detail == "h3 (it cannot run there)"
    assert option(answer, "h2").reasons[0].because is Because.NO_ROOM_THERE
    assert "h2 would use 109.4% of its memory, the policy allows 95%" in option(answer, "h2").reasons[0].sentence
    assert option(answer, "h3").reasons[0].because is Because.CANNOT_RUN_THERE
    assert "its CPU (old) is none that the guest can run on" in option(answer, "h3").reasons[0].detail


def test_a_guest_that_is_moved_says_what_that_mends() -> None:
    asked = case("h1 64: a=40 b=22 | h2 64:", objectives="{few_moves: {weight: 0.1}}")
    answer = explain_vm(asked, "b")
    assert answer.headline == "b moves from h1 to h2 (s1)"
    assert why(answer) == [Because.IS_MOVED]
    assert answer.reasons[0].detail == "mends headroom: h1 would use 96.9% of its memory, the policy allows 95%"


def test_one_of_a_group_cannot_go_alone() -> None:
    asked = case("h1 64: a=4 b=4 | h2 64: c=8", "{kind: together, name: pair, vms: [a, b]}")
    reasons = option(explain_vm(asked, "a"), "h2").reasons
    assert [(each.because, each.promise) for each in reasons] == [(Because.FORBIDDEN, "pair")]


def test_a_guest_that_is_bound_is_told_so_and_is_offered_nothing() -> None:
    answer = explain_vm(case("h1 64: a=40! | h2 64:"), "a")
    assert why(answer) == [Because.IMMOVABLE]
    assert [each.is_possible for each in answer.options] == [False]


def test_the_only_host_left_is_nowhere_to_go() -> None:
    answer = explain_vm(case("h1 64: a=4"), "a")
    assert why(answer) == [Because.NO_HOST_ALLOWED]


def test_a_small_gain_and_a_spent_budget_are_told_apart() -> None:
    unequal = "h1 64: a=8/2 b=8/2 c=8/2 | h2 64: d=8/2"
    small = case(unequal, head="stability: {minimum_gain: 0.9}\n")
    assert why(explain_vm(small, "a")) == [Because.GAIN_TOO_SMALL]
    spent = case(unequal, head="budget: {moves: 0}\n")
    assert why(explain_vm(spent, "a")) == [Because.BUDGET_SPENT]


def test_a_sleeping_host_says_what_waking_it_would_cost() -> None:
    asked = case("h1 64: a=8/2 | h2 64 standby:", objectives=SAVING)
    closed = option(explain_vm(asked, "a"), "h2").reasons
    assert [each.because for each in closed] == [Because.ASLEEP]
    assert closed[0].detail.startswith("woken for this guest alone it would change J by +0.5")


def test_a_host_that_the_plan_puts_to_sleep_is_said_to_be_put_to_sleep() -> None:
    asked = case("h1 64: a=8/2 | h2 64:", objectives=SAVING)
    assert asked.plan.summary.hosts_to_sleep == ("h2",)
    assert option(explain_vm(asked, "a"), "h2").reasons[0].detail.startswith("the plan puts it to sleep; woken")


def test_too_many_doubts_are_the_reason_for_everybody() -> None:
    seen = cluster("h1 64: a=8 | h2 64 unreachable: | h3 64: b=8")
    policy = Policy()
    plan = make_plan(seen, policy)
    assert why(explain_vm(Case(seen, policy, plan), "a")) == [Because.TOO_MANY_DOUBTS]


def test_a_host_that_a_guest_just_left_is_not_gone_back_to() -> None:
    asked = case("h1 64: a=8/2 | h2 64: b=8/2")
    back = Case(asked.cluster, asked.policy, asked.plan, Memory(came_from={"a": "h2"}))
    assert Because.COOLING_DOWN in [each.because for each in option(explain_vm(back, "a"), "h2").reasons]


def test_a_freeze_is_the_reason_for_everybody() -> None:
    asked = case("h1 64: a=8/2 b=8/2 | h2 64:", head="freeze: moves\n")
    assert why(explain_vm(asked, "a")) == [Because.FROZEN]


# -- hosts


def test_a_host_on_says_every_reason_and_the_way_out_of_each() -> None:
    seen = cluster("h1 64: a=8/1 pin=4/1! | h2 64: b=8/1")
    seen = seen.with_host("h1", may_sleep=False, sleep_blocked_by="it was never woken")
    policy = Policy()
    answer = explain_host(Case(seen, policy, make_plan(seen, policy)), "h1")
    assert told(answer) == [
        "h1 stays on",
        "state up; carries 2 guests; CPU 2.0 of 16 cores; memory 12.0 GiB of 64.0 GiB",
        "",
        "because  the site file does not say `may_sleep: true`",
        "         to change that: write `may_sleep: true` for it in the site file, if nothing but guests",
        "         depends on it",
        "because  that it wakes is not proven: it was never woken",
        "         to change that: prove it with `balancer power test`",
        "because  carries guests that may not be moved: pin",
        "         to change that: they would have to be shut down, or made movable",
        "",
        "guests of it that could go nowhere else, the plan carried out",
        "  a    no other host is allowed to carry it: h2 (is asleep)",
        "  pin  may not be moved: movable: never",
        "  b    no other host is allowed to carry it: h2 (is asleep)",
    ]
    assert why(answer)[:3] == [Because.MAY_NOT_SLEEP, Because.WAKE_NOT_PROVEN, Because.CARRIES_IMMOVABLE]
    assert all(reason.way_out for reason in answer.reasons)


def test_a_promise_that_needs_a_host_is_named_with_its_line() -> None:
    rule = "{kind: keep_on, hosts: [h2], name: quorum}"
    answer = explain_host(case("h1 64: a=8/1 | h2 64:", rule, objectives=SAVING), "h2")
    assert why(answer) == [Because.NEEDED_FOR_PROMISE]
    assert answer.reasons[0].sentence == "quorum (p.yaml:4): 0 of the 1 hosts h2 are on, wanted are at least 1"


def test_a_host_without_which_there_is_no_room() -> None:
    answer = explain_host(case("h1 64: a=40/2 | h2 64: b=40/2", objectives=SAVING), "h1")
    assert why(answer) == [Because.NEEDED_FOR_HEADROOM]
    assert [guest.vm for guest in answer.guests] == ["a"]


def test_a_host_whose_sleep_costs_more_than_it_saves_is_told_with_both_sums() -> None:
    weak = "{even_load: {weight: 1.0}, least_power: {weight: 0.001}}"
    answer = explain_host(case("h1 64: a=20/6 | h2 64: b=20/6", objectives=weak), "h1")
    assert why(answer) == [Because.SAVES_TOO_LITTLE]
    assert answer.reasons[0].detail == "the best found with it asleep is J 0.23878 instead of 0.12014, after 1 move"


def test_hosts_that_sleep_wake_and_stay_asleep() -> None:
    sleepy = case("h1 64: a=8/1 | h2 64: b=4/1 | h3 64 standby:", objectives=SAVING)
    asleep = next(name for name in sleepy.plan.summary.hosts_to_sleep)
    assert why(explain_host(sleepy, asleep)) == [Because.IS_PUT_TO_SLEEP]
    assert why(explain_host(sleepy, "h3")) == [Because.NOT_NEEDED]
    crowded = case("h1 64: a=40/2 b=40/2 | h2 64 standby:", objectives=SAVING)
    assert why(explain_host(crowded, "h2")) == [Because.IS_WOKEN]
    foreign = case("h1 64: a=8/1 | h2 64 powered_off:", objectives=SAVING)
    assert why(explain_host(foreign, "h2")) == [Because.NOT_PUT_TO_SLEEP_BY_US]


def test_a_drained_host_is_kept_for_maintenance() -> None:
    seen = cluster("h1 64: a=8/1 | h2 64:").with_host("h2", drained=True)
    policy = Policy()
    asked = Case(seen, policy, make_plan(seen, policy))
    assert why(explain_host(asked, "h2"))[0] is Because.KEPT_FOR_MAINTENANCE
    assert [each.because for each in option(explain_vm(asked, "a"), "h2").reasons] == [Because.KEPT_FOR_MAINTENANCE]


# -- plans


def test_a_plan_says_what_each_move_buys() -> None:
    asked = case("h1 64: a=8/4 b=8/4 | h2 64:")
    answer = explain_plan(asked, "headline", "gap")
    moved = {step.vm: step for step in asked.plan.moves}
    assert [bought.vm for bought in answer.moves] == list(moved)
    undone = asked.policy.score(asked.cluster, asked.cluster) - asked.policy.score(asked.cluster, asked.later)
    assert answer.moves[0].gain == pytest.approx(undone)


def test_a_plan_names_the_rules_that_nothing_keeps_with_their_lines() -> None:
    rules = "{kind: apart, name: one, vms: [a, b]}", "{kind: together, name: two, vms: [a, b]}"
    asked = case("h1 64: a=8/4 b=8/4 | h2 64:", *rules)
    unmet = [each for each in asked.plan.unmet if each.conflict is not None]
    assert {each.promise for each in unmet} <= {"one", "two"}
    assert unmet[0].conflict is not None and unmet[0].conflict.promises == {"one", "two"}
    said = told(explain_plan(asked, "headline", "gap"))
    assert "  one (p.yaml:4) and two (p.yaml:4) cannot hold together on the present cluster" in said


# -- all of them


def test_text_and_json_give_the_same_reasons() -> None:
    asked = case("h1 64: a=8/1 pin=4/1! | h2 64: b=8/1 | h3 64 standby:", objectives=SAVING)
    for answer in (explain_vm(asked, "a"), explain_host(asked, "h1"), explain_plan(asked, "headline", "gap")):
        data = json.loads(to_json(answer))
        said = " ".join(told(answer, 400))
        for reason in (*data["reasons"], *(each for option in data["options"] for each in option["reasons"])):
            assert Because(reason["because"]).sentence in said or reason["detail"] in said
        assert Explanation.model_validate(data) == answer


def _takes(asked: Case, vm: str, host: str) -> Cluster:
    later = asked.later
    if not later.host(host).is_on:
        later = later.with_host(host, state=HostState.UP, cordoned=False)
    return later.after(Move(vm, later.vm(vm).host, host))


def _flies(asked: Case, vm: str, host: str) -> Cluster:
    later = asked.later
    if not later.host(host).is_on:
        later = later.with_host(host, state=HostState.UP, cordoned=False)
    return later.while_moving(Move(vm, later.vm(vm).host, host))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_on_random_clusters_every_reason_is_true(seed: int) -> None:
    seen, policy = random_case(seed)
    asked = Case(seen, policy, make_plan(seen, policy), Memory())
    for host in seen.hosts:
        assert explain_host(asked, host.name).reasons
    told(explain_plan(asked, "headline", "gap"))
    moved = {step.vm for step in asked.plan.moves}
    for vm in seen.vms:
        answer = explain_vm(asked, vm.name)
        told(answer)
        assert (vm.name in moved) == (why(answer) == [Because.IS_MOVED])
        assert answer.reasons
        _reasons_are_true(asked, answer)


def _reasons_are_true(asked: Case, answer: Explanation) -> None:
    name = answer.subject.partition(":")[2]
    for each in answer.options:
        after = _takes(asked, name, each.host)
        for reason in each.reasons:
            if reason.because is Because.NO_ROOM_THERE:
                there = after if not reason.detail.startswith("on the way") else _flies(asked, name, each.host)
                assert _is_over(asked, there, each.host), (name, each)
        if each.is_possible:
            assert not worsened(asked.policy.violations(asked.later), asked.policy.violations(after))
            change = asked.policy.score(asked.cluster, after) - asked.policy.score(asked.cluster, asked.later)
            assert each.change == pytest.approx(change)
    closed = [each for each in answer.options if not each.is_possible]
    if why(answer) == [Because.NO_HOST_ALLOWED]:
        assert len(closed) == len(answer.options)
    if why(answer) == [Because.WELL_PLACED]:
        assert all((each.change or 0) > -1e-8 for each in answer.options if each.is_possible)


def _is_over(asked: Case, after: Cluster, host: str) -> bool:
    """Whether some limit of load that this host is under would be passed, reckoned from the numbers alone."""
    there, limits = after.host(host), list[tuple[float, float]]()
    shapes = [shape for promise in asked.policy.promises if promise.hard for shape in promise.lower(after)]
    for shape in shapes:
        if isinstance(shape, CapacityShare) and shape.host == host:
            limits.append((after.used(there, shape.resource), shape.share * there.usable(shape.resource)))
        if isinstance(shape, GroupLoad) and shape.vms is None and host in shape.hosts:
            limits.append((sum(after.used(after.host(each), shape.resource) for each in shape.hosts), shape.limit))
    return any(used > limit for used, limit in limits)
