"""Forecasts on made-up guests, which need no recorded traces: the bench measures what it says."""

from __future__ import annotations

import numpy as np
import pytest

from balancer.demand.diary import SLOTS_A_DAY
from tests.bench import calibration
from tests.bench.forecasts import OURS, losses, table_of
from tests.bench.traces import Trace, traces_in

GUESTS = 60


@pytest.fixture(scope="module")
def office() -> Trace:
    """Guests that are busy by day, each by another height, with chance on top."""
    chance = np.random.default_rng(3)
    hours = np.arange(4 * SLOTS_A_DAY)[:, None] / 12 % 24
    day = np.where((hours >= 8) & (hours < 18), 1.0, 0.2) * chance.uniform(0.5, 2.0, GUESTS)
    cores = np.maximum(day + chance.normal(0, 0.1, day.shape), 0.0).astype(np.float32)
    return Trace("planetlab", cores, (4,) * GUESTS, 2 * SLOTS_A_DAY, stride=19)


def test_what_is_learnt_of_days_beats_simple_methods_far_ahead(office: Trace) -> None:
    found = losses(office)
    ours = found[OURS, "8h"].mean
    assert ours < 0.25 * found["naive", "8h"].mean
    assert ours < 0.25 * found["ewma", "8h"].mean
    assert ours < 1.25 * found["seasonal naive", "8h"].mean
    assert next(iter(table_of(office, found).columns[1].cells)) == OURS


def test_hosts_are_short_about_as_often_as_was_promised(office: Trace) -> None:
    found = calibration.calibration(office, horizons=("15m",))
    at_one_percent = found[20, "15m", "risk 1.0%"]
    assert at_one_percent.tries > 300
    assert at_one_percent.short / at_one_percent.tries < 0.02
    assert at_one_percent.expected < found[20, "15m", "risk 0.1%"].expected
    assert found[20, "15m", "sum of p95, last half hour"].short / at_one_percent.tries > 0.03


def test_a_directory_without_traces_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(FileNotFoundError, match="neither planetlab"):
        traces_in(tmp_path_factory.mktemp("empty"))
