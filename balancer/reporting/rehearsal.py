"""What rehearsals found, as text: policies side by side, and what was odd about the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from balancer.domain.rehearsed import Lived, Odd, Oddity, Parting, Rehearsed, RehearsedStep
from balancer.domain.units import count_of, in_words, kwh_in_words
from balancer.reporting.causes import causes

ODDITIES_SHOWN = 8
BUSIEST_SHOWN = 5
HOURS_SHOWN = 24
PARTINGS_SHOWN = 5
STEPS_SHOWN = 4  # of a plan that parts from another

Say = Callable[[Rehearsed], str]


def _possible(run: Rehearsed) -> str:
    share = run.share_of_the_possible
    return "-" if share is None else f"{share:z.0%}"


ROWS: Final[tuple[tuple[str, Say], ...]] = (
    ("energy, kWh", lambda run: kwh_in_words(run.kwh)),
    ("the least possible, kWh", lambda run: kwh_in_words(run.kwh_at_least)),
    ("times the least", lambda run: f"{run.kwh / run.kwh_at_least:.3f}" if run.kwh_at_least else "-"),
    ("with every host on, kWh", lambda run: kwh_in_words(run.kwh_all_on)),
    ("saved of what could be", _possible),
    ("cost", lambda run: f"{run.money:.2f} {run.currency}".strip() if run.money else "no price is set"),
    ("CO2, kg", lambda run: f"{run.co2_kg:.1f}" if run.co2_kg else "no g/kWh are set"),
    ("hosts on, mean", lambda run: f"{sum(s.hosts_on for s in run.steps) / max(1, len(run.steps)):.1f}"),
    ("host steps short of CPU", lambda run: f"{run.share_short_of_cpu:.2%}"),
    ("host steps short of memory", lambda run: f"{run.share_short_of_memory:.2%}"),
    ("CPU needed and not given", lambda run: f"{run.share_unmet:.3%}"),
    ("migrations", lambda run: f"{run.moves} ({run.gib_moved:.0f} GiB)"),
    ("migrations that failed", lambda run: str(run.moves_failed)),
    ("migrations a guest a day", lambda run: f"{run.moves_a_guest_a_day:.2f}"),
    ("wakes in time / late / failed", lambda run: f"{run.wakes_in_time} / {run.wakes_late} / {run.wakes_failed}"),
    ("steps with a broken promise", lambda run: f"{run.steps_broken} of {len(run.steps)}"),
)


def rehearsal_text(runs: Sequence[Rehearsed]) -> RenderableType:
    """Say what each policy would have done, side by side."""
    first = runs[0]
    title = Text(f"{first.record}: {count_of(first.guests, 'guest')} on {count_of(first.hosts, 'host')}", style="bold")
    table = Table(box=box.SIMPLE)
    table.add_column("")
    for run in runs:
        table.add_column(run.policy.name, justify="right", overflow="fold")
    for name, say in ROWS:
        table.add_row(name, *(say(run) for run in runs))
    hours, changes = ([say(run) for run in runs] for say in (_hours, _changes))
    return Group(title, _when(first), table, *_causes(runs), *_lived(runs), *hours, *changes, *_odd(first))


def _when(run: Rehearsed) -> RenderableType:
    """Say which time was lived through, and in which steps."""
    if not run.steps:
        return Text("nothing was recorded")
    begin, end = run.steps[0].at, run.steps[-1].at + timedelta(seconds=run.step_seconds)
    steps = f"{count_of(len(run.steps), 'step')} of {in_words(run.step_seconds)}"
    return Text(f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {begin:%Z}, {steps}, seed {run.seed}", style="dim")


def _causes(runs: Sequence[Rehearsed]) -> list[RenderableType]:
    """Say what is worse under which policy, what in it bears on that, and the decision that it came from."""
    lines: list[RenderableType] = []
    for cause in causes(runs):
        lines.append(Text(cause.sentence, style="bold yellow"))
        lines += [Text(f"  {setting}") for setting in cause.settings]
        lines += [Text(f"  {each.when}: {each.said}", style="dim") for each in cause.decisions]
    return [*lines, Text()] if lines else []


def _lived(runs: Sequence[Rehearsed]) -> list[RenderableType]:
    """Say whether the rehearsal decides what was decided live, and why not."""
    lines: list[RenderableType] = []
    for run in runs:
        if run.lived is not None:
            lines.append(Text(f"{run.policy.name}: {same_as_live(run.lived)}", style="bold"))
            for each in run.lived.partings[:PARTINGS_SHOWN]:
                lines += [Text(f"  {line}") for line in parting_lines(each)]
    return lines


def same_as_live(lived: Lived) -> str:
    """Say at how many looks the rehearsal decides what was decided live."""
    said = f"at {lived.same} of {count_of(lived.looks, 'look')} it decides what was decided live"
    return f"{said}; something was to be done at {lived.with_a_plan} of them"


def parting_lines(parting: Parting) -> list[str]:
    """Say what was decided live and what in the rehearsal, and why they differ."""
    both = (("live", parting.live), ("rehearsed", parting.rehearsed))
    decided = [f"{name}: {_shortly(steps)}" for name, steps in both]
    return [f"{parting.at:%d %b %H:%M} {'; '.join(decided)}", *(f"  {why}" for why in parting.why)]


def _shortly(steps: Sequence[str]) -> str:
    more = len(steps) - STEPS_SHOWN
    return ", ".join([*steps[:STEPS_SHOWN], *([f"and {more} more"] if more > 0 else [])]) or "nothing"


def _hours(run: Rehearsed) -> RenderableType:
    """Show the course of a run in as many stretches as fit."""
    heading = Text(f"\n{run.policy.name}, over time (hosts on and watts are means)", style="bold")
    table = Table(box=box.SIMPLE)
    for name in ("from", "hosts on", "watts", "possible", "host steps short", "moves"):
        table.add_column(name, justify="right")
    size = max(1, -(-len(run.steps) // HOURS_SHOWN))
    for begin in range(0, len(run.steps), size):
        part = run.steps[begin : begin + size]
        table.add_row(
            f"{part[0].at:%a %d %H:%M}",
            f"{_mean(part, 'hosts_on'):.1f}",
            f"{_mean(part, 'watts'):.0f}",
            f"{_mean(part, 'watts_at_least'):.0f}",
            str(sum(step.hosts_short_of_cpu for step in part)),
            str(sum(step.moves for step in part)),
        )
    return Group(heading, table)


def _mean(steps: Sequence[RehearsedStep], name: str) -> float:
    return float(sum(getattr(step, name) for step in steps) / len(steps))


def _changes(run: Rehearsed) -> RenderableType:
    """Name the steps in which most was moved, and what the cycle before them said."""
    busiest = sorted((step for step in run.steps if step.moves), key=lambda step: -step.moves)[:BUSIEST_SHOWN]
    lines: list[RenderableType] = []
    if busiest:
        lines.append(Text(f"{run.policy.name}, where most was moved, and what the look before said:", style="bold"))
        lines.append(_told([(step, f"{count_of(step.moves, 'move')}: {step.sentence}") for step in busiest]))
    broken = next((step for step in run.steps if step.broken), None)
    if broken is not None:
        lines.append(Text(f"{run.policy.name}, first broken promise:", style="bold yellow"))
        lines.append(_told([(broken, broken.broken[0])]))
    lines += [Text(f"  ALARM: {alarm}", style="bold red") for alarm in run.alarms[:ODDITIES_SHOWN]]
    return Group(*lines)


def _told(lines: Sequence[tuple[RehearsedStep, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for step, said in lines:
        table.add_row(Text(f"  {step.at:%a %d %H:%M}"), Text(said))
    return table


def _odd(run: Rehearsed) -> list[RenderableType]:
    """Say what is odd about the whole record, a line a kind."""
    if not run.oddities:
        return []
    kinds: dict[tuple[Odd, str], list[Oddity]] = defaultdict(list)
    for oddity in run.oddities:
        kinds[oddity.what, oddity.made_of_it.partition(" (")[0]].append(oddity)
    lines: list[RenderableType] = [Text("\nThe whole record is odd (each guest: --format json):", style="bold")]
    lines += [
        Text(f"  {what}, {count_of(len(found), 'guest')}: {made_of_it}; first {_place(found[0])}", style="yellow")
        for (what, made_of_it), found in list(kinds.items())[:ODDITIES_SHOWN]
    ]
    return lines


def _place(oddity: Oddity) -> str:
    return ", ".join(filter(None, (oddity.guest, oddity.where)))
