"""What guests are expected to need at a risk, and what hosts keep free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.cycle import think
from balancer.demand.diary import EMPTY_DIARY, Diary
from balancer.demand.expecting import expected
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host, HostState
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Because
from balancer.domain.vm import Demand, Vm, VmState
from balancer.planning.question import ask
from balancer.policy import Policy
from tests.demand.past import MONDAY_NOON, cluster, diary, guest, noisy, readings

NOTHING_READ = readings()
CROWD = {f"vm{number}": noisy(2.0, 0.5, seed=number) for number in range(40)}


@dataclass(frozen=True)
class Rules:
    risk: float | None = 0.001
    window_minutes: float = 30.0
    quantile: float = 0.95
    horizon_minutes: float = 15.0


def crowd(*more: Vm) -> Cluster:
    guests = [guest(name, host=f"h{place % 2 + 1}", present=2.0) for place, name in enumerate(CROWD)]
    return cluster(*guests, *more)


@pytest.fixture(scope="module")
def known() -> Diary:
    return diary(CROWD)


def expect(now: Cluster, past: Diary, rules: Rules | None = None, read: pd.DataFrame = NOTHING_READ) -> Cluster:
    return expected(read, past, now, rules or Rules())


def test_without_a_risk_each_guest_counts_by_itself(known: Diary) -> None:
    now = expect(crowd(), known, Rules(risk=None))
    assert now.vm("vm0").need(CPU) == 2.0
    assert [host.swing_cores for host in now.hosts] == [0.0, 0.0]


def test_at_a_risk_a_host_is_expected_to_need_less_than_all_at_their_worst(known: Diary) -> None:
    now = expect(crowd(), known)
    host = now.host("h1")
    load = now.used(host, CPU) + host.swing_cores
    assert 20 * 2.0 + 3.09 * 0.5 * np.sqrt(20) <= load < 20 * (2.0 + 1.64 * 0.5)


def test_a_smaller_risk_keeps_more_free(known: Diary) -> None:
    loads = [
        (now := expect(crowd(), known, Rules(risk=risk))).used(now.host("h1"), CPU) + now.host("h1").swing_cores
        for risk in (0.05, 0.01, 0.001)
    ]
    assert loads == sorted(loads) and loads[0] < loads[2]


def test_headroom_counts_what_is_kept_free(known: Diary) -> None:
    now = expect(crowd(), known)
    host = now.host("h1")
    full = (now.used(host, CPU) + host.swing_cores) / host.usable_cores
    kept, broken = (Policy.model_validate({"headroom": {"cpu": full + by}}).headroom for by in (0.01, -0.01))
    assert kept.violations(now) == []
    assert {violation.subject for violation in broken.violations(now)} == {"host:h1/cpu", "host:h2/cpu"}
    assert "cannot be foreseen" in broken.violations(now)[0].detail


def test_a_rise_counts_at_once(known: Diary) -> None:
    risen = cluster(*(guest(name, present=7.5 if name == "vm0" else 2.0) for name in CROWD))
    assert expect(risen, known).vm("vm0").need(CPU) > 6.0


def test_when_all_rise_a_little_no_host_is_expected_to_need_less_than_it_does(known: Diary) -> None:
    risen = cluster(*(guest(name, host=f"h{place % 2 + 1}", present=2.9) for place, name in enumerate(CROWD)))
    now = expect(risen, known)
    for host in now.hosts:
        assert sum(vm.need(CPU) for vm in now.active_on(host.name)) + host.swing_cores >= 20 * 2.9 - 1e-3


def test_a_guest_that_waits_needs_what_it_waits_for(known: Diary) -> None:
    starved = cluster(*(guest(name, present=2.0, wait=0.6 if name == "vm0" else None) for name in CROWD))
    assert expect(starved, known).vm("vm0").need(CPU) > 5.0


def test_a_known_guest_that_is_not_measured_now_counts_as_busy(known: Diary) -> None:
    blind = cluster(*(guest(name, present=None if name == "vm0" else 2.0) for name in CROWD))
    assert expect(blind, known).vm("vm0").need(CPU) == 8.0


def test_a_new_guest_is_taken_for_one_of_the_busier_of_its_size(known: Diary) -> None:
    now = expect(crowd(guest("new", present=0.1)), known)
    assert 2.0 < now.vm("new").need(CPU) < 3.0
    assert now.vm("new").demand is not None


def test_a_new_guest_that_nobody_measured_counts_with_all_its_vcpus(known: Diary) -> None:
    assert expect(crowd(guest("new", present=None)), known).vm("new").need(CPU) == 8.0


def test_a_stopped_guest_needs_nothing_and_an_idle_one_may_wake(known: Diary) -> None:
    stopped = guest("off").model_copy(update={"state": VmState.SHUT_OFF})
    idle = diary({**CROWD, "idle": lambda _: 0.0})
    now = expect(crowd(stopped, guest("idle", present=0.0)), idle)
    assert now.vm("off").need(CPU) == 0.0
    demand = now.vm("idle").demand
    assert demand is not None and 0.0 < demand.cpu_cores < 0.1 and demand.sigma > 0


def test_a_policy_that_looks_further_ahead_sees_the_morning() -> None:
    at_seven = MONDAY_NOON - timedelta(hours=5)
    people = {"vm": lambda moment: 6.0 if 8 <= moment.hour < 18 else 1.0, "other": lambda _: 1.0}
    past = diary(people, at_seven)
    now = cluster(guest("vm"), guest("other"), now=at_seven)
    near, far = (expect(now, past, Rules(horizon_minutes=minutes)).vm("vm").need(CPU) for minutes in (15, 60))
    assert near < far and far > 5.0
    demand = expect(now, past, Rules(horizon_minutes=15)).vm("vm").demand
    assert demand is not None and demand.by_horizon["8h"] > demand.by_horizon["5m"]


def test_nothing_written_down_leaves_each_guest_by_itself() -> None:
    assert expect(crowd(), EMPTY_DIARY).vm("vm0").need(CPU) == 2.0


def test_a_clock_that_is_ahead_is_named_and_nothing_sleeps_meanwhile(known: Diary) -> None:
    now = expect(crowd(), known, read=readings((-2, "vm0", 1.0), (1, "vm0", 1.0)))
    assert [(doubt.subject, doubt.kind) for doubt in now.doubts] == [("site:history", "skewed")]
    assert "120 s ahead" in now.doubts[0].detail
    assert ask(now, Policy()).problem.may_sleep == frozenset()


def test_readings_that_contradict_each_other_freeze_their_guest(known: Diary) -> None:
    now = expect(crowd(), known, read=readings((1, "vm0", 0.1), (1, "vm0", 7.0), (1, "vm1", 2.0), (1, "vm1", 2.1)))
    assert [(doubt.subject, doubt.kind) for doubt in now.doubts] == [("vm:vm0", "duplicate")]
    assert "vm0" not in ask(now, Policy()).problem.may_move


rows = st.tuples(
    st.floats(-10, 60), st.sampled_from(["vm0", "vm1", "gone"]), st.floats(allow_nan=True, allow_infinity=True)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=12), st.one_of(st.none(), st.floats(0, 100)))
def test_whatever_is_read_nobody_needs_less_than_nothing_or_what_is_used(
    read: list[tuple[float, str, float]], present: float | None
) -> None:
    """No crash, no number that is none; and a guest with a doubt is not touched."""
    now = cluster(guest("vm0", present=present), guest("vm1"))
    past = EMPTY_DIARY.with_readings(readings(*read), {"vm0": 8, "vm1": 8}, MONDAY_NOON)
    then = expected(readings(*read), past, now, Rules())
    for vm in then.vms:
        assert 0 <= vm.need(CPU) <= 1e3
        sigma = vm.demand.sigma if vm.demand else 0.0
        assert vm.cpu_used_cores is None or vm.is_absurd or vm.need(CPU) >= min(vm.cpu_used_cores - 2.01 * sigma, 8.0)
    doubted = {doubt.subject.removeprefix("vm:") for doubt in then.doubts if doubt.subject.startswith("vm:")}
    assert doubted.isdisjoint(ask(then, Policy()).problem.may_move)


def test_a_host_that_others_could_only_relieve_without_their_swing_is_needed_for_headroom() -> None:
    calm = cluster(guest("a", host="h1", present=4.0), guest("b", host="h2", present=4.0), cores=10.0)
    swinging = calm.model_copy(
        update={"hosts": tuple(host.model_copy(update={"swing_cores": 2.0}) for host in calm.hosts)}
    )
    policy = Policy.model_validate({"objectives": {"least_power": {"weight": 1.0}}})
    plans = [think(now, policy, NOTHING_REMEMBERED).plan for now in (calm, swinging)]
    needed = [[kept.subject for kept in plan.kept if kept.because is Because.NEEDED_FOR_HEADROOM] for plan in plans]
    assert len(needed[0]) < 2
    assert needed[1] == ["host:h1", "host:h2"]


def rising_at(minutes: float) -> Diary:
    """Guests that need little, and much on each day from so many minutes after noon on."""
    return diary(
        {
            name: lambda moment: 6.0 if moment.hour * 60 + moment.minute >= 12 * 60 + minutes else 1.0
            for name in ("a", "b")
        }
    )


def test_what_is_needed_when_a_sleeper_would_be_up_counts_now() -> None:
    """A policy that looks five minutes ahead would ask for the host when it is needed, and that is too late."""
    past, near = rising_at(40), Rules(horizon_minutes=5.0)
    seen = cluster(guest("a"), guest("b"))
    sleeper = Host(name="h9", cpu_cores=64.0, memory_mib=1024.0, state=HostState.STANDBY, asleep_by_us=True)
    slow, quick = (
        seen.model_copy(update={"hosts": (*seen.hosts, sleeper.model_copy(update={"boot_seconds_seen": seconds}))})
        for seconds in (2400.0, 100.0)
    )
    assert expect(seen, past, near).vm("a").need(CPU) < 3.0
    assert expect(quick, past, near).vm("a").need(CPU) < 3.0
    assert expect(slow, past, near).vm("a").need(CPU) > 5.0


def test_between_two_horizons_needs_are_on_a_straight_line_and_what_passed_still_counts() -> None:
    demand = Demand(cpu_cores=1.0, by_horizon={"5m": 1.0, "15m": 3.0, "1h": 2.0, "8h": 9.0})
    assert [demand.cores_within(minutes) for minutes in (5, 10, 15, 60, 120, 480, 600)] == [1, 2, 3, 3, 3, 9, 9]
    assert demand.cores_within(270) == 5.5
