"""What each further kind of promise says of a cluster, and what it makes of a plan."""

from __future__ import annotations

import pytest

from balancer.constraints import (
    Cap,
    Dedicated,
    GroupShare,
    KeepOn,
    Licence,
    Listed,
    Overcommit,
    Prefer,
    Reach,
    Reserve,
)
from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.outcome import outcome
from balancer.domain.placement import Move
from balancer.domain.vm import CpuMode
from balancer.errors import PolicyError
from balancer.formats import read_text
from balancer.objectives import EvenLoad, FewMoves, LeastPower
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from balancer.policy.model import Objectives
from tests.drawing import cluster, where

EVEN = Objectives(even_load=EvenLoad(weight=1.0), few_moves=FewMoves(weight=0.01))
SAVE = Objectives(least_power=LeastPower(weight=1.0), few_moves=FewMoves(weight=0.01))


def carried_out(drawn: Cluster, wishes: Objectives, *promises: Listed) -> Cluster:
    """Plan, prove the plan, and return the cluster that it leads to."""
    policy = Policy(objectives=wishes, constraints=promises)
    plan = make_plan(drawn, policy)
    assert verify(plan, drawn, policy) == ()
    return outcome(plan, drawn)


def on(seen: Cluster) -> list[str]:
    return [host.name for host in seen.hosts if host.is_on]


# -- prefer


def test_guests_are_drawn_to_the_hosts_they_prefer_and_not_beyond_their_room() -> None:
    drawn = cluster("h1 64: | h2 20: | h3 64: a=8@db b=8@db c=8@db")
    later = carried_out(drawn, SAVE, Prefer(kind="prefer", match={"app": "db"}, hosts=("h2",), weight=3.0))
    assert sorted(where(later).values()).count("h2") == 2


def test_a_preference_is_no_promise() -> None:
    text = "schema: balancer.policy/1\nconstraints: [{kind: prefer, vms: [a], hosts: [h1], hard: true}]\n"
    with pytest.raises(PolicyError, match="write `kind: only_on` for a promise"):
        read_text(text, Policy, "policy.yaml", PolicyError)


# -- dedicated


def test_strangers_leave_dedicated_hosts_and_the_group_comes() -> None:
    drawn = cluster("h1 64: a=8 bank1=8@bank | h2 64: b=8 | h3 64: bank2=8@bank")
    later = carried_out(drawn, EVEN, Dedicated(kind="dedicated", match={"app": "bank"}, hosts=("h3",)))
    assert {name: host for name, host in where(later).items() if "bank" in name} == {"bank1": "h3", "bank2": "h3"}
    assert "h3" not in {where(later)["a"], where(later)["b"]}


def test_a_group_that_may_leave_its_hosts_is_not_called_back() -> None:
    rule = Dedicated(kind="dedicated", match={"app": "bank"}, hosts=("h2",), may_leave=True)
    assert rule.violations(cluster("h1 64: x=8@bank | h2 64:")) == []
    assert [v.subject for v in rule.violations(cluster("h1 64: | h2 64: a=8"))] == ["vm:a"]


# -- licence


def test_licensed_guests_gather_on_the_hosts_that_are_paid_for() -> None:
    drawn = cluster("h1 64: a=8@sql | h2 64: b=8@sql | h3 64: c=8@sql")
    later = carried_out(drawn, EVEN, Licence(kind="licence", match={"app": "sql"}, at_most=2))
    assert len(set(where(later).values())) == 2


def test_a_licensed_guest_on_its_way_needs_both_ends_paid_for() -> None:
    rule = Licence(kind="licence", match={"app": "sql"}, at_most=1)
    drawn = cluster("h1 64: a=8@sql | h2 64:")
    assert rule.violations(drawn) == []
    assert [v.excess for v in rule.violations(drawn.while_moving(Move("a", "h1", "h2")))] == [1]


def test_as_a_wish_a_licence_means_as_few_hosts_as_it_is_worth() -> None:
    drawn = cluster("h1 64: a=8@sql | h2 64: b=8@sql | h3 64: c=8@sql")
    dear = Licence(kind="licence", match={"app": "sql"}, hard=False, weight=2.0)
    cheap = Licence(kind="licence", match={"app": "sql"}, hard=False, weight=0.001)
    assert len(set(where(carried_out(drawn, EVEN, dear)).values())) == 1
    assert len(set(where(carried_out(drawn, EVEN, cheap)).values())) == 3


# -- cap, share, overcommit


def test_a_capped_host_is_emptied_down_to_its_cap() -> None:
    drawn = cluster("h1 64: a=16 b=16 c=16 | h2 64:")
    later = carried_out(drawn, Objectives(few_moves=FewMoves(weight=1.0)), Cap(kind="cap", hosts=("h1",), memory=0.5))
    assert sorted(where(later).values()) == ["h1", "h1", "h2"]


