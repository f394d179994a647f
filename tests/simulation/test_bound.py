"""The bound on energy is below whatever whole hosts and whole guests could do, and is met where nothing is cut."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.simulation.bound import Bound, Bounded

SMALL = Bounded(4.0, 8.0, (50.0, 60.0, 90.0), 5.0)
LARGE = Bounded(8.0, 16.0, (80.0, 100.0, 120.0), 5.0)


def watts_of(host: Bounded, cores: float, is_on: bool) -> float:
    return (
        float(np.interp(cores / host.cores, np.linspace(0, 1, len(host.watts)), host.watts))
        if is_on
        else host.off_watts
    )


def least_by_enumeration(hosts: list[Bounded], guests: list[tuple[float, float]]) -> float | None:
    """Try every placement of whole guests; None where none fits."""
    found = []
    for homes in product(range(len(hosts)), repeat=len(guests)):
        cores, memory = np.zeros(len(hosts)), np.zeros(len(hosts))
        for (need, mib), home in zip(guests, homes, strict=True):
            cores[home] += need
            memory[home] += mib
        if all(c <= h.cores and m <= h.memory_mib for h, c, m in zip(hosts, cores, memory, strict=True)):
            found.append(
                sum(watts_of(h, c, place in homes) for place, (h, c) in enumerate(zip(hosts, cores, strict=True)))
            )
    return min(found, default=None)


def bound(hosts: list[Bounded], guests: list[tuple[float, float]]) -> float:
    need = np.array(guests).sum(axis=0)
    return float(Bound(hosts).watts(need[:1], need[1:])[0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([SMALL, LARGE]), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0, 4), st.floats(0, 8)), min_size=1, max_size=4),
)
def test_no_placement_takes_less(hosts: list[Bounded], guests: list[tuple[float, float]]) -> None:
    least = least_by_enumeration(hosts, guests)
    assert least is None or bound(hosts, guests) <= least + 1e-6


@pytest.mark.parametrize(
    ("hosts", "guests"),
    [
        ([SMALL, LARGE], [(8.0, 8.0)]),
        ([LARGE, LARGE], [(8.0, 16.0)]),
        ([SMALL, LARGE], [(4.0, 8.0), (8.0, 16.0)]),
        ([SMALL, SMALL], [(2.0, 8.0)]),  # memory fills it, CPU half
    ],
)
def test_it_is_exact_where_hosts_are_just_filled(hosts: list[Bounded], guests: list[tuple[float, float]]) -> None:
    assert bound(hosts, guests) == pytest.approx(least_by_enumeration(hosts, guests))


def test_the_cheapest_hosts_run_out() -> None:
    one, both = bound([LARGE, SMALL], [(8.0, 1.0)]), bound([LARGE, SMALL], [(8.0, 1.0), (4.0, 1.0)])
    assert one == pytest.approx(120 + 5)
    assert both == pytest.approx(120 + 90)
