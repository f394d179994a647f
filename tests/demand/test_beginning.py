"""What is expected in a cluster that is looked at for the first time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import nan

import numpy as np
import numpy.typing as npt
import pytest

from balancer.demand.beginning import beginning_of
from balancer.demand.expecting import expected
from balancer.domain.host import CPU
from tests.demand.past import MONDAY_NOON, cluster, diary, guest, readings
from tests.demand.test_expecting import Rules


def just_now(need: float) -> Callable[[datetime], float]:
    """A guest that nothing else is known of."""
    return lambda moment: need if moment == MONDAY_NOON else nan


@pytest.fixture
def crowd() -> npt.NDArray[np.float32]:
    """Four hundred guests of four vCPUs that differ by half a core, and each from itself by a third."""
    chance = np.random.default_rng(5)
    levels = np.maximum(chance.normal(2.0, 0.5, 400), 0.2)
    return np.maximum(levels + chance.normal(0, 0.33, (20, 400)), 0.0).astype(np.float32)


@pytest.mark.parametrize("readings", [2, 3, 6, 12])
def test_a_few_readings_say_how_far_the_next_one_may_be_off(crowd: npt.NDArray[np.float32], readings: int) -> None:
    begun = beginning_of(crowd[:readings], np.full(400, 4.0, dtype=np.float32))
    off = (crowd[readings] - begun.mean) / begun.sigma
    assert abs(off.mean()) < 0.15 and 0.8 < off.std() < 1.2


def test_one_reading_is_believed_in_part(crowd: npt.NDArray[np.float32]) -> None:
    begun = beginning_of(crowd[:1], np.full(400, 4.0, dtype=np.float32))
    busiest = int(crowd[0].argmax())
    assert crowd[0].mean() < begun.mean[busiest] < crowd[0, busiest]
    errors = [((crowd[1:] - said) ** 2).mean() for said in (begun.mean, crowd[0])]
    assert errors[0] < errors[1]


def test_who_was_never_measured_is_not_known(crowd: npt.NDArray[np.float32]) -> None:
    crowd[:, 0] = np.nan
    begun = beginning_of(crowd[:3], np.full(400, 4.0, dtype=np.float32))
    assert np.isnan(begun.mean[0]) and not np.isnan(begun.mean[1:]).any()


def test_a_cluster_that_is_new_keeps_room_for_chance() -> None:
    """Its first reading is no more than that: hosts would be filled to the brim by a lull."""
    needs = dict(enumerate(np.random.default_rng(7).normal(2.0, 0.5, 40).tolist()))
    names = {f"vm{number}": just_now(need) for number, need in needs.items()}
    guests = [guest(f"vm{number}", host=f"h{number % 2 + 1}", present=need) for number, need in needs.items()]
    once = diary(names)
    now = expected(readings(), once, cluster(*guests), Rules(risk=0.01))
    host = now.host("h1")
    seen = sum(need for number, need in needs.items() if number % 2 == 0)
    assert now.used(host, CPU) + host.swing_cores > seen + 2.0
