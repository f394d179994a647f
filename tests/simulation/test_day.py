"""The embedded site: a legal start, a day that fills it and a night that half empties it, the same each time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from ruamel.yaml import YAML

from balancer.clock import HandSetClock
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Resource
from balancer.domain.vm import Movable
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy.model import Policy
from balancer.simulation.curves import Habit, always
from balancer.simulation.day import embedded_policy, embedded_site
from balancer.simulation.fleet import FLEET, guests_of
from tests.simulation.worlds import MIDNIGHT

SEEDS = range(1, 6)
ROOM_FOR_MEMORY = 0.95  # the policy's headroom


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.model_validate(YAML(typ="safe").load(embedded_policy()))


def seen_at(hour: float, seed: int = 1) -> Cluster:
    return SimulatedPlatform(embedded_site(HandSetClock(MIDNIGHT + timedelta(hours=hour)), seed)).observe()


def share(cluster: Cluster, resource: Resource) -> float:
    return sum(cluster.used(h, resource) for h in cluster.hosts) / sum(h.usable(resource) for h in cluster.hosts)


def test_it_is_the_size_that_it_says_it_is() -> None:
    site = seen_at(12)
    assert len(site.hosts) == 12
    assert 190 <= len(site.vms) <= 210
    assert {host.labels["rack"] for host in site.hosts} == {"r1", "r2", "r3"}
    assert [vm.name for vm in site.vms if vm.movable is Movable.NEVER] == ["licence"]
    assert site.doubts == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_start_keeps_every_promise_at_any_hour_of_the_day(policy: Policy, seed: int) -> None:
    clock = HandSetClock(MIDNIGHT)
    platform = SimulatedPlatform(embedded_site(clock, seed))
    broken = []
    for _ in range(48):
        broken += policy.violations(platform.observe())
        clock.sleep(1800)
    assert broken == []


def test_the_policy_speaks_of_what_is_there(policy: Policy) -> None:
    assert policy.remarks(seen_at(12)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_the_start_is_uneven(seed: int) -> None:
    assert seen_at(12, seed).imbalance(MEMORY) > 0.06


@pytest.mark.parametrize("seed", SEEDS)
def test_by_day_it_wants_most_of_its_cores_and_at_night_few(seed: int) -> None:
    clock = HandSetClock(MIDNIGHT)
    platform = SimulatedPlatform(embedded_site(clock, seed))
    loads = []
    for _ in range(24):
        loads.append(share(platform.observe(), CPU))
        clock.sleep(3600)
    assert 0.55 <= max(loads) <= 0.66
    assert 0.10 <= min(loads) <= 0.15
    assert loads[3] < 0.20
    assert loads[20] > 1.2 * loads[18]  # the shop's evening


def test_at_night_memory_lets_four_hosts_and_more_sleep() -> None:
    site = seen_at(3)
    sleepers = [host for host in site.hosts if host.may_sleep]
    awake = sum(host.usable(MEMORY) for host in site.hosts) - sum(host.usable(MEMORY) for host in sleepers[:5])
    assert len(sleepers) >= 5
    assert sum(vm.need(MEMORY) for vm in site.vms) < ROOM_FOR_MEMORY * awake


def test_the_same_seed_gives_the_same_site_and_another_one_another() -> None:
    assert seen_at(9.5) == seen_at(9.5)
    homes = [{vm.name: vm.host for vm in seen_at(9.5, seed).vms} for seed in (1, 2)]
    assert homes[0] != homes[1]


def test_any_time_can_be_asked_in_any_order() -> None:
    guests = [guest for kind in FLEET for guest in guests_of(kind, seed=3)]
    times = [MIDNIGHT + timedelta(minutes=17 * step) for step in range(100)]
    forwards = {(g.name, t): g.load(t) for t in times for g in guests}
    backwards = {(g.name, t): g.load(t) for t in reversed(times) for g in reversed(guests)}
    assert forwards == backwards
    assert all(0 <= forwards[g.name, t] <= g.vcpus for g in guests for t in times)


def test_load_drifts_and_does_not_jump() -> None:
    load = Habit(always, idle=0, busy=0.5, wobble=0.2).of("a", 4, seed=1)
    minutes = [load(MIDNIGHT + timedelta(minutes=step)) for step in range(600)]
    assert max(abs(later - now) for now, later in pairwise(minutes)) < 0.1 * max(minutes)
    assert max(minutes) > 1.1 * min(minutes)
