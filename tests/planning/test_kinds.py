"""Each guest is moved in the way that harms it least among those that end and that the policy permits."""

from __future__ import annotations

from typing import Any

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.pace import Pace, Paces
from balancer.domain.placement import Move
from balancer.domain.plan import Because
from balancer.domain.vm import Movable, Vm, VmState
from balancer.planning import make_plan, verify
from balancer.planning.conflicts import find_conflicts
from balancer.planning.durations import MOST_ROUNDS, NO_PACES, Journey, converges, throttles
from balancer.planning.kinds import Way, way_of
from balancer.policy import Policy
from balancer.policy.migration import MigrationRules
from tests.drawing import NOON

MOVE = Move("a", "h1", "h2")
ALL = {"allow_downtime_seconds": 2.0, "allow_post_copy": True, "auto_converge": True, "allow_restart": True}
NOTHING = {"auto_converge": False}


def one_guest(link: float = 1000.0, **vm: Any) -> Cluster:
    """A guest of 8 GiB on the first of two hosts."""
    hosts = tuple(Host(name=n, cpu_cores=16.0, memory_mib=65536.0, migration_mib_per_s=link) for n in ("h1", "h2"))
    guest = {"name": "a", "host": "h1", "vcpus": 2, "memory_mib": 8192.0, "cpu_used_cores": 1.0, **vm}
    return Cluster(taken_at=NOON, cluster="c", hosts=hosts, vms=(Vm(**guest),))


def chosen(rules: dict[str, Any], link: float = 1000.0, paces: Paces = NO_PACES, **vm: Any) -> Way:
    way = way_of(one_guest(link, **vm), MOVE, MigrationRules(**rules), paces)
    assert isinstance(way, Way), way
    return way


def refused(rules: dict[str, Any], **vm: Any) -> str:
    why = way_of(one_guest(**vm), MOVE, MigrationRules(**rules))
    assert isinstance(why, str), why
    return why


def test_a_quiet_guest_goes_live_without_any_help() -> None:
    way = chosen(ALL, dirty_mib_per_s=20.0)
    assert (way.kind, way.options.in_words(way.kind), way.because) == ("live", "", "")
    assert way.cost.seconds == pytest.approx(9.4, abs=0.2)
    assert way.cost.mib == pytest.approx(8192 * 1.02, rel=0.01)


def test_a_guest_that_nobody_measured_goes_live_and_what_would_help_it_stands_by() -> None:
    way = chosen(ALL, dirty_mib_per_s=None)
    assert way.options.auto_converge and way.options.post_copy
    assert way.because == "how fast it writes was not measured, so auto-converge and post-copy stands by"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (ALL, "live, post-copy"),  # a stop would take 8 s
        ({**ALL, "allow_downtime_seconds": 10.0}, "warm"),
        ({**ALL, "allow_post_copy": False}, "live, auto-converge"),
        ({"auto_converge": False, "allow_restart": True}, "cold, restarted"),
    ],
)
def test_a_guest_that_writes_faster_than_the_line(rules: dict[str, Any], words: str) -> None:
    way = chosen(rules, dirty_mib_per_s=1500.0)
    said = way.options.in_words(way.kind)
    assert words in (said, f"{way.kind}, {said}")
    assert way.because.startswith("it writes 1500 MiB/s of the 1000 that are copied")


def test_what_the_policy_says_of_each_migration_goes_along_as_far_as_it_can() -> None:
    rules = {**ALL, "parallel": 4, "tls": True}
    assert chosen(rules, dirty_mib_per_s=20.0).options.parallel == 4
    assert chosen(rules, dirty_mib_per_s=None).options.post_copy is False, "not with several connections"
    quick = chosen(rules, dirty_mib_per_s=1500.0).options
    assert (quick.post_copy, quick.parallel, quick.tls) == (True, 0, True)
    with pytest.raises(ValueError, match="keep one of the two"):
        MigrationRules(compression=True, parallel=2)


def test_where_the_policy_permits_nothing_that_ends_it_stays_and_the_sentence_says_what_would() -> None:
    why = refused(NOTHING, dirty_mib_per_s=1500.0)
    assert why == (
        "it writes 1500 MiB/s of the 1000 that are copied: copying would never end, "
        "a stop would take 8.2 s, and the policy permits no other way"
    )


