"""Pictures for pages: lines over time and points in a plane, as inline SVG with their words beside it.

Only the plot itself stretches with the page. Numbers and times are text of the page, so they stay readable on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDE, HIGH = 1000, 200  # units of the plot; it is stretched to the width of the page
COLOURS: Final = 6
TICKS: Final = (1.0, 2.0, 5.0, 10.0)
MOST_MARKS = 5


@dataclass(frozen=True)
class Line:
    """Values over time. `tone` is its colour, a number from 0; None is the grey dashed one of a bound."""

    name: str
    values: Sequence[float]
    tone: int | None = 0


@dataclass(frozen=True)
class Spot:
    """A place on the time axis: what is said when the pointer is there, and which part of the page tells more."""

    said: str
    anchor: str = ""


@dataclass(frozen=True)
class Point:
    """A point of a plane, with what is said of it."""

    x: float
    y: float
    said: str
    tone: int | None = 0
    is_large: bool = False


def over_time(title: str, lines: Sequence[Line], times: Sequence[str], spots: Sequence[Spot] = ()) -> str:
    """Draw lines over time, each value as wide as its step."""
    marks = _marks(max((value for line in lines for value in line.values), default=0.0))
    top = marks[-1]
    drawn = "".join(_line(line, top) for line in lines)
    legend = "".join(_key(line.name, line.tone) for line in lines)
    plot = _plot(f"{title}: {', '.join(line.name for line in lines)}", _grid(marks, top) + drawn + _spots(spots))
    return _figure(title, legend, _down(marks, top), plot, times)


def plane(title: str, points: Sequence[Point], across: str, legend: Sequence[tuple[str, int | None]]) -> str:
    """Draw points in a plane; its title says what goes up."""
    sideways, up = (_round_marks(*_span(values)) for values in ([p.x for p in points], [p.y for p in points]))
    left, right, low, high = sideways[0], sideways[-1], up[0], up[-1]

    def place(point: Point) -> tuple[float, float]:
        return (point.x - left) / (right - left) * WIDE, HIGH - (point.y - low) / (high - low) * HIGH

    drawn = "".join(_point(point, *place(point)) for point in points)
    grid = _grid([mark - low for mark in up], high - low)
    words = "".join(_key(name, tone, "dot ") for name, tone in legend)
    times = [number(mark) for mark in sideways]
    times[-1] += f" {across}"
    return _figure(title, words, _down(up, high, low), _plot(title, grid + drawn), times)


def bar(share: float, tone: int | None, said: str) -> str:
    """Draw a bar of a share of its room, with words after it."""
    width = max(0.0, min(1.0, share)) * 100
    return (
        f'<span class="bar"><i class="fill {_tone(tone)}" style="width:{width:.1f}%"></i></span><b>{escape(said)}</b>'
    )


def number(value: float) -> str:
    """Write a number with as many digits as it deserves."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}".rstrip("0").rstrip(".") if digits else f"{value:,.0f}"


def _figure(title: str, legend: str, down: str, plot: str, times: Sequence[str]) -> str:
    below = "".join(f"<span>{escape(time)}</span>" for time in times)
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><div class="keys">{legend}</div>'
        f'<div class="down">{down}</div>{plot}<div class="below">{below}</div></figure>'
    )


def _plot(label: str, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f"{inside}</svg>"
    )


def _line(line: Line, top: float) -> str:
    if not line.values:
        return ""
    wide = WIDE / len(line.values)
    path = [f"M0 {_up(line.values[0], top)}"]
    for place, value in enumerate(line.values):
        if place and value != line.values[place - 1]:
            path.append(f"V{_up(value, top)}")
        path.append(f"H{(place + 1) * wide:.1f}")
    return f'<path class="line {_tone(line.tone)}" d="{"".join(path)}"/>'


def _up(value: float, top: float) -> str:
    return f"{HIGH - value / top * HIGH:.1f}"


def _point(point: Point, x: float, y: float) -> str:
    size = " large" if point.is_large else ""
    title = f"<title>{escape(point.said)}</title>"
    return f'<path class="dot {_tone(point.tone)}{size}" d="M{x:.1f} {y:.1f}h0.01">{title}</path>'


def _spots(spots: Sequence[Spot]) -> str:
    wide = WIDE / max(1, len(spots))
    return "".join(
        _linked(
            f'<rect class="spot" x="{place * wide:.1f}" width="{wide:.2f}" height="{HIGH}">'
            f"<title>{escape(spot.said)}</title></rect>",
            spot.anchor,
        )
        for place, spot in enumerate(spots)
    )


def _linked(drawn: str, anchor: str) -> str:
    return f'<a href="#{anchor}">{drawn}</a>' if anchor else drawn


def _grid(marks: Sequence[float], top: float) -> str:
    return "".join(f'<path class="grid" d="M0 {_up(mark, top)}H{WIDE}"/>' for mark in marks)


def _down(marks: Sequence[float], top: float, low: float = 0.0) -> str:
    return "".join(
        f'<span style="bottom:{(mark - low) / (top - low) * 100:.1f}%">{number(mark)}</span>' for mark in marks
    )


def _key(name: str, tone: int | None, shape: str = "") -> str:
    return f'<span class="key"><i class="{shape}{_tone(tone)}"></i>{escape(name)}</span>'


def _tone(tone: int | None) -> str:
    return "bound" if tone is None else f"tone{tone % COLOURS}"


def _marks(most: float) -> list[float]:
    """Return round numbers, evenly apart, from 0 to no less than the greatest value."""
    if most <= 0:
        return [0.0, 1.0]
    step = _step(most)
    return [step * count for count in range(math.ceil(most / step - 1e-9) + 1)]


def _round_marks(low: float, high: float) -> list[float]:
    """Return round numbers, evenly apart, around all that is between two values."""
    step = _step(high - low)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * count for count in range(first, last + 1)]


def _step(most: float) -> float:
    size = 10.0 ** math.floor(math.log10(most / MOST_MARKS))
    return next(tick * size for tick in TICKS if tick * size * MOST_MARKS >= most * (1 - 1e-9))


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return where an axis begins and ends: a little more than its values on either side."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    more = (high - low) * 0.08 or max(abs(high) * 0.1, 0.01)
    return (0.0 if 0 <= low <= more else low - more), high + more
