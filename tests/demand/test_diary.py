"""What is written down of readings, and what is not."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.demand.diary import EMPTY_DIARY, SLOTS, Diary, without_starts
from tests.demand.past import MONDAY_NOON, readings

GAP = float("nan")
VCPUS = {"a": 4, "b": 8}


def newest(diary: Diary, key: str, slots: int = 1) -> list[float]:
    return [round(float(cores), 4) for cores in diary.of([key], slots)[:, 0]]


def written(*rows: tuple[float, str, float]) -> Diary:
    return EMPTY_DIARY.with_readings(readings(*rows), VCPUS, MONDAY_NOON)


def test_readings_of_five_minutes_make_one_entry_weighted_by_their_samples() -> None:
    assert newest(written((0, "a", 1.0), (1, "a", 3.0)), "a") == [2.0]
    weighted = readings((0, "a", 1.0), (1, "a", 3.0)).assign(samples=[3.0, 1.0])
    assert newest(EMPTY_DIARY.with_readings(weighted, VCPUS, MONDAY_NOON), "a") == [1.5]


def test_a_gap_stays_a_gap_and_is_never_idle() -> None:
    diary = written((10, "a", 1.0), (5, "a", GAP), (0, "a", 2.0))
    assert [math.isnan(cores) for cores in newest(diary, "a", 3)] == [False, True, False]
    assert math.isnan(newest(diary, "b")[0])


def test_what_a_guest_waited_for_counts_as_need_up_to_all_its_vcpus() -> None:
    starved = readings((0, "a", 1.0)).assign(wait_share=[0.5])
    assert newest(EMPTY_DIARY.with_readings(starved, VCPUS, MONDAY_NOON), "a") == [3.0]
    choked = readings((0, "a", 3.0)).assign(wait_share=[0.9])
    assert newest(EMPTY_DIARY.with_readings(choked, VCPUS, MONDAY_NOON), "a") == [4.0]


@pytest.mark.parametrize("absurd", [-1.0, 6.1, 1e9])
def test_readings_that_cannot_be_are_not_written_down(absurd: float) -> None:
    assert written((0, "a", absurd)).is_empty
    assert newest(written((1, "a", 1.0), (0, "a", absurd)), "a") == [1.0]


def test_readings_of_the_future_and_of_strangers_are_not_written_down() -> None:
    assert written((-10, "a", 1.0), (0, "nobody", 1.0)).is_empty


def test_a_reading_that_comes_twice_counts_once() -> None:
    assert newest(written((0, "a", 1.0), (0, "a", 1.0), (1, "a", 4.0)), "a") == [2.5]


def test_later_readings_are_added_and_the_oldest_go() -> None:
    first = written((0, "a", 1.0), (0, "b", 2.0))
    later = MONDAY_NOON + timedelta(minutes=10)
    second = first.with_readings(readings((0, "a", 3.0), now=later), VCPUS, later)
    assert newest(second, "a", 3)[0::2] == [1.0, 3.0]
    assert newest(second, "b", 3)[0] == 2.0
    much_later = MONDAY_NOON + timedelta(days=10)
    third = second.with_readings(readings((0, "a", 5.0), now=much_later), VCPUS, much_later)
    assert third.keys == ("a",)
    assert third.cores.shape == (SLOTS, 1)


def test_the_minutes_after_a_start_are_left_out_and_a_silence_of_the_balancer_is_no_start() -> None:
    cores = np.array(
        [[1, 1], [GAP, 1], [GAP, 1], [GAP, 1], [4, 1], [4, 1], [2, 1], [GAP, GAP], [GAP, GAP], [GAP, GAP], [2, 1]],
        dtype=np.float32,
    )
    settled = without_starts(cores)
    assert np.flatnonzero(np.isnan(settled[:, 0])).tolist() == [1, 2, 3, 4, 5, 7, 8, 9]
    assert np.flatnonzero(np.isnan(settled[:, 1])).tolist() == [7, 8, 9]


rows = st.tuples(
    st.floats(-30, 60 * 24 * 12), st.sampled_from(["a", "b", "c", ""]), st.floats(allow_nan=True, allow_infinity=True)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, max_size=20), st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=20, max_size=20))
def test_whatever_is_read_what_is_written_down_can_be(read: list[tuple[float, str, float]], waits: list[float]) -> None:
    wild = readings(*read).assign(wait_share=waits[: len(read)])
    diary = EMPTY_DIARY.with_readings(wild, VCPUS, MONDAY_NOON)
    for key, vcpus in VCPUS.items():
        entries = diary.of([key], SLOTS)
        known = entries[~np.isnan(entries)]
        assert ((known >= 0) & (known <= 1.5 * vcpus + 1e-4)).all()
