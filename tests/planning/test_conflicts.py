"""Rules that cannot hold together are found, with the fewest that cannot; brute force on tiny clusters agrees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.constraints import Constraint, Reach, Stay
from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.placement import Move
from balancer.domain.violation import TOLERANCE
from balancer.domain.vm import Movable
from balancer.formats.reading import read_text
from balancer.planning.anywhere import contradictions, contradictions_ever
from balancer.planning.conflicts import find_conflicts
from balancer.policy import Policy
from balancer.solving.feasible import settled
from tests.drawing import cluster
from tests.planning.any_policy import random_case

ROOMY = "h1 64 rack=r1: a=4@db b=4@db c=4@web | h2 64 rack=r1: | h3 64 rack=r2:"


def policy(*rules: str, head: str = "") -> Policy:
    """Return the policy with these rules, from line 3 on."""
    listed = "".join(f"  - {rule}\n" for rule in rules)
    rest = f"constraints:\n{listed}" if rules else ""
    return read_text(f"schema: balancer.policy/1\n{head}{rest}", Policy, "p.yaml")


ANYWHERE: list[tuple[list[str], set[int]]] = [
    (["{kind: apart, vms: [a, b]}", "{kind: together, vms: [a, b]}"], {0, 1}),
    (["{kind: apart, match: {app: db}}", "{kind: together, match: {app: db}}"], {0, 1}),
    (["{kind: apart, vms: [a, b], across: rack}", "{kind: stay, vms: [c]}", "{kind: together, vms: [b, a]}"], {0, 2}),
    (["{kind: together, vms: [a, b]}", "{kind: together, vms: [b, c]}", "{kind: apart, vms: [a, c]}"], {0, 1, 2}),
    (["{kind: only_on, vms: [a], hosts: [h1]}", "{kind: not_on, vms: [a, b], hosts: [h1, h2]}"], {0, 1}),
    (["{kind: only_on, vms: [a], hosts: [h1]}", "{kind: only_on, vms: [a], hosts: [h2]}"], {0, 1}),
    (
        [
            "{kind: only_on, vms: [a], hosts_match: {rack: r1}}",
            "{kind: only_on, vms: [a], hosts_match: {rack: r2}}",
            "{kind: apart, vms: [a, b]}",
        ],
        {0, 1},
    ),
    (["{kind: only_on, vms: [a, b, c], hosts: [h1, h2]}", "{kind: apart, vms: [a, b, c]}"], {0, 1}),
    (["{kind: licence, vms: [a, b, c], at_most: 2}", "{kind: apart, vms: [a, b, c]}"], {0, 1}),
    (["{kind: keep_on, hosts: [h1, h2], at_least: 2}", "{kind: keep_on, hosts: [h1, h2], at_most: 1}"], {0, 1}),
    (["{kind: keep_on, hosts: [h1, h2], at_least: 3}"], {0}),
    (["{kind: dedicated, vms: [a], hosts: [h1]}", "{kind: only_on, vms: [b], hosts: [h1]}"], {0, 1}),
    (
        ["{kind: only_on, match: {app: db}, hosts_match: {rack: r1}}", "{kind: apart, match: {app: db}, across: rack}"],
        {0, 1},
    ),
]


@pytest.mark.parametrize(("rules", "guilty"), ANYWHERE)
def test_a_contradiction_is_found_without_a_cluster(rules: list[str], guilty: set[int]) -> None:
    wanted = policy(*rules)
    found = contradictions(wanted)
    assert [conflict.promises for conflict in found] == [{wanted.constraints[place].promise for place in guilty}]
    assert all(conflict.smallest and conflict.why for conflict in found)


@pytest.mark.parametrize(
    "rules",
    [
        ["{kind: apart, vms: [a, b], hard: false}", "{kind: together, vms: [a, b]}"],
        ["{kind: apart, vms: [a, b]}", "{kind: together, vms: [b, c]}"],
        ["{kind: apart, vms: [a, b, c], at_most: 2}", "{kind: together, vms: [b, c]}"],
        ["{kind: only_on, vms: [a], hosts: [h1]}", "{kind: only_on, vms: [a], hosts_match: {rack: r1}}"],
        ["{kind: only_on, vms: [a], hosts: [h1]}", "{kind: stay, vms: [a]}"],
        ["{kind: dedicated, match: {app: db}, hosts: [h1]}", "{kind: only_on, vms: [b], hosts: [h1]}"],
        ["{kind: licence, match: {app: db}, at_most: 2}", "{kind: apart, match: {app: db}}"],
        ["{kind: keep_on, hosts_match: {rack: r1}}", "{kind: keep_on, hosts_match: {rack: r1}, at_most: 2}"],
    ],
)
def test_what_some_cluster_could_keep_is_no_contradiction(rules: list[str]) -> None:
    assert contradictions(policy(*rules)) == ()


def test_rules_that_contradict_each_other_at_night_are_found_by_day() -> None:
    windows = "windows: {night: {from: '22:00', to: '06:00'}, day: {from: '08:00', to: '18:00'}}\n"
    apart, together = "{kind: apart, vms: [a, b], when: night}", "{kind: together, vms: [a, b], when: %s}"
    noon = cluster("h1 64:").taken_at
    assert len(contradictions_ever(policy(apart, together % "night", head=windows), noon)) == 1
    assert contradictions_ever(policy(apart, together % "day", head=windows), noon) == ()


HERE: list[tuple[str, list[str], str, list[set[str]], str]] = [
    (
        "h1 64: a=8 | h2 64: b=8 c=8",
        ["{kind: apart, name: r, vms: [a, b, c]}"],
        "",
        [{"r"}],
        "at most 1 of a, b, c may be on one host of h1, h2",
    ),
    (
        "h1 64: a=40 | h2 64: b=40",
        ["{kind: only_on, name: r, vms: [a, b], hosts: [h1]}"],
        "",
        [{"headroom", "r"}],
        "h1 may be filled with 60.8 GiB of memory, a, b need 80.0 GiB of memory",
    ),
    (
        "h1 64: a=40 | h2 64: b=40 | h3 64:",
        ["{kind: together, name: r, vms: [a, b]}"],
        "",
        [{"headroom", "r"}],
        "a, b share a host",
    ),
    (
        "h1 64: a=50 | h2 64: b=50",
        ["{kind: reserve, name: r, host_failures: 1}"],
        "",
        [{"r"}],
        "when the largest is lost, 64.0 GiB of memory are left for 100.0 GiB of memory",
    ),
    (
        "h1 64: a=30 | h2 64: b=30 | h3 64: c=30!",
        ["{kind: cap, name: r, hosts: ['*'], memory: 0.45}"],
        "",
        [{"r"}],
        "h3 may be filled with 28.8 GiB of memory, c needs 30.0 GiB of memory",
    ),
    (
        "h1 64: a=60/5 | h2 64: b=60/5",
        [],
        "headroom: {cpu: 0.3, memory: 1.0}\n",
        [{"headroom"}],
        "h1, h2 may be filled with 9.6 cores, all guests and hypervisors need 10.0 cores",
    ),
    (
        "h1 64: a=8! | h2 64: b=8",
        ["{kind: not_on, name: r, vms: [a], hosts: [h1]}"],
        "",
        [{"r"}],
        "a cannot leave h1",
    ),
    (
        "h1 64 cpu=old: a=8^old | h2 64 cpu=new:",
        ["{kind: only_on, name: r, vms: [a], hosts: [h2]}"],
        "",
        [{"r"}],
        "a may be on h2 alone",
    ),
    (
        "h1 64: a=8! | h2 64: b=8! | h3 64: c=8",
        ["{kind: keep_on, name: r, hosts: ['*'], at_most: 1}"],
        "",
        [{"r"}],
        "at most 1 of h1, h2, h3 are on",
    ),
    (
        "h1 64 rack=r1: a=8@x | h2 64 rack=r1: b=8@x | h3 64 rack=r2:",
        ["{kind: dedicated, name: r, match: {app: x}, hosts: [h3]}", "{kind: apart, name: s, match: {app: x}}"],
        "",
        [{"r", "s"}],
        "a, b may be on h3 alone",
    ),
    (
        "h1 64: a=8 | h2 64: b=8 | h3 64: c=8",
        [
            "{kind: apart, name: one, vms: [a, b]}",
            "{kind: together, name: two, vms: [a, b]}",
            "{kind: stay, name: three, vms: [c]}",
            "{kind: not_on, name: four, vms: [c], hosts: [h3]}",
        ],
        "",
        [{"one", "two"}, {"three", "four"}],
        "a, b share a host",
    ),
    (
        "h1 64: a=30@x | h2 64: b=30@x | h3 64:",
        ["{kind: group_share, name: r, match: {app: x}, memory: 0.3}"],
        "",
        [{"r"}],
        "a, b may take 57.6 GiB of memory of h1, h2, h3",
    ),
]


@pytest.mark.parametrize(("drawing", "rules", "head", "guilty", "fact"), HERE)
def test_a_conflict_on_a_cluster_names_its_rules_and_the_facts(
    drawing: str, rules: list[str], head: str, guilty: list[set[str]], fact: str
) -> None:
    found = find_conflicts(cluster(drawing), policy(*rules, head=head))
    assert [set(conflict.promises) for conflict in found.conflicts] == guilty
    assert all(conflict.smallest for conflict in found.conflicts)
    assert fact in found.conflicts[0].why
    assert found.is_complete


def test_a_wish_is_in_no_conflict() -> None:
    wishes = policy("{kind: apart, vms: [a, b]}", "{kind: together, vms: [a, b], hard: false}")
    assert find_conflicts(cluster(ROOMY), wishes).conflicts == ()


def test_what_a_move_could_mend_is_no_conflict() -> None:
    assert find_conflicts(cluster(ROOMY), policy("{kind: apart, match: {app: db}}")).conflicts == ()


def test_a_host_that_sleeps_could_help() -> None:
    asleep = cluster("h1 64: a=40 b=40 | h2 64 standby:")
    assert find_conflicts(asleep, policy()).conflicts == ()
    assert find_conflicts(cluster("h1 64: a=40 b=40"), policy()).conflicts != ()


def test_the_room_of_a_drained_host_is_not_counted_on() -> None:
    seen = cluster("h1 64: a=40 b=15 | h2 64:").with_host("h2", drained=True)
    rule = "{kind: cap, name: r, hosts: [h1], memory: 0.5}"
    assert [set(c.promises) for c in find_conflicts(seen, policy(rule)).conflicts] == [{"r"}]
    assert find_conflicts(seen.with_host("h2", drained=False), policy(rule)).conflicts == ()


def test_what_takes_too_much_work_is_not_decided_and_not_claimed() -> None:
    crowded = cluster("h1 64: a=8 | h2 64: b=8 c=8")
    found = find_conflicts(crowded, policy("{kind: apart, name: r, vms: [a, b, c]}"), most_work=0)
    assert found.conflicts == () and not found.is_complete


def test_a_large_cluster_is_decided_in_sums() -> None:
    guests = " ".join(f"g{number}=3.{number % 97:02d}/0.05" for number in range(200))
    hosts = " | ".join([f"h0 500: {guests}", *(f"h{number} 64:" for number in range(1, 7))])
    found = find_conflicts(cluster(hosts), policy("{kind: cap, name: r, hosts: ['*'], memory: 0.5}"))
    assert [set(conflict.promises) for conflict in found.conflicts] == [{"r"}]


# -- brute force


def _placements(start: Cluster) -> Iterator[Cluster]:
    """Every placement there is: each guest on each host that it may be brought to, each set of hosts on."""
    rest = settled(start)
    choices = []
    for vm in rest.vms:
        away = [host.name for host in rest.hosts if host.takes_guests or not host.is_on]
        reach = [name for name in away if name != vm.host and not rest.why_cannot_run(vm, rest.host(name))]
        choices.append([vm.host] if vm.movable is Movable.NEVER else [vm.host, *reach])
    for homes in product(*choices):
        moves = [Move(vm.name, vm.host, home) for vm, home in zip(rest.vms, homes, strict=True) if home != vm.host]
        moved = rest.after(*moves)
        needed = {vm.host for vm in moved.vms if vm.is_active}
        needed |= {host.name for host in rest.hosts if host.is_on and host.may_sleep is False}
        spare = [host.name for host in rest.hosts if host.name not in needed]
        for count in range(len(spare) + 1):
            for off in combinations(spare, count):
                asleep = moved.with_hosts(HostState.STANDBY, *(n for n in off if moved.host(n).is_on))
                woken = [h.name for h in rest.hosts if not h.is_on and h.name not in off]
                yield asleep.with_hosts(HostState.UP, *woken) if woken else asleep


def _can_hold(start: Cluster, placements: Sequence[Cluster], rules: Sequence[Constraint]) -> bool:
    rest = settled(start)
    return any(all(_keeps(rest, placed, rule) for rule in rules) for placed in placements)


def _keeps(rest: Cluster, placed: Cluster, rule: Constraint) -> bool:
    if isinstance(rule, Stay):  # its checker cannot tell of a cluster at rest where guests were before
        return all(placed.vm(name).host == rest.vm(name).host for name in rule.guests(rest))
    return not any(v.excess > TOLERANCE for v in rule.violations(placed))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_brute_force_finds_no_placement_for_a_conflict_and_one_for_each_smaller_set(seed: int) -> None:
    seen, wanted = random_case(seed)
    hosts = seen.hosts[:3]
    names = {host.name for host in hosts}
    tiny = seen.model_copy(update={"hosts": hosts, "vms": tuple(vm for vm in seen.vms if vm.host in names)[:4]})
    found = find_conflicts(tiny, wanted)
    placements = list(_placements(tiny))
    hard = [rule for rule in wanted.promises if rule.hard and not isinstance(rule, Reach)]
    if found.is_complete and not found.conflicts:
        assert _can_hold(tiny, placements, hard)
    for conflict in found.conflicts:
        core = [rule for rule in hard if rule.promise in conflict.promises]
        assert not _can_hold(tiny, placements, core), conflict
        if conflict.smallest:
            for rule in core:
                fewer = [other for other in core if other is not rule]
                assert _can_hold(tiny, placements, fewer), (conflict, rule.promise)
