"""Clusters of which most hosts sleep: decided as one, with a bound that holds for all hosts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState, Power
from balancer.domain.vm import Vm
from balancer.planning.question import ask
from balancer.policy import Policy
from balancer.solving import Problem, find, find_placement
from balancer.solving.pods import pod_without_most_sleepers

HUNGRY, FRUGAL = Power(idle_watts=200.0, peak_watts=300.0), Power(idle_watts=80.0, peak_watts=200.0)
POLICY = Policy.model_validate(
    {
        "headroom": {"cpu": 1.0, "memory": 1.0},
        "objectives": {"least_power": {"weight": 1.0}, "few_moves": {"weight": 0.001}},
    }
)


def mostly_asleep(awake: int, cores_used: float = 1.0) -> Problem:
    """240 hosts of two kinds, of which the first are on, with four guests each."""
    hosts = tuple(
        Host(
            name=f"h{number:03}",
            cpu_cores=8.0,
            memory_mib=8192.0,
            power=FRUGAL if number % 3 == 2 else HUNGRY,
            state=HostState.UP if number < awake else HostState.STANDBY,
            asleep_by_us=number >= awake,
            may_sleep=True,
        )
        for number in range(240)
    )
    vms = tuple(
        Vm(name=f"g{place}", host=f"h{place // 4:03}", vcpus=4, memory_mib=1024.0, cpu_used_cores=cores_used)
        for place in range(4 * awake)
    )
    now = datetime(2026, 3, 2, tzinfo=UTC)
    return ask(Cluster(taken_at=now, cluster="c", hosts=hosts, vms=vms), POLICY).problem


def test_of_sleepers_that_are_alike_only_some_are_looked_at() -> None:
    pod = pod_without_most_sleepers(mostly_asleep(16), most=200)
    assert pod is not None
    on, sleeping = ({name for name in pod.hosts if (name < "h016") is is_on} for is_on in (True, False))
    assert len(on) == 16 and len(sleeping) == 2 * (16 // 4 + 8)
    assert {int(name[1:]) % 3 == 2 for name in sleeping} == {True, False}
    assert pod_without_most_sleepers(mostly_asleep(180), most=200) is None


def test_they_are_emptied_as_one_and_the_bound_holds_for_all_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = mostly_asleep(16)
    as_one = find_placement(problem)
    assert len(as_one.placement.on) == 8  # of 64 GiB, on hosts of 8
    assert as_one.bound is not None and as_one.bound <= as_one.objective + 1e-9
    monkeypatch.setattr(find, "PODS_ABOVE", 1000)
    whole = find_placement(replace(problem, may_sleep=problem.may_sleep))
    assert whole.bound is not None and as_one.bound <= whole.objective + 1e-9
    assert as_one.objective <= whole.objective * 1.001


def test_a_sleeper_is_woken_for_a_promise() -> None:
    crowded = mostly_asleep(4, cores_used=3.0)
    found = find_placement(crowded)
    assert found.excess == 0.0 and len(found.placement.on) == 8  # two guests of three cores fit on each
