"""What each ready policy says it does, on a small cluster."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.planning import make_plan, verify
from balancer.policy import Policy, load_policy
from balancer.policy.ready import READY
from tests.drawing import cluster, where
from tests.policy.texts import at

TUESDAY_NOON = at("2026-11-24T12:00")


def ready(name: str) -> Policy:
    return load_policy(Path(name))


def planned(name: str, drawn: Cluster) -> Plan:
    """Return the plan, which is proven safe each time."""
    plan = make_plan(drawn, ready(name))
    assert verify(plan, drawn, ready(name)) == ()
    return plan


def ends(plan: Plan, drawn: Cluster) -> dict[str, str]:
    later = drawn
    for step in plan.moves:
        later = later.after(step.move)
    return where(later)


def may_sleep(drawn: Cluster, **more: Any) -> Cluster:
    able = {"may_sleep": True, "wake_proven_at": drawn.taken_at - timedelta(days=1)}
    hosts = tuple(host.model_copy(update=able) for host in drawn.hosts)
    return drawn.model_copy(update={"hosts": hosts, **more})


def labelled(drawn: Cluster, **labels: dict[str, str]) -> Cluster:
    """Give guests labels, by their names."""
    vms = tuple(vm.model_copy(update={"labels": labels.get(vm.name, {})}) for vm in drawn.vms)
    return drawn.model_copy(update={"vms": vms})


UNEVEN = "h1 64: a=8/4 b=8/4 c=8/3 | h2 64: d=8/1 | h3 64:"
QUIET = "h1 64: a=8/1 | h2 64: b=8/1 | h3 64: c=8/1"


def test_balanced_spreads_load_and_lets_no_host_sleep() -> None:
    spread = planned("balanced", may_sleep(cluster(UNEVEN)))
    assert len(set(ends(spread, cluster(UNEVEN)).values())) == 3
    assert planned("balanced", may_sleep(cluster(QUIET))).is_empty


def test_power_saver_moves_guests_together_and_lets_emptied_hosts_sleep() -> None:
    assert len(planned("power-saver", may_sleep(cluster(QUIET))).summary.hosts_to_sleep) == 2


@pytest.mark.parametrize(
    ("moment", "asleep"),
    [
        ("2026-11-24T12:00", 0),  # a Tuesday
        ("2026-11-24T20:00", 2),
        ("2026-11-25T05:29", 2),
        ("2026-11-25T05:30", 0),
        ("2026-11-28T12:00", 2),  # a Saturday
        ("2026-12-25T12:00", 2),  # Christmas, a Friday
    ],
)
def test_night_saver_saves_at_night_on_days_off_and_not_by_day(moment: str, asleep: int) -> None:
    plan = planned("night-saver", may_sleep(cluster(QUIET), taken_at=at(moment)))
    assert len(plan.summary.hosts_to_sleep) == asleep


def test_night_saver_wakes_hosts_in_the_morning() -> None:
    morning = may_sleep(cluster("h1 64: a=8/4 b=8/4 c=8/4 | h2 64 standby: | h3 64: d=8/4"), taken_at=TUESDAY_NOON)
    assert planned("night-saver", morning).summary.hosts_to_wake == ("h2",)


def test_contention_only_leaves_an_uneven_cluster_alone_and_mends_a_contended_host() -> None:
    uneven = cluster("h1 64: a=8/5 b=8/4 c=8/4 | h2 64: d=8/1 | h3 64:")
    contended = cluster("h1 64: a=8/6 b=8/5 c=8/4 | h2 64: d=8/1 | h3 64:")
    assert planned("contention-only", may_sleep(uneven)).is_empty
    plan = planned("contention-only", may_sleep(contended))
    assert len(plan.moves) == 1
    assert plan.moves[0].source == "h1"
    assert plan.summary.hosts_to_sleep == ()


def test_maintenance_empties_the_host_and_touches_nothing_else() -> None:
    drawn = may_sleep(cluster("h1 64 maintenance: a=8/1 b=8/1 | h2 64: c=8/6 d=8/5 | h3 64: | h4 64:"))
    plan = planned("maintenance", drawn)
    assert {step.vm for step in plan.moves} == {"a", "b"}
    assert "h1" not in ends(plan, drawn).values()
    assert plan.summary.hosts_to_sleep == ()
    waves = [step.wave for step in plan.moves]
    assert len(set(waves)) == 2, "one guest at a time leaves the host"


def test_licence_bound_keeps_licensed_guests_on_licensed_hosts_and_others_off() -> None:
    drawn = cluster("h1 64 licence=oracle: x=8 | h2 64 licence=oracle: db2=8 | h3 64: db1=8 | h4 64:")
    oracle = {"licence": "oracle"}
    drawn = labelled(drawn, db1=oracle, db2=oracle, x={"licence": "none"})
    home = ends(planned("licence-bound", drawn), drawn)
    assert home["db1"] in {"h1", "h2"}
    assert home["db2"] == home["db1"], "one licence is enough"
    assert home["x"] in {"h3", "h4"}


def test_two_rooms_parts_a_pair_and_keeps_guests_in_their_room() -> None:
    drawn = cluster("h1 64 room=a: d1=8 d2=8 x=8 | h2 64 room=a: y=8 | h3 64 room=b: | h4 64 room=b:")
    pair = {"pair": "database"}
    drawn = labelled(drawn, d1=pair, d2=pair, x={"room": "a"}, y={"room": "b"})
    home = ends(planned("two-rooms", drawn), drawn)
    rooms = {vm: drawn.host(host).labels["room"] for vm, host in home.items()}
    assert rooms["d1"] != rooms["d2"]
    assert (rooms["x"], rooms["y"]) == ("a", "b")
    crowded = planned("two-rooms", cluster("h1 64 room=a: a=40 | h2 64 room=b: b=40"))
    assert [unmet.promise for unmet in crowded.unmet] == ["one-room-may-fail"] * len(crowded.unmet) != []


def test_lab_acts_looks_often_and_moves_for_a_small_gain() -> None:
    lab = ready("lab")
    assert (lab.mode, lab.interval_seconds) == ("act", 60)
    small = cluster("h1 64: a=8/2 b=8/2 | h2 64: c=8/1")
    assert planned("contention-only", small).is_empty
    assert len(planned("lab", may_sleep(small)).summary.hosts_to_sleep) == 1


@pytest.mark.parametrize("name", READY)
def test_no_ready_policy_moves_what_is_well_placed(name: str) -> None:
    even = cluster("h1 64: a=8/7.6 | h2 64: b=8/7.6 | h3 64: c=8/7.6")
    assert planned(name, even).is_empty
