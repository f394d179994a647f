"""What tuning found, as text: the front beside the policy as given, and the comment of the policy file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from balancer.domain.tuned import Figures, Tried, Tuned
from balancer.domain.units import count_of, kwh_in_words

MOST_ROWS = 14  # of the front in a terminal; the page and the JSON have all

Say = Callable[[Figures], str]


def _possible(figures: Figures) -> str:
    share = figures.share_of_the_possible
    return "-" if share is None else f"{share:z.0%}"


COLUMNS: Final[tuple[tuple[str, Say], ...]] = (
    ("kWh", lambda figures: kwh_in_words(figures.kwh)),
    ("saved of what could be", _possible),
    ("short", lambda figures: f"{figures.short:.2%}"),
    ("moves a guest a day", lambda figures: f"{figures.moves_a_guest_a_day:.2f}"),
)
ROWS: Final[tuple[tuple[str, Say], ...]] = (
    ("energy, kWh", lambda figures: kwh_in_words(figures.kwh)),
    ("the least possible, kWh", lambda figures: kwh_in_words(figures.kwh_at_least)),
    ("saved of what could be", _possible),
    ("host steps short of CPU", lambda figures: f"{figures.share_short_of_cpu:.2%}"),
    ("host steps short of memory", lambda figures: f"{figures.share_short_of_memory:.2%}"),
    ("migrations a guest a day", lambda figures: f"{figures.moves_a_guest_a_day:.2f}"),
    ("wakes late / failed", lambda figures: f"{figures.wakes_late} / {figures.wakes_failed}"),
    ("steps with a broken promise", lambda figures: f"{figures.share_broken:.1%}"),
)


def tuning_text(tuned: Tuned) -> RenderableType:
    """Show the front, each point with what it did where it was searched and where it was held out."""
    title = f"{tuned.policy.name} on {tuned.record}: {searched(tuned)}; in brackets: {held_out(tuned)}"
    points = shown(tuned, MOST_ROWS)
    table = Table(box=box.SIMPLE)
    for name in ("", *(name for name, _ in COLUMNS)):
        table.add_column(name, justify="right" if name else "left")
    for point in points:
        is_chosen = point.number == tuned.chosen
        table.add_row(name_of(point, tuned), *cells(point), style="bold" if is_chosen else None)
    dials = [Text(f"  {name_of(each, tuned)}: {dials_of(each)}", style="dim") for each in points if each.dials]
    left = len(tuned.front) - MOST_ROWS
    more = [Text(f"and {left} more points of the front (--format json)", style="dim")] if left > 0 else []
    chosen = Text(f"chosen ({tuned.wanted}): {dials_of(tuned.choice) or 'the policy as it was given'}")
    return Group(Text(title, style="bold"), table, *dials, *more, chosen)


def cells(point: Tried) -> list[str]:
    """Return a point's figures where it was searched, and in brackets where it was held out."""
    held = [f" ({say(point.held_out)})" if point.held_out else "" for _, say in COLUMNS]
    return [say(point.figures) + beside for (_, say), beside in zip(COLUMNS, held, strict=True)]


def shown(tuned: Tuned, most: int) -> list[Tried]:
    """Return the policy as given, and evenly of the front as many points as may be shown, the chosen among them."""
    rest = [point for point in tuned.front if not point.is_given]
    size = max(1, -(-len(rest) // most))
    kept = [point for place, point in enumerate(rest) if place % size == 0 or point.number == tuned.chosen]
    return [tuned.given, *kept]


def name_of(point: Tried, tuned: Tuned) -> str:
    name = "as given" if point.is_given else f"trial {point.number}"
    return f"{name}, chosen" if point.number == tuned.chosen else name


def dials_of(point: Tried) -> str:
    """Say how the dials of a point stand."""
    return ", ".join(f"{path} {value:g}" for path, value in point.dials.items())


def searched(tuned: Tuned) -> str:
    when = f"{tuned.begin:%Y-%m-%d %H:%M} to {tuned.split:%Y-%m-%d %H:%M}"
    return f"searched {when}, {count_of(len(tuned.tried) - 1, 'trial')}, seed {tuned.seed}"


def held_out(tuned: Tuned) -> str:
    if tuned.split >= tuned.end:
        return "nothing held out"
    return f"held out {tuned.split:%Y-%m-%d %H:%M} to {tuned.end:%Y-%m-%d %H:%M}"


def expected(tuned: Tuned) -> Sequence[str]:
    """Say what is to be expected of the chosen point, as the comment of the policy file that it becomes."""
    point, given = tuned.choice, tuned.given
    head = [
        f"Found by `balancer policy tune` on {tuned.record} for: {tuned.wanted}.",
        f"{searched(tuned)};".capitalize(),
        f"{held_out(tuned)}.",
        "What rehearsals expect of it; the future may be another:",
    ]
    columns = [("searched", point.figures), ("as given", given.figures)]
    columns += [(name, each) for name, each in (("held out", point.held_out), ("as given", given.held_out)) if each]
    lines = ["".join([f"  {'':30}", *(f"{name:>12}" for name, _ in columns)])]
    lines += ["".join([f"  {name:30}", *(f"{say(figures):>12}" for _, figures in columns)]) for name, say in ROWS]
    return [
        *head,
        *lines,
        *(["No setting of the dials was better than the policy as it was given."] if point.is_given else []),
    ]
