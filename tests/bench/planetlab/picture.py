"""Energy against shortness as a picture: a dot a result, a line through the risks of one policy on one day."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from html import escape

from tests.bench.planetlab.result import BARS, Result

WIDTH, HEIGHT, MARGIN = 720, 420, 60
LEAST_SHORT, MOST_SHORT = 0.0002, 0.5  # the axis of shortness is logarithmic
COLOURS = ("#1b6ca8", "#c8553d", "#2a9d5c", "#8e5bb5", "#b8860b", "#4a4a4a")


def picture_of(results: Sequence[Result]) -> str:
    """Return an SVG with a panel for each size of hosts."""
    sizes = sorted({result.memory_gib for result in results})
    panels = [
        _panel(size, [one for one in results if one.memory_gib == size], place) for place, size in enumerate(sizes)
    ]
    height = HEIGHT * len(sizes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{height}" fill="white"/>{"".join(panels)}</svg>\n'
    )


def _panel(memory_gib: int, results: Sequence[Result], place: int) -> str:
    most = max([1.1, *(one.over_bound for one in results)]) * 1.02
    lines: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for one in results:
        lines[one.who.partition(" at ")[0], one.day].append(one)
    names = sorted({who for who, _ in lines})
    colour = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    drawn = [_line(found, colour[who], most) for (who, _), found in sorted(lines.items())]
    bars = [
        f'<path d="M{_x(bar.share_short):.1f} {HEIGHT - MARGIN}V{_y(bar.over_bound, most):.1f}H{MARGIN}" fill="none" '
        'stroke="#999" stroke-dasharray="4 3"/>'
        for bar in BARS
        if bar.memory_gib == memory_gib
    ]
    legend = [
        f'<text x="{WIDTH - MARGIN - 130}" y="{MARGIN + 16 * row}" fill="{colour[name]}">{escape(name)}</text>'
        for row, name in enumerate(names)
    ]
    said = f"{memory_gib} GiB a host: energy over its bound, by share of active host steps short"
    title = f'<text x="{MARGIN}" y="30" font-size="14">{said}</text>'
    inside = "".join((title, *_axes(most), *bars, *drawn, *legend))
    return f'<g transform="translate(0 {HEIGHT * place})">{inside}</g>'


def _axes(most: float) -> list[str]:
    ticks = [
        f'<text x="{_x(share):.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{share:.2%}</text>'
        for share in (0.001, 0.004, 0.011, 0.035, 0.1, 0.3)
    ]
    step = 0.05 if most < 1.6 else 0.25
    levels = [1 + step * number for number in range(int((most - 1) / step) + 1)]
    ticks += [f'<text x="{MARGIN - 8}" y="{_y(y, most) + 4:.1f}" text-anchor="end">{y:.2f}</text>' for y in levels]
    frame = f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="black"/>'
    return [frame, *ticks]


def _line(results: Sequence[Result], colour: str, most: float) -> str:
    spots = [
        (_x(one.share_short), _y(one.over_bound, most), one) for one in sorted(results, key=lambda r: r.share_short)
    ]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in spots)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{escape(_said(one))}</title></circle>'
        for x, y, one in spots
    )
    return f'<path d="M{path}" fill="none" stroke="{colour}"/>{dots}'


def _said(one: Result) -> str:
    figures = f"{one.over_bound:.3f} at {one.share_short:.2%} and {one.moves_a_guest:.2f} migrations a guest"
    return f"{one.who} on {one.day}: {figures}"


def _x(share: float) -> float:
    known = min(max(share, LEAST_SHORT), MOST_SHORT)
    part = math.log(known / LEAST_SHORT) / math.log(MOST_SHORT / LEAST_SHORT)
    return MARGIN + part * (WIDTH - 2 * MARGIN)


def _y(over: float, most: float) -> float:
    return HEIGHT - MARGIN - (over - 1) / (most - 1) * (HEIGHT - 2 * MARGIN)
