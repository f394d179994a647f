"""How uncertainties of guests add up on a host."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.demand.sharing import Sharing, average_correlation, measured_z, sharing_of

CHANCE = np.random.default_rng(7)


def errors(guests: int, common: float = 0.0) -> npt.NDArray[Any]:
    """Errors of a day; `common` is the share of the variance that all guests have in common."""
    own, shared = CHANCE.normal(size=(288, guests)), CHANCE.normal(size=(288, 1))
    return np.asarray(np.sqrt(1 - common) * own + np.sqrt(common) * shared, dtype=np.float32)


def places(guests: int, hosts: int) -> npt.NDArray[Any]:
    return np.arange(guests) % hosts


sigmas = st.lists(st.floats(0, 10), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(sigmas, st.floats(0.5, 6), st.floats(0.01, 20), st.floats(1, 5))
def test_what_the_solver_adds_up_is_never_less_than_the_root(
    of: list[float], z: float, scale: float, together: float
) -> None:
    sharing = Sharing(z, scale, together, 0.0)
    sigma, mean = np.array(of, dtype=np.float32), np.ones(len(of), dtype=np.float32)
    linear = float((mean + sharing.allowance(sigma)).sum()) + sharing.swing
    assert linear >= sharing.load(mean, sigma) * (1 - 1e-5)


def test_it_costs_nothing_on_a_host_as_those_it_was_made_for() -> None:
    sigma = np.ones(400, dtype=np.float32)
    sharing = sharing_of(errors(400), sigma, places(400, 20), fuller=1.0, risk=0.001)
    host, mean = sigma[:20], np.zeros(20, dtype=np.float32)
    linear = float(sharing.allowance(host).sum()) + sharing.swing
    assert linear == pytest.approx(sharing.load(mean, host), rel=0.02)


def test_hosts_may_be_fuller_than_by_adding_worst_cases() -> None:
    sigma = np.ones(400, dtype=np.float32)
    sharing = sharing_of(errors(400), sigma, places(400, 20), fuller=1.0, risk=0.001)
    together = float(sharing.allowance(sigma[:20]).sum()) + sharing.swing
    assert together < 0.6 * 20 * 1.64  # the sum of twenty 95th percentiles, which a host exceeds less than ever


def test_guests_that_move_together_are_expected_together() -> None:
    sigma = np.ones(400, dtype=np.float32)
    alone, common = (sharing_of(errors(400, share), sigma, places(400, 20), 1.0, 0.001) for share in (0.0, 0.5))
    assert common.correlation == pytest.approx(0.5, abs=0.1)
    assert alone.correlation < 0.02
    assert common.z > 2 * alone.z


def test_fuller_hosts_of_guests_that_move_together_are_worse_than_the_hosts_of_today_show() -> None:
    sigma = np.ones(400, dtype=np.float32)
    same, fuller = (sharing_of(errors(400, 0.2), sigma, places(400, 40), times, 0.001) for times in (1.0, 3.0))
    assert same.together == pytest.approx(1.0)
    assert fuller.together > 1.5


def test_heavy_tails_are_measured_and_light_ones_do_not_lower_what_is_normal() -> None:
    assert measured_z(CHANCE.standard_t(3, size=100_000), 0.001) > 5
    assert measured_z(CHANCE.uniform(-1, 1, size=100_000), 0.001) == pytest.approx(3.09, abs=0.01)


def test_a_risk_beyond_what_was_seen_is_extrapolated() -> None:
    few = CHANCE.normal(scale=2.0, size=300)
    assert measured_z(few, 0.0001) > measured_z(few, 0.01) > 3.5


def test_one_guest_has_no_company() -> None:
    assert average_correlation(errors(1)) == 0.0
    sharing = sharing_of(errors(1), np.ones(1, dtype=np.float32), places(1, 1), 1.0, 0.01)
    assert sharing.correlation == 0.0 and sharing.z >= 2.32
