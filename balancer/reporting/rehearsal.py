"""What rehearsals found, as text: policies side by side, and what was odd about the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from balancer.domain.rehearsed import Rehearsed, RehearsedStep
from balancer.domain.units import count_of

ODDITIES_SHOWN = 8
BUSIEST_SHOWN = 5
HOURS_SHOWN = 24

Say = Callable[[Rehearsed], str]


def _possible(run: Rehearsed) -> str:
    share = run.share_of_the_possible
    return "-" if share is None else f"{share:.0%}"


ROWS: Final[tuple[tuple[str, Say], ...]] = (
    ("energy, kWh", lambda run: f"{run.kwh:.1f}"),
    ("the least possible, kWh", lambda run: f"{run.kwh_at_least:.1f}"),
    ("times the least", lambda run: f"{run.kwh / run.kwh_at_least:.3f}" if run.kwh_at_least else "-"),
    ("with every host on, kWh", lambda run: f"{run.kwh_all_on:.1f}"),
    ("saved of what could be", _possible),
    ("cost", lambda run: f"{run.money:.2f} {run.currency}".strip() if run.money else "not known"),
    ("CO2, kg", lambda run: f"{run.co2_kg:.1f}" if run.co2_kg else "not known"),
    ("hosts on, mean", lambda run: f"{sum(s.hosts_on for s in run.steps) / max(1, len(run.steps)):.1f}"),
    ("host steps short of CPU", lambda run: f"{run.share_short_of_cpu:.2%}"),
    ("host steps short of memory", lambda run: f"{run.share_short_of_memory:.2%}"),
    ("CPU needed and not given", lambda run: f"{run.share_unmet:.3%}"),
    ("migrations", lambda run: f"{run.moves} ({run.gib_moved:.0f} GiB)"),
    ("migrations a guest a day", lambda run: f"{run.moves_a_guest_a_day:.2f}"),
    ("wakes in time / late / failed", lambda run: f"{run.wakes_in_time} / {run.wakes_late} / {run.wakes_failed}"),
    ("steps with a broken promise", lambda run: f"{run.steps_broken} of {len(run.steps)}"),
)


def rehearsal_text(runs: Sequence[Rehearsed]) -> RenderableType:
    """Say what each policy would have done, side by side."""
    first = runs[0]
    begin, end = (first.steps[place].at for place in (0, -1)) if first.steps else (None, None)
    title = f"{first.record}: {count_of(first.guests, 'guest')} on {count_of(first.hosts, 'host')}"
    when = "" if begin is None else f", {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}, seed {first.seed}"
    table = Table(box=box.SIMPLE, title=title + when, title_justify="left", title_style="bold")
    table.add_column("")
    for run in runs:
        table.add_column(run.policy.name, justify="right", overflow="fold")
    for name, say in ROWS:
        table.add_row(name, *(say(run) for run in runs))
    return Group(table, *(_hours(run) for run in runs), *(_changes(run) for run in runs), *_odd(first))


def _hours(run: Rehearsed) -> RenderableType:
    """Show the course of a run in as many stretches as fit."""
    table = Table(box=box.SIMPLE, title=f"{run.policy.name}, over time", title_justify="left", title_style="bold")
    for name in ("from", "hosts on", "watts", "at least", "short", "moves"):
        table.add_column(name, justify="right")
    size = max(1, -(-len(run.steps) // HOURS_SHOWN))
    for begin in range(0, len(run.steps), size):
        part = run.steps[begin : begin + size]
        table.add_row(
            f"{part[0].at:%d %H:%M}",
            f"{_mean(part, 'hosts_on'):.1f}",
            f"{_mean(part, 'watts'):.0f}",
            f"{_mean(part, 'watts_at_least'):.0f}",
            str(sum(step.hosts_short_of_cpu for step in part)),
            str(sum(step.moves for step in part)),
        )
    return table


def _mean(steps: Sequence[RehearsedStep], name: str) -> float:
    return float(sum(getattr(step, name) for step in steps) / len(steps))


def _changes(run: Rehearsed) -> RenderableType:
    """Name the steps in which most was moved, and what the cycle before them said."""
    busiest = sorted((step for step in run.steps if step.moves), key=lambda step: -step.moves)[:BUSIEST_SHOWN]
    lines = [Text(f"{run.policy.name}, where most was moved:", style="bold")] if busiest else []
    lines += [Text(f"  {step.at:%d %H:%M}  {step.moves:3d}  {step.sentence}") for step in busiest]
    broken = next((step for step in run.steps if step.broken), None)
    if broken is not None:
        lines.append(Text(f"  first broken promise, {broken.at:%d %H:%M}: {broken.broken[0]}", style="yellow"))
    lines += [Text(f"  ALARM: {alarm}", style="bold red") for alarm in run.alarms[:ODDITIES_SHOWN]]
    return Group(*lines)


def _odd(run: Rehearsed) -> list[RenderableType]:
    if not run.oddities:
        return []
    lines: list[RenderableType] = [Text("\nThe record is odd:", style="bold")]
    lines += [Text(f"  {oddity}", style="yellow") for oddity in run.oddities[:ODDITIES_SHOWN]]
    left = len(run.oddities) - ODDITIES_SHOWN
    return [*lines, Text(f"  and {left} more (--format json)", style="dim")] if left > 0 else lines