def test_a_cap_on_a_group_counts_what_its_hosts_use_together() -> None:
    rule = Cap(kind="cap", hosts_match={"rack": "r1"}, memory=0.5, each="group")
    within = cluster("h1 64 rack=r1: a=60 | h2 64 rack=r1: | h3 64:")
    above = cluster("h1 64 rack=r1: a=60 | h2 64 rack=r1: b=10 | h3 64:")
    assert rule.violations(within) == []
    (violation,) = rule.violations(above)
    assert violation.excess == pytest.approx(70 / 128 - 0.5)


def test_a_tenant_takes_no_more_than_its_share() -> None:
    rule = GroupShare(kind="group_share", match={"app": "t"}, hosts=("h1", "h2"), memory=0.25)
    drawn = cluster("h1 64: a=16@t b=16@t | h2 64: c=16@t x=16 | h3 64:")
    later = carried_out(drawn, EVEN, rule)
    assert sum(host != "h3" for name, host in where(later).items() if name != "x") == 2


def test_vcpus_are_promised_whatever_guests_use() -> None:
    drawn = cluster("h1 64: a=1/0.1 b=1/0.1 c=1/0.1 d=1/0.1 e=1/0.1 | h2 64:")
    rule = Overcommit(kind="overcommit", vcpus=1.0)  # five guests of 4 vCPUs, 16 cores
    assert [round(v.excess, 3) for v in rule.violations(drawn)] == [0.25]
    assert sorted(where(carried_out(drawn, SAVE, rule)).values()).count("h1") == 4


# -- reserve and hosts that stay on


def test_with_a_reserve_one_host_more_stays_on() -> None:
    drawn = cluster("h1 64: a=20 | h2 64: b=20 | h3 64: c=20")
    assert len(on(carried_out(drawn, SAVE))) == 1
    later = carried_out(drawn, SAVE, Reserve(kind="reserve"))
    assert len(on(later)) == 2
    assert Reserve(kind="reserve").violations(later) == []


def test_a_rack_that_fails_needs_room_in_another() -> None:
    drawn = cluster("h1 64 rack=r1: a=20 | h2 64 rack=r1: b=20 | h3 64 rack=r2: | h4 64 rack=r2:")
    later = carried_out(drawn, SAVE, Reserve(kind="reserve", across="rack"))
    assert {host.labels["rack"] for host in later.hosts if host.is_on} == {"r1", "r2"}


def test_a_host_that_sleeps_is_woken_for_the_reserve() -> None:
    drawn = cluster("h1 64: a=40 | h2 64 standby:")
    assert on(carried_out(drawn, SAVE, Reserve(kind="reserve"))) == ["h1", "h2"]


def test_a_drained_host_is_no_reserve() -> None:
    drawn = cluster("h1 64: a=20 | h2 64:")
    assert Reserve(kind="reserve").violations(drawn) == []
    drained = drawn.with_hosts(HostState.DRAINING, "h2")
    assert [v.subject for v in Reserve(kind="reserve").violations(drained)] == ["host:h1"]


def test_two_hosts_may_fail_at_once() -> None:
    drawn = cluster("h1 32: a=20 | h2 32: b=20 | h3 32:")
    assert Reserve(kind="reserve", host_failures=1).violations(drawn) == []
    assert "host:h1+host:h2" in [v.subject for v in Reserve(kind="reserve", host_failures=2).violations(drawn)]


def test_a_quorum_stays_on_though_nothing_runs_there() -> None:
    drawn = cluster("h1 64 ceph=mon: a=8 | h2 64 ceph=mon: | h3 64 ceph=mon: | h4 64:")
    later = carried_out(drawn, SAVE, KeepOn(kind="keep_on", hosts_match={"ceph": "mon"}, at_least=2))
    assert sum(host.is_on for host in later.hosts if host.labels) == 2


@pytest.mark.parametrize("state", [HostState.DRAINING, HostState.MAINTENANCE])
def test_a_host_that_is_worked_on_is_not_counted_on_for_a_quorum(state: HostState) -> None:
    quorum = KeepOn(kind="keep_on", hosts=("h*",), at_least=3)
    drawn = cluster("h1 64: | h2 64: | h3 64: a=8 | h4 64: b=8").with_host("h1", state=state, drained=True)
    assert on(carried_out(drawn, SAVE, quorum)) == ["h1", "h2", "h3", "h4"]
    short = cluster("h1 64: | h2 64 standby: | h3 64: a=8 | h4 64: b=8").with_host("h1", state=state, drained=True)
    (broken,) = quorum.violations(short)
    assert broken.detail == "3 of the 4 hosts h* are on, 1 of them to be emptied or silent, wanted are at least 3"
    assert on(carried_out(short, SAVE, quorum)) == ["h1", "h2", "h3", "h4"]


