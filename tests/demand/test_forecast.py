"""Forecasts of guests whose ways are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from balancer.demand.forecast import HORIZONS, Forecaster
from tests.demand.past import MONDAY_NOON, diary, noisy

Past = Callable[[datetime], float]


def forecaster(past: Past, now: datetime = MONDAY_NOON) -> Forecaster:
    return Forecaster(diary({"vm": past}, now), ["vm"], [8], now)


def mean(past: Past, horizon: str, now: datetime = MONDAY_NOON) -> float:
    return float(forecaster(past, now).at(horizon).mean[0])


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