def test_one_that_no_throttle_slows_enough_is_not_slowed_in_vain() -> None:
    assert "never end" in refused({}, dirty_mib_per_s=150_000.0)


def test_the_stop_of_a_warm_migration_is_foretold_and_within_what_is_allowed() -> None:
    way = chosen({"allow_downtime_seconds": 10.0}, dirty_mib_per_s=1500.0)
    assert way.cost.downtime_ms == pytest.approx(8242)
    assert way.cost.mib == 2 * 8192
    assert way.options.stop_seconds == 10.0


def test_slowing_costs_time_and_the_more_the_busier_the_guest() -> None:
    costs = [chosen({}, dirty_mib_per_s=rate).cost for rate in (20.0, 1100.0, 3000.0)]
    assert costs[0].seconds < costs[1].seconds < costs[2].seconds
    assert all(cost.downtime_ms <= 350 for cost in costs)


def test_a_guest_that_is_shut_off_goes_cold_at_once() -> None:
    way = chosen({}, state=VmState.SHUT_OFF, movable=Movable.COLD)
    assert (way.kind, way.options.restart, way.cost.downtime_ms) == ("cold", False, 0.0)


def test_a_running_guest_that_can_only_move_shut_off_stays_unless_it_may_be_restarted() -> None:
    assert refused({}, movable=Movable.COLD, why_not="it uses a card") == "it uses a card"
    way = chosen({"allow_restart": True}, movable=Movable.COLD, why_not="it uses a card")
    assert (way.kind, way.options.restart) == ("cold", True)
    assert way.cost.downtime_ms == 1000 * way.cost.seconds
    slow = {"allow_restart": True, "restart_within_seconds": 60.0}
    assert "longer than the policy allows" in refused(slow, movable=Movable.COLD)


LOCAL: dict[str, Any] = {"storage": "local", "disk_gib": 100.0, "dirty_mib_per_s": 20.0}


def test_a_local_disk_stays_unless_the_policy_copies_it_and_then_it_counts() -> None:
    assert "its disk is on this host alone" in refused({}, **LOCAL)
    way = chosen({"copy_storage": "all"}, **LOCAL)
    assert (way.kind, way.options.copy_storage) == ("live", "all")
    assert way.cost.seconds == pytest.approx(102.4 + 9.4, abs=0.2)
    assert way.because == "its disk of 100.0 GiB comes along"


def test_what_the_past_has_taught_replaces_what_is_assumed() -> None:
    taught = Paces(known=(Pace(hosts=("h1", "h2"), link_share=0.5, set_up_seconds=3.0, mib_ratio=0.5, migrations=9),))
    way = chosen({}, paces=taught, dirty_mib_per_s=0.0)
    assert way.cost.mib == pytest.approx(4096)
    assert way.cost.seconds == pytest.approx(3.0 + 4096 / 500)
    assert chosen({}, paces=taught, dirty_mib_per_s=700.0).options.auto_converge, "the line carries 500, not 1000"


def test_the_pair_teaches_more_than_the_host_and_the_host_more_than_the_rest() -> None:
    def pace(*hosts: str) -> Pace:
        return Pace(hosts=hosts, link_share=1.0, set_up_seconds=float(len(hosts)), migrations=3)

    paces = Paces(known=(pace(), pace("h1"), pace("h1", "h2")))
    known = [paces.between(*ends) for ends in (("h1", "h2"), ("h1", "h3"), ("h2", "h1"))]
    assert [each.set_up_seconds if each else None for each in known] == [2, 1, 1]
    assert paces.between("h8", "h9") == pace()


def test_convergence_is_a_matter_of_rate_stop_and_rounds() -> None:
    assert converges(Journey(8192, 1000, 850))
    assert not converges(Journey(8192, 1000, 999))
    assert converges(Journey(8192, 1000, 5000), stop_seconds=8.2)
    assert list(throttles())[:5] == [0.0, 0.0, 0.2, 0.2, pytest.approx(0.3)]
    assert len(list(throttles())) == MOST_ROUNDS


