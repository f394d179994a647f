"""A picture of points has axes with round numbers around all of them."""

from __future__ import annotations

import re

from balancer.reporting.pages.drawing import Point, plane


def test_axes_have_round_numbers_around_all_points() -> None:
    points = [Point(x, y, tone=0, said="") for x, y in ((0.0, 5.9), (0.013, 7.67), (0.026, 9.0))]
    drawn = plane("kWh", points, "short", [("front", 0)])
    assert re.findall(r">([\d.]+)(?: short)?</span>", drawn) == [
        "5",
        "6",
        "7",
        "8",
        "9",
        "10",
        "0",
        "0.01",
        "0.02",
        "0.03",
    ]
    assert 'class="dot tone0"' in drawn
