"""What every place that readings are had from has to keep to: the embedded history, and servers that are asked."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pandas as pd
import pytest

from balancer.history.base import READING_COLUMNS

FIVE = timedelta(minutes=5)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Place(Protocol):
    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame: ...
    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame: ...


class ReadingsContract:
    """Its subclass fills a place with `u-1` on host `h1`, which used 1, 2 and 4 cores until 11:50, 11:55 and 12:05.

    At 12:00 it was not measured. The host used 9 cores all the time.
    """

    @abstractmethod
    @pytest.fixture
    def place(self) -> Place: ...

    def test_readings_come_in_order_with_all_columns(self, place: Place) -> None:
        found = place.guest_readings(NOON - 3 * FIVE, NOON + FIVE)
        assert list(found.columns) == list(READING_COLUMNS)
        assert found["at"].is_monotonic_increasing and str(found["at"].dt.tz) == "UTC"
        assert cores_of(found) == {-10: 1.0, -5: 2.0, 5: 4.0}

    def test_what_was_not_measured_is_no_reading_of_nothing(self, place: Place) -> None:
        assert cores_of(place.guest_readings(NOON - FIVE, NOON)) == {}

    def test_a_span_includes_its_end_and_not_its_begin(self, place: Place) -> None:
        assert cores_of(place.guest_readings(NOON - 2 * FIVE, NOON - FIVE)) == {-5: 2.0}

    def test_where_nothing_was_read_there_are_no_readings(self, place: Place) -> None:
        found = place.guest_readings(NOON - timedelta(days=3), NOON - timedelta(days=2))
        assert found.empty and list(found.columns) == list(READING_COLUMNS)

    def test_hosts_have_readings_by_their_names(self, place: Place) -> None:
        found = place.host_readings(NOON - FIVE, NOON)
        assert set(found["key"]) == {"h1"}
        assert found["cpu_cores"].tolist() == pytest.approx([9.0])


def cores_of(readings: pd.DataFrame, key: str = "u-1") -> dict[int, float]:
    """Return the cores in use of a guest by minutes after noon."""
    known = readings[(readings["key"] == key) & readings["cpu_cores"].notna()]
    minutes = ((known["at"] - NOON).dt.total_seconds() / 60).round().astype(int)
    return dict(zip(minutes, known["cpu_cores"].round(3), strict=True))
