"""Waking: as soon as guests need it, without a reserve too; and never a host that somebody else switched off."""

from __future__ import annotations

import pytest

from balancer.constraints import KeepOn, Reserve
from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.host import HostState
from balancer.objectives import FewMoves, LeastPower
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from balancer.policy.model import Freeze, Objectives, PowerRules
from tests.drawing import cluster

SAVER = Policy(objectives=Objectives(least_power=LeastPower(weight=1.0), few_moves=FewMoves(weight=0.02)))
CROWDED = "h1 64: a=8/4 b=8/4 c=8/4 d=8/4 | h2 64 standby: | h3 64 powered_off: | h4 64 powered_off:"


def woken(seen: Cluster, policy: Policy = SAVER) -> tuple[str, ...]:
    plan = make_plan(seen, policy)
    assert verify(plan, seen, policy) == ()
    return plan.summary.hosts_to_wake


def test_a_policy_without_a_reserve_wakes_a_host_when_guests_are_short_of_cpu() -> None:
    assert woken(cluster(CROWDED)) == ("h2",)


def test_it_would_wake_any_that_helps_were_they_put_to_sleep_by_us() -> None:
    """What the story above depends on: who switched a host off, and nothing else, keeps the others asleep."""
    short = cluster(CROWDED.replace("d=8/4", "d=8/4 e=8/4 f=8/4 g=8/4 k=8/4"))
    ours = short.model_copy(
        update={
            "hosts": tuple(host.model_copy(update={"asleep_by_us": not host.is_on}) for host in short.hosts),
        }
    )
    assert woken(short) == ("h2",)
    assert len(woken(ours)) == 2


def test_no_host_is_woken_that_nobody_needs() -> None:
    quiet = cluster(CROWDED.replace("/4", "/0.5"))
    assert woken(quiet) == ()
    kept = {kept.subject: kept.because.value for kept in make_plan(quiet, SAVER).kept}
    assert kept["host:h3"] == kept["host:h4"] == "not_put_to_sleep_by_us"


def test_a_host_that_the_policy_lists_may_be_woken_whoever_switched_it_off() -> None:
    listed = SAVER.model_copy(update={"power": PowerRules(wake=("h3",))})
    without_ours = cluster(CROWDED).with_host("h2", state=HostState.POWERED_OFF, asleep_by_us=False)
    assert woken(without_ours) == ()
    assert woken(without_ours, listed) == ("h3",)


def test_a_host_is_woken_for_a_quorum_though_doubts_forbid_everything_else() -> None:
    seen = cluster("h1 64: a=8 | h2 64: b=8 | h3 64 standby:", doubts=[Doubt(subject="host:h1", kind="stale")])
    quorum = SAVER.model_copy(update={"constraints": (KeepOn(kind="keep_on", hosts=("h*",), at_least=3),)})
    assert make_plan(seen, quorum).refused
    assert woken(seen, quorum) == ("h3",)


@pytest.mark.parametrize("freeze", [Freeze.MOVES, Freeze.ALL])
def test_while_no_guest_may_move_a_promise_of_hosts_wakes_and_load_alone_does_not(freeze: Freeze) -> None:
    frozen = SAVER.model_copy(update={"freeze": freeze})
    quorum = KeepOn(kind="keep_on", hosts=("h1", "h2"), at_least=2)
    assert woken(cluster(CROWDED), frozen) == ()
    assert woken(cluster(CROWDED), frozen.model_copy(update={"freeze": Freeze.POWER})) == ("h2",)
    assert woken(cluster(CROWDED), frozen.model_copy(update={"constraints": (quorum,)})) == ("h2",)
    spare = Reserve(kind="reserve", host_failures=1)
    assert woken(cluster("h1 64: a=8/1 | h2 64 standby:"), frozen.model_copy(update={"constraints": (spare,)})) == (
        "h2",
    )


def test_a_refused_plan_that_does_more_than_wake_is_objected_to() -> None:
    plan = make_plan(cluster(CROWDED), SAVER).model_copy(update={"refused": "too many doubts"})
    assert plan.moves
    assert [objection.step for objection in verify(plan, cluster(CROWDED), SAVER)] == ["plan"]
