"""Whatever mix of promises: plans are legal in each state, ease what they can, come to rest, hang on no name."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.constraints import KINDS, Headroom, Reach
from balancer.domain.cluster import Cluster
from balancer.domain.outcome import outcome
from balancer.domain.plan import Action, Plan, Step
from balancer.domain.violation import hard_excess, worsened
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from tests.planning.any_policy import MAKERS, random_case, renamed

cases = st.integers(0, 10_000)
ENOUGH = settings(derandomize=True, max_examples=30, deadline=None)


@ENOUGH
@given(cases)
def test_each_plan_is_legal_in_every_state_that_it_allows(seed: int) -> None:
    cluster, policy = random_case(seed)
    assert verify(make_plan(cluster, policy), cluster, policy) == ()


@ENOUGH
@given(cases)
def test_each_beginning_of_a_plan_is_legal_too(seed: int) -> None:
    cluster, policy = random_case(seed)
    plan = make_plan(cluster, policy)
    for length in range(len(plan.steps)):
        beginning = _beginning(plan, length)
        so_far = worsened(policy.violations(cluster), policy.violations(outcome(beginning, cluster)))
        # A group on its way may be parted, and a reserve is whole again when all have arrived.
        if not any(violation.at_rest_only for violation in so_far):
            assert verify(beginning, cluster, policy) == ()


def _beginning(plan: Plan, length: int) -> Plan:
    steps = plan.steps[:length]
    summary = plan.summary.model_copy(update={"moves": sum(step.is_move for step in steps)})
    return plan.model_copy(update={"steps": steps, "summary": summary})


@ENOUGH
@given(cases)
def test_a_plan_never_adds_to_what_is_broken_and_eases_what_one_move_would_ease(seed: int) -> None:
    cluster, policy = random_case(seed)
    plan = make_plan(cluster, policy)
    before = hard_excess(policy.violations(cluster))
    after = hard_excess(policy.violations(outcome(plan, cluster)))
    assert after <= before + 1e-6
    if before > 0 and policy.budget.moves is None:
        assert after <= _best_by_one_move(cluster, policy, plan) + 1e-6


def _best_by_one_move(cluster: Cluster, policy: Policy, plan: Plan) -> float:
    """Return the least excess that one move alone, as a plan of its own, leaves."""
    before = hard_excess(policy.violations(cluster))
    best = before
    for vm in cluster.vms:
        for host in cluster.hosts:
            single = _single(plan, vm.name, vm.host, host.name)
            later = cluster.after(single.steps[0].move)
            excess = hard_excess(policy.violations(later))
            if host.name != vm.host and excess < best - 1e-6 and verify(single, cluster, policy) == ():
                best = excess
    return best


def _single(plan: Plan, vm: str, source: str, target: str) -> Plan:
    summary = plan.summary.model_copy(update={"moves": 1})
    step = Step(id="s1", action=Action.MOVE, vm=vm, source=source, target=target, kind="live")
    return plan.model_copy(update={"steps": (step,), "summary": summary})


@ENOUGH
@given(cases)
def test_a_second_cycle_at_rest_plans_nothing(seed: int) -> None:
    cluster, policy = random_case(seed)
    policy = policy.model_copy(update={"budget": policy.budget.model_copy(update={"moves": None})})
    # What is broken is mended first: a group that was parted moves as one from then on, a licence is free again.
    for _ in range(3 if _has_to_be_mended(cluster, policy) else 1):
        cluster = outcome(make_plan(cluster, policy), cluster)
    assert [str(step) for step in make_plan(cluster, policy).steps] == []


def _has_to_be_mended(cluster: Cluster, policy: Policy) -> bool:
    emptied = any(host.is_being_emptied for host in cluster.hosts)
    return emptied or hard_excess(policy.violations(cluster)) > 0


@ENOUGH
@given(cases)
def test_other_names_in_the_same_order_give_the_same_plan(seed: int) -> None:
    cluster, policy = random_case(seed)
    hosts = {host.name: f"server-{host.name}" for host in cluster.hosts}
    vms = {vm.name: f"guest-{vm.name}" for vm in cluster.vms}
    plan = make_plan(cluster, policy)
    other = make_plan(*renamed((cluster, policy), hosts, vms))
    said = [(s.action, hosts.get(s.host or ""), vms.get(s.vm or ""), hosts.get(s.target or "")) for s in plan.steps]
    assert [(s.action, s.host, s.vm, s.target) for s in other.steps] == said


@ENOUGH
@given(cases)
def test_whatever_names_give_as_good_a_plan(seed: int) -> None:
    cluster, policy = random_case(seed)
    rng = random.Random(seed)
    hosts = dict(zip([h.name for h in cluster.hosts], rng.sample("abcdefgh", len(cluster.hosts)), strict=True))
    vms = dict(zip([v.name for v in cluster.vms], rng.sample("ijklmnopqrstuvwxyz", len(cluster.vms)), strict=True))
    mine, theirs = make_plan(cluster, policy), make_plan(*renamed((cluster, policy), hosts, vms))
    assert theirs.summary.objective_after == pytest.approx(mine.summary.objective_after, abs=2e-4)
    assert len(theirs.unmet) == len(mine.unmet)


def test_every_kind_that_a_policy_lists_is_drawn() -> None:
    drawn = {type(promise) for seed in range(200) for promise in random_case(seed)[1].constraints}
    assert drawn == set(KINDS) - {Headroom, Reach}
    assert len(MAKERS) == len(drawn)
