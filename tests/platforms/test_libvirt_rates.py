"""From counters to cores: what is believed, what is doubted, what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from balancer.platforms.libvirt.rates import GuestRate, earliest_comparable, needs_another_look, rates
from balancer.platforms.libvirt.samples import Counters, GuestSample, guest_sample, host_sample

SECOND = 1_000_000_000  # in the unit of libvirt's counters
WEB = ("web", 1)

# As libvirt 9.0 gave them for a guest with two vCPUs.
STATS: dict[str, Any] = {
    "cpu.time": 6_060_000_000,
    "cpu.user": 5_420_000_000,
    "vcpu.current": 2,
    "vcpu.0.time": 3_000_000_000,
    "vcpu.0.wait": 0,
    "vcpu.0.delay": 195_000_000,
    "vcpu.1.time": 2_870_000_000,
    "vcpu.1.wait": 0,
    "vcpu.1.delay": 5_000_000,
}


def counted(at: float, cpu_seconds: float | None, busy: int = 0, idle: int = 0, wait_seconds: float = 0) -> Counters:
    cpu_ns = None if cpu_seconds is None else int(cpu_seconds * SECOND)
    guest = GuestSample(at, cpu_ns, int(wait_seconds * SECOND))
    return Counters(host_sample(at, {"kernel": 0, "user": busy, "idle": idle, "iowait": 0}), {WEB: guest})


def rate(before: Counters, now: Counters) -> GuestRate:
    return rates(before, now, host_cpus=4, vcpus={WEB: 2}).guests[WEB]


def test_two_samples_make_a_rate() -> None:
    before, now = counted(10, 100, busy=50, idle=1000), counted(20, 115, busy=2050, idle=3000, wait_seconds=2)
    found = rates(before, now, host_cpus=4, vcpus={WEB: 2})
    assert found.cores == pytest.approx(2.0)
    assert found.guests[WEB] == GuestRate(cores=1.5, wait_share=0.1)


def test_counters_are_read_from_bulk_statistics() -> None:
    assert guest_sample(1, STATS) == GuestSample(1, 6_060_000_000, 200_000_000)


def test_an_older_hypervisor_says_less() -> None:
    old = {key: value for key, value in STATS.items() if not key.endswith(".delay") and key != "cpu.time"}
    assert guest_sample(1, old) == GuestSample(1, 5_870_000_000, 0)
    assert guest_sample(1, {"state.state": 1}) == GuestSample(1, None, None)


def test_waiting_for_disks_is_not_work() -> None:
    before, now = (
        host_sample(0, {"user": 0, "idle": 0, "iowait": 0}),
        host_sample(1, {"user": 1, "idle": 1, "iowait": 2}),
    )
    assert rates(Counters(before, {}), Counters(now, {}), 4, {}).cores == 1.0


@pytest.mark.parametrize(("cores", "words"), [(-1, "went backwards"), (4.5, "4.5 cores on a host that has 4")])
def test_what_cannot_be_is_said_and_not_used(cores: float, words: str) -> None:
    found = rate(counted(0, 100), counted(10, 100 + 10 * cores))
    assert found.cores is None and words in found.absurd


@pytest.mark.parametrize(("busy", "idle"), [(50, 200), (200, 50)])
def test_a_host_whose_counters_go_backwards_is_absurd(busy: int, idle: int) -> None:
    found = rates(counted(0, 0, busy=100, idle=100), counted(10, 0, busy=busy, idle=idle), 4, {})
    assert found.cores is None and "went backwards" in found.absurd


def test_a_little_more_than_all_is_all() -> None:
    assert rate(counted(0, 0), counted(1, 4.2)).cores == 4


def test_nothing_counted_is_missing_not_idle() -> None:
    assert rate(counted(0, None), counted(10, None)).cores is None


def test_the_first_look_needs_another_one() -> None:
    assert needs_another_look(None, counted(0, 0))
    assert not needs_another_look(counted(0, 0), counted(60, 0))


@pytest.mark.parametrize("seconds", [0.1, 3600])
def test_a_look_too_near_or_too_far_back_does_not_serve(seconds: float) -> None:
    assert needs_another_look(counted(0, 0), counted(seconds, 0))


def test_a_newcomer_and_a_guest_that_was_restarted_need_another_look() -> None:
    before, now = counted(0, 0), counted(60, 0)
    restarted = Counters(now.host, {("web", 2): now.guests[WEB]})
    assert needs_another_look(before, restarted)


def test_a_newcomer_is_compared_with_a_moment_ago_and_the_others_with_the_last_cycle() -> None:
    new = ("new", 1)
    last, first, now = counted(0, 0), counted(60, 30), counted(61, 31)
    first = Counters(first.host, {**first.guests, new: GuestSample(60, 5 * SECOND, 0)})
    now = Counters(now.host, {**now.guests, new: GuestSample(61, 7 * SECOND, 0)})
    found = rates(earliest_comparable(last, first, now), now, 4, {WEB: 2, new: 2}).guests
    assert found[WEB].cores == pytest.approx(31 / 61)
    assert found[new].cores == pytest.approx(2.0)
