"""Input that nobody draws on purpose, and clusters with hardly any room: nothing illegal, and an honest answer."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.plan import Plan
from balancer.domain.vm import Movable, Vm
from balancer.planning import make_plan, verify
from balancer.policy.model import Policy
from tests.bench.clusters import BenchCase, cluster_of, policy_of
from tests.bench.measuring import BALANCE, BOTH, FEWEST, Wish
from tests.drawing import NOON

WISHED: dict[str, dict[str, Any]] = {
    "even": {"even_load": {"weight": 1.0}, "few_moves": {"weight": 0.02}},
    "power": {"even_load": {"weight": 0.3}, "least_power": {"weight": 1.0}, "few_moves": {"weight": 0.02}},
}
POLICIES = [Policy.model_validate({"name": name, "objectives": wishes}) for name, wishes in WISHED.items()]


def host(name: str, cores: float = 16.0, gib: float = 64.0) -> Host:
    return Host(name=name, cpu_cores=cores, memory_mib=gib * 1024)


def vm(name: str, on: str, cores: float = 0.5, gib: float = 2.0, **more: Any) -> Vm:
    return Vm(name=name, host=on, vcpus=4, memory_mib=gib * 1024, cpu_used_cores=cores, **more)


def seen(hosts: list[Host], vms: list[Vm]) -> Cluster:
    return Cluster(taken_at=NOON, cluster="odd", hosts=tuple(hosts), vms=tuple(vms))


def planned(cluster: Cluster, policy: Policy) -> Plan:
    plan = make_plan(cluster, policy)
    assert verify(plan, cluster, policy) == ()
    assert plan.summary.objective_after <= plan.summary.objective_before + 1e-12
    bound = plan.summary.objective_bound
    assert bound is None or bound <= plan.summary.objective_after + 1e-9
    return plan


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
class TestOdd:
    def test_one_host_has_nowhere_to_send_anybody(self, policy: Policy) -> None:
        assert planned(seen([host("h1")], [vm("a", "h1")]), policy).moves == ()

    def test_no_hosts_at_all(self, policy: Policy) -> None:
        assert planned(seen([], []), policy).steps == ()

    def test_no_guests_and_empty_hosts_sleep_only_for_power(self, policy: Policy) -> None:
        plan = planned(seen([host("h1"), host("h2")], []), policy)
        assert plan.moves == ()
        assert bool(plan.summary.hosts_to_sleep) == (policy.name == "power")

    def test_nobody_may_move(self, policy: Policy) -> None:
        fixed = [vm(f"v{n}", "h1", movable=Movable.NEVER) for n in range(6)]
        plan = planned(seen([host("h1"), host("h2")], fixed), policy)
        assert plan.moves == ()
        assert "h1" not in plan.summary.hosts_to_sleep

    def test_a_guest_that_is_larger_than_any_host_stays(self, policy: Policy) -> None:
        giant = vm("giant", "h1", gib=200.0)
        plan = planned(seen([host("h1"), host("h2"), host("h3")], [giant, vm("a", "h1")]), policy)
        assert "giant" not in [step.vm for step in plan.moves]

    def test_a_host_without_capacity_takes_nobody(self, policy: Policy) -> None:
        plan = planned(
            seen([host("h1"), host("none", 0.0, 0.0), host("h3")], [vm(f"v{n}", "h1") for n in range(6)]), policy
        )
        assert "none" not in [step.target for step in plan.moves]

    def test_equal_hosts_that_are_equally_full_are_left_alone_by_evenness(self, policy: Policy) -> None:
        level = seen([host(f"h{n}") for n in range(6)], [vm(f"v{n}", f"h{n % 6}", 2.0, 8.0) for n in range(24)])
        plan = planned(level, policy)
        assert (plan.moves == ()) == (policy.name == "even")
        again = make_plan(level, policy)
        assert [step.model_dump(exclude={"id"}) for step in again.steps] == [
            step.model_dump(exclude={"id"}) for step in plan.steps
        ]

    def test_a_thousand_equal_guests_are_spread_or_packed(self, policy: Policy) -> None:
        crowd = seen(
            [host(f"h{n}", 64, 512) for n in range(8)], [vm(f"v{n:04}", f"h{n % 4}", 0.1, 1.0) for n in range(1000)]
        )
        plan = planned(crowd, policy)
        if policy.name == "even":
            assert plan.summary.imbalance_after.memory < 0.15 * plan.summary.imbalance_before.memory
        else:
            assert plan.summary.hosts_on_after < 4

    def test_guests_that_use_no_cpu_are_balanced_by_their_memory(self, policy: Policy) -> None:
        idle = seen([host("h1"), host("h2")], [vm(f"v{n}", "h1", 0.0, 4.0) for n in range(8)])
        plan = planned(idle, policy)
        assert plan.moves or policy.name == "power"


@pytest.mark.long
def test_ten_thousand_idle_guests() -> None:
    hosts = [host(f"h{n:02}", 256, 8192) for n in range(20)]
    guests = [vm(f"v{n:05}", f"h{n % 10:02}", 0.0, 8.0) for n in range(10_000)]
    plan = make_plan(seen(hosts, guests), POLICIES[0])
    assert plan.summary.imbalance_after.memory < 0.2 * plan.summary.imbalance_before.memory


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("field", ["memory_mib", "cpu_used_cores"])
def test_numbers_that_are_none_are_refused_at_the_door(bad: float, field: str) -> None:
    with pytest.raises(ValidationError):
        Vm.model_validate({"name": "a", "host": "h1", "vcpus": 1, "memory_mib": 1024.0, field: bad})
    with pytest.raises(ValidationError):
        Host.model_validate({"name": "h1", "cpu_cores": 4.0, "memory_mib": 1024.0, field: bad})


@pytest.mark.long
@pytest.mark.parametrize("fill", [0.80, 0.88, 0.92])
@pytest.mark.parametrize(
    # Where nearly every host is full, guests that are evened out wait for each other in long chains.
    ("wish", "slack"),
    [(BALANCE, 1.6), (BOTH, 1.6), (FEWEST, 1.6)],
    ids=["balance", "both", "fewest"],
)
def test_tight_clusters_are_planned_legally_and_in_good_time(fill: float, wish: Wish, slack: float) -> None:
    case = BenchCase(12, 120, seed=1, memory_fill=fill)
    plan = planned(cluster_of(case), policy_of(case, wish.weights))
    if plan.summary.seconds_at_least:
        assert plan.summary.seconds_to_run < slack * plan.summary.seconds_at_least


def test_what_cannot_be_kept_is_named_with_how_far_it_is_from_it() -> None:
    full = seen([host("h1"), host("h2")], [vm(f"v{n}", f"h{n % 2 + 1}", gib=32.0) for n in range(4)])
    plan = make_plan(full, POLICIES[0])
    assert plan.moves == ()
    assert [unmet.promise for unmet in plan.unmet] == ["headroom", "headroom"]
    assert all("100" in unmet.why for unmet in plan.unmet)
