"""A cluster is a frozen value: change gives the next one, and what was found out about one is never told of another."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.cluster import Cluster
from balancer.domain.host import RESOURCES, HostState, Power
from balancer.domain.placement import Move
from tests.drawing import cluster, where

THREE = "h1 64: a=8/2 b=4/1 | h2 64: c=2/1 | h3 64 standby:"


def test_after_a_move_the_old_cluster_is_what_it_was() -> None:
    drawn = cluster(THREE)
    later = drawn.after(Move("a", "h1", "h2"))
    assert (where(drawn)["a"], where(later)["a"]) == ("h1", "h2")
    assert [vm.name for vm in later.guests_of("h2")] == ["a", "c"]
    assert [vm.name for vm in drawn.guests_of("h1")] == ["a", "b"]


def test_a_guest_in_flight_counts_at_both_ends() -> None:
    flying = cluster(THREE).while_moving(Move("a", "h1", "h2"))
    assert flying.used(flying.host("h1"), "cpu") == 3
    assert flying.used(flying.host("h2"), "cpu") == 3


def test_unexplained_load_stays_when_guests_leave() -> None:
    drawn = cluster(THREE).with_host("h1", cpu_used_cores=5.0)
    assert drawn.used(drawn.host("h1"), "cpu") == 5.0
    left = drawn.after(Move("a", "h1", "h2"), Move("b", "h1", "h2"))
    assert left.used(left.host("h1"), "cpu") == 2.0


def test_watts_follow_the_curve_and_a_sleeper_draws_what_its_bmc_does() -> None:
    table = Power(watts=(86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117))
    assert (table.at(0), table.at(0.05), table.at(1)) == (86, 87.7, 117)
    drawn = cluster(THREE).with_host("h1", power=table).with_host("h3", power=table)
    assert drawn.watts() == table.at(3 / 16) + 5


def test_imbalance_is_over_the_hosts_that_are_on() -> None:
    drawn = cluster("h1 64: a=8/4 | h2 64: | h3 64 standby:")
    assert drawn.imbalance("cpu") == 0.125


CHANGES = st.lists(
    st.tuples(st.sampled_from(["after", "while", "sleep", "reading"]), st.sampled_from("abc"), st.sampled_from("123")),
    max_size=8,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(CHANGES)
def test_what_is_remembered_of_a_changed_cluster_is_what_a_fresh_one_finds(changes: list[tuple[str, str, str]]) -> None:
    seen = cluster(THREE)
    for what, vm, host in changes:
        target = f"h{host}"
        assert [seen.used(each, "cpu") for each in seen.hosts], "so that there is something to be wrongly kept"
        move = Move(vm, seen.vm(vm).host, target)
        if what == "after":
            seen = seen.after(move)
        elif what == "while":
            seen = seen.while_moving(move)
        elif what == "sleep":
            seen = seen.with_hosts(HostState.STANDBY, target)
        else:
            seen = seen.with_host(target, labels={"rack": vm})
    fresh = Cluster.model_validate(seen.model_dump(by_alias=True))
    for each in seen.hosts:
        assert seen.guests_of(each.name) == fresh.guests_of(each.name)
        assert seen.host(each.name) == fresh.host(each.name)
        assert all(seen.used(each, r) == fresh.used(each, r) for r in RESOURCES)