# -- in a plan


def two_hosts(**vm: Any) -> Cluster:
    """One host full, one empty: a guest wants to go over."""
    still = one_guest()
    guests = [Vm(name=n, host="h1", vcpus=8, memory_mib=8192.0, cpu_used_cores=6.0, **vm) for n in ("a", "b")]
    return still.model_copy(update={"vms": tuple(guests)})


def policy(**rules: Any) -> Policy:
    return Policy.model_validate({"migration": rules, "objectives": {"even_load": {"weight": 1.0}}})


def test_the_plan_says_how_and_why_and_what_it_costs() -> None:
    cluster, allowed = two_hosts(dirty_mib_per_s=1500.0), policy(allow_post_copy=True)
    plan = make_plan(cluster, allowed)
    (step,) = plan.moves
    assert (step.kind, step.options.post_copy) == ("live", True)
    assert step.why_so == "it writes 1500 MiB/s of the 1000 that are copied, and post-copy is allowed"
    assert step.copied_mib == 2 * 8192 and step.seconds == pytest.approx(17.4, abs=0.1)
    assert verify(plan, cluster, allowed) == ()


def test_a_plan_that_asks_more_of_a_guest_than_the_policy_permits_is_refused() -> None:
    cluster = two_hosts(dirty_mib_per_s=1500.0)
    for allowed, words in (
        (policy(allow_post_copy=True), "post-copy"),
        (policy(), "slow it down"),
        (policy(allow_downtime_seconds=10.0), "so long a stop"),
    ):
        (objection, *_) = verify(make_plan(cluster, allowed), cluster, policy(auto_converge=False))
        assert f"the policy does not permit {words}" in str(objection) or words in str(objection)


def test_a_plan_that_leaves_a_local_disk_behind_is_refused() -> None:
    shared = two_hosts(dirty_mib_per_s=0.0)
    local = shared.model_copy(update={"vms": tuple(v.model_copy(update={"storage": "local"}) for v in shared.vms)})
    (objection, *_) = verify(make_plan(shared, policy()), local, policy())
    assert "its disk would stay behind" in str(objection)
    kept = {each.subject: each for each in make_plan(local, policy()).kept}
    assert kept["vm:a"].because is Because.IMMOVABLE
    assert make_plan(local, policy(copy_storage="all")).moves


def test_a_guest_that_no_permitted_kind_gets_there_is_left_with_the_reason() -> None:
    plan = make_plan(two_hosts(dirty_mib_per_s=1500.0), policy(auto_converge=False))
    assert plan.moves == ()
    (kept, *_) = [each for each in plan.kept if each.because is Because.NO_WAY_THERE]
    assert "copying would never end" in kept.detail


def test_a_guest_whose_disk_stays_is_part_of_a_conflict_and_no_more_once_the_disk_may_be_copied() -> None:
    local = two_hosts(dirty_mib_per_s=0.0, storage="local")
    apart = {"kind": "apart", "name": "a-and-b", "vms": ["a", "b"]}

    def conflicts(**rules: Any) -> tuple[Any, ...]:
        wanted = Policy.model_validate({"migration": rules, "constraints": [apart]})
        return find_conflicts(local, wanted).conflicts

    assert len(conflicts()) == 1
    assert conflicts(copy_storage="all") == ()


def test_a_disk_that_is_on_a_host_alone_is_lost_with_it_and_needs_no_reserve() -> None:
    reserve = {"kind": "reserve", "name": "n-1", "host_failures": 1}
    wanted = Policy.model_validate({"migration": {"copy_storage": "all"}, "constraints": [reserve]})
    full = two_hosts(storage="shared")
    crowded = full.model_copy(
        update={"hosts": (full.hosts[0], full.hosts[1].model_copy(update={"memory_mib": 4096.0}))}
    )
    lost = [violation for violation in wanted.violations(crowded) if "n-1" in violation.promise]
    assert lost
    alone = crowded.model_copy(update={"vms": tuple(v.model_copy(update={"storage": "local"}) for v in crowded.vms)})
    assert [v for v in wanted.violations(alone) if "n-1" in v.promise] == []
