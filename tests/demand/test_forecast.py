"""Forecasts of guests whose ways are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from balancer.demand.forecast import HORIZONS, Forecaster
from tests.demand.past import MONDAY_NOON, diary, noisy

Past = Callable[[datetime], float]


def forecaster(past: Past, now: datetime = MONDAY_NOON, zone: str = "UTC") -> Forecaster:
    return Forecaster(diary({"vm": past}, now), ["vm"], [8], now, ZoneInfo(zone))


def mean(past: Past, horizon: str, now: datetime = MONDAY_NOON, zone: str = "UTC") -> float:
    return float(forecaster(past, now, zone).at(horizon).mean[0])


def office(moment: datetime) -> float:
    return 4.0 if 8 <= moment.hour < 18 and moment.weekday() < 5 else 0.5


@pytest.mark.parametrize("horizon", HORIZONS)
def test_a_guest_that_always_needs_the_same_is_expected_to_go_on(horizon: str) -> None:
    forecast = forecaster(lambda _: 2.0).at(horizon)
    assert forecast.mean[0] == pytest.approx(2.0)
    assert forecast.sigma[0] == pytest.approx(0.08)  # never nothing: a hundredth of its vCPUs


def test_the_morning_is_foreseen_at_night_and_the_evening_by_day() -> None:
    # Tuesday, 04:00 and 16:00
    night, day = MONDAY_NOON + timedelta(hours=16), MONDAY_NOON + timedelta(hours=28)
    assert mean(office, "8h", night) > 3.5
    assert mean(office, "8h", day) < 1.0


def test_a_weekend_is_no_weekday() -> None:
    saturday_night = datetime(2026, 11, 28, 4, 0, tzinfo=MONDAY_NOON.tzinfo)
    assert mean(office, "8h", saturday_night) < 1.5


def test_a_rise_that_stays_is_followed() -> None:
    assert mean(lambda moment: 1.0 if moment < MONDAY_NOON - timedelta(hours=3) else 5.0, "5m") > 4.0


def test_chance_is_averaged_and_its_width_is_known() -> None:
    forecast = forecaster(noisy(4.0, 0.5, seed=1)).at("15m")
    assert forecast.mean[0] == pytest.approx(4.0, abs=0.25)
    assert forecast.sigma[0] == pytest.approx(0.55, abs=0.15)


def test_quantiles_rise_and_cover_what_they_say() -> None:
    chances = {f"vm{number}": noisy(4.0, 0.5, seed=number) for number in range(200)}
    everyone = Forecaster(diary(chances), list(chances), [8] * 200, MONDAY_NOON)
    low, high = everyone.quantiles(everyone.at("15m"), (0.5, 0.95))
    assert (low <= high).all()
    assert float(np.mean(high)) == pytest.approx(4.0 + 1.64 * 0.5, abs=0.15)


def test_a_guest_without_readings_has_no_forecast_and_does_no_harm_to_others() -> None:
    both = Forecaster(diary({"vm": lambda _: 2.0}), ["new", "vm"], [8, 8], MONDAY_NOON).at("1h")
    assert np.isnan(both.mean[0]) and both.readings[0] == 0
    assert both.mean[1] == pytest.approx(2.0)


def test_a_start_says_nothing_about_later() -> None:
    def booted_at_ten(moment: datetime) -> float:
        age = moment - (MONDAY_NOON - timedelta(hours=2))
        return float("nan") if age <= timedelta(0) else 8.0 if age <= timedelta(minutes=10) else 1.0

    past = diary({"vm": booted_at_ten, "other": lambda _: 1.0})
    two = Forecaster(past, past.keys, [8, 8], MONDAY_NOON).at("15m")
    assert two.mean[0] == pytest.approx(1.0, abs=0.01)
    assert two.sigma[0] < 0.2


def office_in(zone: str) -> Past:
    """An office whose people go by their own clock."""
    return lambda moment: office(moment.astimezone(ZoneInfo(zone)))


class TestTheClockOnTheWall:
    """The day after a weekend begins where the people are, and eight o'clock is when their clocks say so."""

    def test_monday_begins_where_the_people_are(self) -> None:
        # 07:30 on Monday in Auckland, still Sunday evening in UTC.
        now = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
        assert mean(office_in("Pacific/Auckland"), "1h", now, "Pacific/Auckland") > 3.5
        assert mean(office_in("Pacific/Auckland"), "1h", now, "UTC") < 3.5

    @pytest.mark.parametrize("turned", [datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)])
    @pytest.mark.parametrize("days", [1, 2])
    def test_eight_stays_eight_when_the_clock_is_turned(self, turned: datetime, days: int) -> None:
        rome = ZoneInfo("Europe/Rome")
        local = (turned + timedelta(days=days)).replace(tzinfo=rome)
        for hour, minute, low, high in ((6, 30, 0.0, 1.5), (7, 30, 3.0, 4.1)):  # an hour ahead of each
            now = local.replace(hour=hour, minute=minute).astimezone(UTC)
            assert low <= mean(office_in("Europe/Rome"), "1h", now, "Europe/Rome") <= high

    def test_a_night_in_which_the_clock_is_turned_ends_by_the_new_time(self) -> None:
        """Guests that begin at six each day: at 22:15 the night before, eight hours ahead is 07:15, or 05:15."""

        def early(moment: datetime) -> float:
            return 4.0 if 6 <= moment.astimezone(ZoneInfo("Europe/Rome")).hour < 20 else 0.5

        spring = datetime(2026, 3, 28, 22, 15, tzinfo=ZoneInfo("Europe/Rome")).astimezone(UTC)
        autumn = datetime(2026, 10, 24, 22, 15, tzinfo=ZoneInfo("Europe/Rome")).astimezone(UTC)
        assert mean(early, "8h", spring, "Europe/Rome") > 3.5
        assert mean(early, "8h", autumn, "Europe/Rome") < 1.0


def test_on_a_monday_what_is_seen_now_counts_beside_what_mondays_are_like() -> None:
    """Who did not come this Monday is not expected all day: the season adds its rise, not itself."""

    def on_leave(moment: datetime) -> float:
        return 0.5 if moment >= MONDAY_NOON - timedelta(hours=12) else office(moment)

    assert mean(on_leave, "5m") < 1.0
