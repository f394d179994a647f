"""What a guest is expected to need, from what it needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.demand.quantile import expected_demand
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host
from balancer.domain.vm import Vm, VmState

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GAP = float("nan")

cores = st.floats(0, 4, allow_nan=False)
histories = st.lists(cores, min_size=3, max_size=30)
shares = st.floats(0, 1)


def cluster(present: float | None, vcpus: int = 4, state: VmState = VmState.RUNNING) -> Cluster:
    vm = Vm(name="db1", id="u-1", host="h1", vcpus=vcpus, memory_mib=1024.0, cpu_used_cores=present, state=state)
    host = Host(name="h1", cpu_cores=32.0, memory_mib=65536.0)
    return Cluster(taken_at=NOON, cluster="lab", hosts=(host,), vms=(vm,))


def readings(*values: float, key: str = "u-1") -> pd.DataFrame:
    """A reading a minute, the last one at noon."""
    times = [NOON - timedelta(minutes=len(values) - 1 - place) for place in range(len(values))]
    return pd.DataFrame({"at": pd.to_datetime(times, utc=True), "key": [key] * len(values), "cpu_cores": list(values)})


def need(past: pd.DataFrame, now: Cluster, quantile: float = 0.9, window_minutes: float = 60) -> float:
    return expected_demand(past, now, window_minutes, quantile).vm("db1").need(CPU)


def test_a_rise_is_met_at_once() -> None:
    assert need(readings(1, 1, 1, 1, 1), cluster(present=3.0)) == 3.0


def test_a_fall_counts_only_when_it_has_lasted_the_window() -> None:
    fallen = readings(*[3.0] * 30, *[0.5] * 30)
    assert need(fallen, cluster(present=0.5), window_minutes=60) == 3.0
    assert need(fallen, cluster(present=0.5), window_minutes=30) == 0.5


def test_a_short_peak_is_forgiven_by_the_quantile() -> None:
    assert need(readings(*[1.0] * 19, 4.0), cluster(present=1.0), quantile=0.9) == 1.0


def test_a_guest_with_few_readings_counts_with_its_greatest() -> None:
    assert need(readings(2.5, 1.0), cluster(present=1.0), quantile=0.1) == 2.5


def test_a_guest_that_is_not_measured_now_counts_with_its_greatest() -> None:
    assert need(readings(2.5, 1.0, 1.0, 1.0, 1.0), cluster(present=None), quantile=0.1) == 2.5


def test_a_guest_that_was_never_measured_counts_with_all_its_vcpus() -> None:
    now = expected_demand(readings(), cluster(present=None), 60, 0.9)
    assert now.vm("db1").demand is None
    assert now.vm("db1").need(CPU) == 4.0


def test_readings_of_another_guest_count_for_nothing() -> None:
    assert need(readings(3, 3, 3, key="u-2"), cluster(present=1.0)) == 1.0


def test_a_guest_that_is_shut_off_is_expected_to_need_nothing() -> None:
    assert need(readings(3, 3, 3), cluster(present=None, state=VmState.SHUT_OFF)) == 0.0


@pytest.mark.parametrize("absurd", [-0.5, 900.0])
def test_a_reading_that_cannot_be_is_left_out_and_named(absurd: float) -> None:
    now = expected_demand(readings(1, 1, absurd, 1), cluster(present=1.0), 60, 1.0)
    assert now.vm("db1").need(CPU) == 1.0
    assert [(doubt.subject, doubt.kind) for doubt in now.doubts] == [("vm:db1", "absurd")]
    assert f"{absurd:.1f} cores in use of 4 vCPUs" in now.doubts[0].detail


def test_a_present_use_that_cannot_be_counts_as_busy_on_all_vcpus() -> None:
    now = expected_demand(readings(1, 1, 1), cluster(present=900.0), 60, 0.9)
    assert now.vm("db1").need(CPU) == 4.0
    assert now.is_frozen(now.vm("db1"))


def test_believable_readings_raise_no_doubt() -> None:
    assert expected_demand(readings(1, 2, 6.0), cluster(present=1.0), 60, 0.9).doubts == ()


def test_a_bucket_counts_by_its_percentile_and_as_often_as_it_has_samples() -> None:
    past = readings(0.2, 0.2, 0.2, 0.2)
    past["cpu_cores_p95"] = [3.0, 0.5, 0.5, 0.5]
    past["samples"] = [10, 1, 1, 1]
    assert need(past, cluster(present=0.2), quantile=0.9) == 3.0


def test_the_spread_of_the_window_is_kept_beside_the_demand() -> None:
    demand = expected_demand(readings(1, 3, 1, 3), cluster(present=1.0), 60, 0.9).vm("db1").demand
    assert demand is not None and demand.sigma == pytest.approx(1.0)


def test_the_load_of_a_host_follows_the_demand() -> None:
    before = cluster(present=1.0)
    assert before.used(before.host("h1"), CPU) == 1.0
    after = expected_demand(readings(3, 3, 3), before, 60, 0.9)
    assert after.used(after.host("h1"), CPU) == 3.0


@settings(max_examples=50, deadline=None)
@given(histories, cores, shares)
def test_nobody_is_expected_to_need_less_than_now(past: list[float], present: float, quantile: float) -> None:
    assert need(readings(*past), cluster(present), quantile) >= present


@settings(max_examples=50, deadline=None)
@given(st.data(), histories, cores, shares)
def test_the_order_of_readings_does_not_matter(
    data: st.DataObject, past: list[float], present: float, quantile: float
) -> None:
    shuffled = data.draw(st.permutations(past))
    assert need(readings(*shuffled), cluster(present), quantile) == need(readings(*past), cluster(present), quantile)


@settings(max_examples=50, deadline=None)
@given(histories, cores, shares, shares)
def test_a_higher_quantile_never_expects_less(past: list[float], present: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert need(readings(*past), cluster(present), low) <= need(readings(*past), cluster(present), high)


@settings(max_examples=50, deadline=None)
@given(st.data(), histories, cores, shares)
def test_gaps_never_lower_it(data: st.DataObject, past: list[float], present: float, quantile: float) -> None:
    gaps = data.draw(st.lists(st.just(GAP), max_size=30))
    with_gaps = data.draw(st.permutations([*past, *gaps]))
    assert need(readings(*with_gaps), cluster(present), quantile) == need(readings(*past), cluster(present), quantile)


@settings(max_examples=50, deadline=None)
@given(histories, cores, shares)
def test_losing_quiet_readings_never_lowers_it(past: list[float], present: float, quantile: float) -> None:
    expected = need(readings(*past), cluster(present), quantile)
    lost = [GAP if value == min(past) < max(past) else value for value in past]
    assert need(readings(*lost), cluster(present), quantile) >= expected


def test_what_a_guest_waits_for_counts_as_need_now_and_in_the_window() -> None:
    now = cluster(present=1.0)
    waiting = now.model_copy(update={"vms": (now.vms[0].model_copy(update={"cpu_wait_share": 0.5}),)})
    assert need(readings(1, 1, 1), waiting) == 3.0
    assert need(readings(1, 1, 1).assign(wait_share=0.25), now) == 2.0
    assert need(readings(3, 3, 3).assign(wait_share=0.9), now) == 4.0
