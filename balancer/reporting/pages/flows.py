"""Who goes where, as a picture: hosts that guests leave on the left, hosts that they come to on the right.

Ribbons stretch with the page; names are text that does not, so they stay readable on a phone. It needs no script.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from balancer.domain.plan import Plan
from balancer.domain.units import count_of

PIXELS_A_GUEST = 14.0
LEAST_PIXELS = 20.0  # of a host, so that its name has room
MOST_PIXELS = 2400.0
GAP = 8.0
WIDE = 100  # units across; they are stretched to the width of the page
MOST_NAMES = 12

Way = tuple[str, str]


@dataclass(frozen=True)
class _Node:
    """A host at one side: where it begins and how high it is."""

    name: str
    guests: int
    top: float
    height: float

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def flows(plan: Plan) -> str:
    """Draw the moves of a plan; empty where there are none."""
    ways: dict[Way, list[str]] = defaultdict(list)
    for step in plan.moves:
        ways[step.move.source, step.move.target].append(step.move.vm)
    return _drawn(ways) if ways else ""


def _drawn(ways: Mapping[Way, Sequence[str]]) -> str:
    sources = list(dict.fromkeys(source for source, _ in ways))
    targets = _uncrossed({target for _, target in ways}, ways, sources)
    pixels = _scale(ways, max(len(sources), len(targets)))
    left = _stacked(sources, _sums(ways, 0), pixels)
    right = _stacked(targets, _sums(ways, 1), pixels)
    high = max(max(node.top + node.height for node in side.values()) for side in (left, right))
    ribbons = "".join(_ribbons(ways, left, right, pixels))
    return (
        f'<svg class="flows" width="100%" height="{high:.0f}" role="img" '
        f'aria-label="who goes where: {escape(_in_words(ways))}">'
        f'<svg width="100%" height="{high:.0f}" viewBox="0 0 {WIDE} {high:.0f}" preserveAspectRatio="none">'
        f"{ribbons}{_posts(left.values(), 0.0, 'from')}{_posts(right.values(), WIDE - 1.0, 'to')}</svg>"
        f"{_names(left.values(), '2%', 'start')}{_names(right.values(), '98%', 'end')}</svg>"
    )


def _sums(ways: Mapping[Way, Sequence[str]], end: int) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for way, guests in ways.items():
        counts[way[end]] += len(guests)
    return counts


def _scale(ways: Mapping[Way, Sequence[str]], nodes: int) -> float:
    """Return the height of one guest: less where there are hundreds."""
    room = max(MOST_PIXELS - nodes * GAP, MOST_PIXELS / 4)
    return min(PIXELS_A_GUEST, room / sum(map(len, ways.values())))


def _uncrossed(targets: Iterable[str], ways: Mapping[Way, Sequence[str]], sources: Sequence[str]) -> list[str]:
    """Order the right side by where its guests come from, so that few ribbons cross."""
    place = {source: number for number, source in enumerate(sources)}
    sums, counts = defaultdict[str, int](int), _sums(ways, 1)
    for (source, target), guests in ways.items():
        sums[target] += place[source] * len(guests)
    return sorted(targets, key=lambda target: (sums[target] / counts[target], target))


def _stacked(names: Sequence[str], counts: Mapping[str, int], pixels: float) -> dict[str, _Node]:
    nodes, top = {}, 0.0
    for name in names:
        height = max(LEAST_PIXELS, counts[name] * pixels)
        nodes[name] = _Node(name, counts[name], top, height)
        top += height + GAP
    return nodes


def _ribbons(
    ways: Mapping[Way, Sequence[str]], left: Mapping[str, _Node], right: Mapping[str, _Node], pixels: float
) -> Iterable[str]:
    leaves = {name: node.middle - node.guests * pixels / 2 for name, node in left.items()}
    comes = {name: node.middle - node.guests * pixels / 2 for name, node in right.items()}
    in_order = sorted(ways.items(), key=lambda each: (left[each[0][0]].top, right[each[0][1]].top))
    for (source, target), guests in in_order:
        high, one, other, half = len(guests) * pixels, leaves[source], comes[target], WIDE / 2
        leaves[source] += high
        comes[target] += high
        yield (
            f'<path class="ribbon" d="M1 {one:.1f}C{half} {one:.1f} {half} {other:.1f} {WIDE - 1} {other:.1f}'
            f'V{other + high:.1f}C{half} {other + high:.1f} {half} {one + high:.1f} 1 {one + high:.1f}Z">'
            f"<title>{escape(f'{source} → {target}: {_named(guests)}')}</title></path>"
        )


def _posts(nodes: Iterable[_Node], x: float, side: str) -> str:
    return "".join(
        f'<rect class="post {side}" x="{x:g}" y="{node.top:.1f}" width="1" height="{node.height:.1f}"/>'
        for node in nodes
    )


def _names(nodes: Iterable[_Node], x: str, anchor: str) -> str:
    return "".join(
        f'<text x="{x}" y="{node.middle:.1f}" dy=".35em" text-anchor="{anchor}">{escape(node.name)}'
        f'<tspan class="count" dx="6">{node.guests}</tspan></text>'
        for node in nodes
    )


def _named(guests: Sequence[str]) -> str:
    more = f" and {len(guests) - MOST_NAMES} more" if len(guests) > MOST_NAMES else ""
    return f"{count_of(len(guests), 'guest')}: {', '.join(guests[:MOST_NAMES])}{more}"


def _in_words(ways: Mapping[Way, Sequence[str]]) -> str:
    guests = count_of(sum(map(len, ways.values())), "guest")
    hosts = count_of(len({source for source, _ in ways}), "host")
    return f"{guests} from {hosts} to {len({target for _, target in ways})}; the steps below say it one by one"
