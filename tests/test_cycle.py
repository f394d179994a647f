"""What of a cycle may be carried out: a safe plan, and of one that is withdrawn the wake-ups."""

from __future__ import annotations

from balancer.cycle import safe_part, think
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Action
from balancer.planning import verify
from balancer.policy import Policy
from tests.drawing import cluster

SHORT = cluster("h1 64: a=8/4 b=8/4 c=8/4 d=8/4 | h2 64 standby:")


def test_a_safe_plan_may_be_carried_out_and_an_empty_one_is_none() -> None:
    cycle = think(SHORT, Policy(), NOTHING_REMEMBERED)
    assert cycle.plan.moves and cycle.safe == cycle.plan
    assert think(cluster("h1 64: a=8"), Policy(), NOTHING_REMEMBERED).safe is None


def test_of_a_plan_that_is_withdrawn_hosts_are_woken_all_the_same() -> None:
    plan = think(SHORT, Policy(), NOTHING_REMEMBERED).plan
    spoiled = plan.model_copy(
        update={"steps": tuple(s.model_copy(update={"target": "h1"}) if s.is_move else s for s in plan.steps)}
    )
    objections = verify(spoiled, SHORT, Policy())
    assert objections
    safe = safe_part(spoiled, objections, SHORT, Policy(), NOTHING_REMEMBERED)
    assert safe is not None and {step.action for step in safe.steps} == {Action.POWER_ON, Action.WAIT_READY}


def test_wake_ups_that_are_not_safe_themselves_are_withdrawn_too() -> None:
    plan = think(SHORT, Policy(), NOTHING_REMEMBERED).plan
    others = SHORT.with_host("h2", asleep_by_us=False)  # somebody else has switched it off
    objections = verify(plan, others, Policy())
    assert objections
    assert safe_part(plan, objections, others, Policy(), NOTHING_REMEMBERED) is None
