"""Headroom of what else the snapshot lists: kept in the end and on the way, on the hosts that list it."""

from __future__ import annotations

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from tests.drawing import cluster, where

HALF_THE_NETWORK = Policy.model_validate(
    {
        "headroom": {"cpu": 0.9, "memory": 0.95, "resources": {"network": 0.5}},
        "objectives": {"least_power": {"weight": 1.0}},
        "stability": {"sleep_after_minutes": 0.0},
    }
)


def busy(drawing: str, capacity: dict[str, float], needs: dict[str, float]) -> Cluster:
    drawn = cluster(drawing)
    told = {name: {"network": amount} for name, amount in capacity.items()}
    hosts = tuple(host.model_copy(update={"resources": told.get(host.name, {})}) for host in drawn.hosts)
    vms = [v.model_copy(update={"resources": {"network": needs[v.name]} if v.name in needs else {}}) for v in drawn.vms]
    return drawn.model_copy(update={"hosts": hosts, "vms": tuple(vms)})


def test_a_host_stays_on_whose_guests_would_crowd_the_network_of_the_others() -> None:
    crowded = busy("h1 64: a=8 | h2 64: b=8", {"h1": 100, "h2": 100}, {"a": 30, "b": 30})
    roomy = busy("h1 64: a=8 | h2 64: b=8", {"h1": 100, "h2": 100}, {"a": 30})
    assert make_plan(crowded, HALF_THE_NETWORK).summary.hosts_on_after == 2
    assert make_plan(roomy, HALF_THE_NETWORK).summary.hosts_on_after == 1


def test_a_full_network_is_a_broken_promise_and_is_eased() -> None:
    full = busy("h1 64: a=8 b=8 | h2 64: c=8", {"h1": 100, "h2": 100}, {"a": 40, "b": 40})
    assert [v.subject for v in HALF_THE_NETWORK.violations(full)] == ["host:h1/network"]
    plan = make_plan(full, HALF_THE_NETWORK)
    later = where(full.after(*(step.move for step in plan.moves)))
    assert later["a"] != later["b"]
    assert not verify(plan, full, HALF_THE_NETWORK)


def test_a_host_that_lists_none_of_it_has_no_limit() -> None:
    unknown = busy("h1 64: a=8 b=8 | h2 64: c=8", {"h2": 100}, {"a": 90, "b": 90})
    assert HALF_THE_NETWORK.violations(unknown) == []
    assert HALF_THE_NETWORK.headroom.remarks(unknown) == []
    assert HALF_THE_NETWORK.headroom.remarks(cluster("h1 64:")) == ["no host lists `network` under `resources`"]


FILLED_LESS = Policy.model_validate(
    {
        "headroom": {"cpu": 0.9, "fill_cpu": 0.6, "memory": 1.0},
        "objectives": {"least_power": {"weight": 1.0}},
        "stability": {"sleep_after_minutes": 0.0},
    }
)


def cores(drawing: str, used: dict[str, float]) -> Cluster:
    drawn = cluster(drawing)
    vms = tuple(vm.model_copy(update={"cpu_used_cores": used[vm.name], "vcpus": 16}) for vm in drawn.vms)
    return drawn.model_copy(update={"vms": vms})


def test_hosts_are_filled_less_than_they_may_become() -> None:
    """Together they would be 70 % full: less than what is promised, and more than hosts are filled to."""
    total = cluster("h1 64: a=8").host("h1").usable_cores
    apart = cores("h1 64: a=8 | h2 64: b=8", {"a": 0.35 * total, "b": 0.35 * total})
    assert make_plan(apart, FILLED_LESS).summary.hosts_on_after == 2
    roomy = cores("h1 64: a=8 | h2 64: b=8", {"a": 0.25 * total, "b": 0.25 * total})
    assert make_plan(roomy, FILLED_LESS).summary.hosts_on_after == 1


def test_a_host_that_became_fuller_by_itself_is_left_as_it_is() -> None:
    total = cluster("h1 64: a=8").host("h1").usable_cores
    fuller = cores("h1 64: a=8 b=8 | h2 64: c=8", {"a": 0.4 * total, "b": 0.45 * total, "c": 0.3 * total})
    assert make_plan(fuller, FILLED_LESS).steps == ()


def test_a_host_beyond_the_promise_is_eased_to_where_it_is_filled_to() -> None:
    """By the largest guest: with the smallest gone it would be at 80 %, and soon beyond the promise again."""
    total = cluster("h1 64: a=8").host("h1").usable_cores
    full = cores("h1 64: a=8 b=8 c=8 | h2 64:", {"a": 0.15 * total, "b": 0.25 * total, "c": 0.55 * total})
    plan = make_plan(full, FILLED_LESS)
    later = full.after(*(step.move for step in plan.moves))
    assert later.utilisation(later.host("h1"), CPU) <= 0.6 and not verify(plan, full, FILLED_LESS)