def test_a_host_that_is_worked_on_draws_power_all_the_same() -> None:
    few = KeepOn(kind="keep_on", hosts=("h*",), at_most=2)
    drawn = cluster("h1 64: | h2 64: a=8 | h3 64:").with_host("h1", state=HostState.DRAINING, drained=True)
    assert on(carried_out(drawn, EVEN, few)) == ["h1", "h2"]


def test_a_host_that_does_not_answer_is_no_part_of_a_quorum_and_another_is_woken() -> None:
    quorum = KeepOn(kind="keep_on", hosts=("h*",), at_least=2)
    drawn = cluster("h1 64: a=8 | h2 64 unreachable: | h3 64 standby:")
    (broken,) = quorum.violations(drawn)
    assert broken.excess > 0
    assert on(carried_out(drawn, SAVE, quorum)) == ["h1", "h2", "h3"]
    assert quorum.violations(cluster("h1 64: a=8 | h2 64 unreachable:")) == [], "what is gone cannot be kept on"


def test_a_share_of_each_rack_stays_on() -> None:
    half = KeepOn(kind="keep_on", hosts=("h*",), at_least_share=0.5, across="rack")
    drawn = cluster("h1 64 rack=r1: a=8 | h2 64 rack=r1: | h3 64 rack=r2: | h4 64 rack=r2: | h5 64 rack=r2: | h6 64:")
    later = carried_out(drawn, SAVE, half)
    assert [sum(host.is_on for host in later.hosts if host.label("rack") == rack) for rack in ("r1", "r2")] == [1, 2]
    (broken,) = half.violations(later.with_hosts(HostState.STANDBY, *(h.name for h in later.hosts if h.name != "h1")))
    assert "in rack r2 are on, wanted are at least 2" in broken.detail


def test_a_third_of_three_hosts_is_one_host() -> None:
    third = KeepOn(kind="keep_on", hosts=("h*",), at_least_share=1 / 3)
    assert third.violations(cluster("h1 64: | h2 64 standby: | h3 64 standby:")) == []


def test_a_sleeper_is_woken_for_a_quorum() -> None:
    drawn = cluster("h1 64: a=8 | h2 64 standby:")
    assert on(carried_out(drawn, SAVE, KeepOn(kind="keep_on", hosts=("h*",)))) == ["h1", "h2"]


# -- reach


def with_cpu(drawn: Cluster, mode: CpuMode, **digests: str) -> Cluster:
    hosts = tuple(host.model_copy(update={"cpu_digest": digests[host.name]}) for host in drawn.hosts)
    vms = tuple(vm.model_copy(update={"cpu_mode": mode}) for vm in drawn.vms)
    return drawn.model_copy(update={"hosts": hosts, "vms": vms})


@pytest.mark.parametrize("mode", [CpuMode.HOST_PASSTHROUGH, CpuMode.HOST_MODEL])
def test_a_guest_with_its_hosts_cpu_goes_to_equal_hosts_alone(mode: CpuMode) -> None:
    drawn = with_cpu(cluster("h1 64: a=8/4 b=8/4 c=8/4 | h2 64: | h3 64:"), mode, h1="x", h2="y", h3="x")
    later = carried_out(drawn, EVEN)
    assert set(where(later).values()) == {"h1", "h3"}
    (violation,) = Reach().violations(drawn.while_moving(Move("a", "h1", "h2")))
    assert "its CPU is another than that of h1" in violation.detail


def test_islands_of_equal_cpus_are_told() -> None:
    drawn = with_cpu(cluster("h1 64: a=8 b=8 | h2 64: | h3 64:"), CpuMode.HOST_PASSTHROUGH, h1="x", h2="y", h3="x")
    assert Reach().remarks(drawn) == ["2 guests use their host's own CPU and move only between equal ones: h1, h3 | h2"]
    assert Reach().remarks(with_cpu(drawn, CpuMode.CUSTOM, h1="x", h2="y", h3="x")) == []


def test_hosts_of_which_nobody_said_the_cpu_may_differ() -> None:
    drawn = cluster("h1 64: a=8/4 b=8/4 | h2 64:")
    passing = drawn.model_copy(
        update={"vms": tuple(vm.model_copy(update={"cpu_mode": CpuMode.HOST_PASSTHROUGH}) for vm in drawn.vms)}
    )
    assert where(carried_out(passing, EVEN)) == {"a": "h1", "b": "h1"}


# -- patterns


def test_a_pattern_names_all_that_are_called_so() -> None:
    drawn = cluster("h1 64: db-1=8/4 db-2=8/4 web=8/4 | h2 64:")
    rule = Prefer(kind="prefer", vms=("db-*",), hosts=("h?",))
    assert rule.guests(drawn) == ("db-1", "db-2")
    assert rule.chosen_hosts(drawn) == {"h1", "h2"}
    lost = Prefer(kind="prefer", vms=("mail-*", "web"), hosts=("x*",))
    assert lost.remarks(drawn) == ["no guest is called like mail-*", "no host is called like x*"]
