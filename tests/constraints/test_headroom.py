"""Headroom of what else the snapshot lists: kept in the end and on the way, on the hosts that list it."""

from __future__ import annotations

from balancer.domain.cluster import Cluster
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
