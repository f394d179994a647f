"""Two policies side by side, as an administrator likes to read it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from balancer.domain.comparison import Comparison, Side
from balancer.domain.units import in_words

MOST_GUESTS = 20  # with different destinations that are listed; the JSON has them all


def comparison_text(both: Comparison) -> RenderableType:
    """Return a comparison as text: the verdict, what each would do, then setting by setting and guest by guest."""
    verdict = "would do the same" if both.same_plan else "would not do the same"
    first, second = _titles(both)
    head = Text(f"{first} and {second} {verdict} on {both.cluster}", style="bold")
    parts: list[RenderableType] = [head, Text(), _sides(both)]
    parts += _table("settings that differ", [(s.path, _value(s.first), _value(s.second)) for s in both.settings], both)
    promises = [(p.promise, p.first or "", p.second or "") for p in both.promises]
    parts += _table("promises and wishes that differ", promises, both)
    return Group(*parts, *_destinations(both))


def _titles(both: Comparison) -> tuple[str, str]:
    if both.first.policy != both.second.policy:
        return both.first.policy, both.second.policy
    return both.first.file or both.first.policy, both.second.file or both.second.policy


def _sides(both: Comparison) -> Table:
    table = _plain_table("", *_titles(both))
    first, second = both.first, both.second
    for title, one, other in (
        ("moves", *(_moves(side) for side in (first, second))),
        ("hosts on", *(_hosts(side) for side in (first, second))),
        ("power", *(f"{side.watts:.0f} W" if side.watts else "" for side in (first, second))),
        ("CPU deviation", *(f"{side.cpu_deviation:.3f}" for side in (first, second))),
        ("memory deviation", *(f"{side.memory_deviation:.3f}" for side in (first, second))),
        (f"J as {_titles(both)[0]} counts", *(f"{side.objective_under_first:.5f}" for side in (first, second))),
        (f"J as {_titles(both)[1]} counts", *(f"{side.objective_under_second:.5f}" for side in (first, second))),
        (f"breaks of {_titles(both)[0]}", *("\n".join(side.breaks_of_first) for side in (first, second))),
        (f"breaks of {_titles(both)[1]}", *("\n".join(side.breaks_of_second) for side in (first, second))),
        ("refused", first.refused, second.refused),
    ):
        if one or other:
            table.add_row(Text(title, style="dim"), one, Text(other, style="" if one == other else "yellow"))
    return table


def _moves(side: Side) -> str:
    return f"{side.moves} ({side.gib:.1f} GiB, {in_words(side.seconds)})" if side.moves else "none"


def _hosts(side: Side) -> str:
    sleep = [f"{', '.join(side.to_sleep)} sleeps"] if len(side.to_sleep) == 1 else []
    sleep += [f"{', '.join(side.to_sleep)} sleep"] if len(side.to_sleep) > 1 else []
    wake = [f"wakes {', '.join(side.to_wake)}"] if side.to_wake else []
    return "; ".join([str(side.hosts_on), *sleep, *wake])


def _destinations(both: Comparison) -> list[RenderableType]:
    rows = [(d.vm, _way(d.now, d.first), _way(d.now, d.second)) for d in both.destinations]
    parts = _table("guests with different destinations", rows[:MOST_GUESTS], both)
    if len(rows) > MOST_GUESTS:
        parts.append(Text(f"and {len(rows) - MOST_GUESTS} more", style="dim"))
    return parts


def _way(now: str, then: str) -> str:
    return f"stays on {now}" if now == then else f"{now} → {then}"


def _value(value: Any) -> str:
    if value is None or value == "":
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(title: str, rows: Sequence[tuple[str, str, str]], both: Comparison) -> list[RenderableType]:
    if not rows:
        return []
    table = _plain_table(title, *_titles(both))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return [Text(), table]


def _plain_table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(Text(title), overflow="fold")
    return table
