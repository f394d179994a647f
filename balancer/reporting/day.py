"""A day's summary: as text, as Markdown for a chat or a mail, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from balancer.domain.day_summary import DaySummary, Deed
from balancer.reporting.markdown import plain

MOST_LINES = 30  # of one section; the JSON has them all
Section = tuple[str, Sequence[str]]


def day_text(summary: DaySummary) -> str:
    """Return the summary for the terminal."""
    return f"{_title(summary)}\n\n{_text(summary)}"


def day_markdown(summary: DaySummary) -> str:
    """Return the summary as Markdown, its title as a heading."""
    parts = (
        f"**{heading}**\n\n" + "".join(f"- {plain(each)}\n" for each in said) for heading, said in _sections(summary)
    )
    return f"# {plain(_title(summary))}\n\n" + "\n".join(parts)


def day_notice(summary: DaySummary) -> tuple[str, str]:
    """Return title and text of the message that brings the summary to somebody: not every chat knows Markdown."""
    return _title(summary), _text(summary)


def day_json(summary: DaySummary) -> str:
    """Return everything that the summary knows, for programs."""
    energy = summary.energy
    data = asdict(summary) | {
        "day": summary.day.isoformat(),
        "energy": {
            "kwh": energy.kwh,
            "kwh_without_balancer": energy.kwh_alone,
            "kwh_saved": energy.saved_kwh,
            "host_hours_on": energy.hours_on,
            "host_hours_asleep": energy.hours_asleep,
        },
        "deeds": [asdict(deed) | {"at": deed.at.isoformat()} for deed in summary.deeds],
    }
    return json.dumps(data, indent=2, ensure_ascii=False)


def _text(summary: DaySummary) -> str:
    lines: list[str] = []
    for heading, said in _sections(summary):
        lines += ["", heading, *(f"  {' '.join(each.split())}" for each in said)]
    return "\n".join(lines[1:])


def _title(summary: DaySummary) -> str:
    so_far = "" if summary.is_over else ", so far"
    return f"{summary.cluster} on {summary.day:%A} {summary.day.isoformat()} (UTC){so_far}"


def _sections(summary: DaySummary) -> Iterator[Section]:
    yield "Done", tuple(_done(summary))
    yield "Power", tuple(_power(summary))
    yield "Doubts", _counted(summary.doubts, summary, summary.cycles_in_doubt)
    yield "Promises bent", _counted(summary.bent, summary, 0)
    yield "Waiting for a person now", _short(summary.waiting) or ("nothing",)
    yield "Who did what", _short([_deed(deed) for deed in summary.deeds]) or ("nobody did anything",)


def _done(summary: DaySummary) -> Iterator[str]:
    if not summary.cycles:
        yield "no cycle: the balancer did not run, or it is too long ago"
    else:
        yield f"{summary.cycles} cycles, of which {summary.plans} wanted to move guests"
    moves = summary.moves
    yield f"{moves.done} guests moved ({moves.gib:.1f} GiB), {moves.failed} moves failed"
    if moves.open:
        yield f"{moves.open} moves whose end was not seen yet"


def _power(summary: DaySummary) -> Iterator[str]:
    energy, wakes = summary.energy, summary.wakes
    yield f"{energy.hours_asleep:.1f} host-hours asleep; {summary.sleeps} times a host was put to sleep"
    yield f"{wakes.in_time} wakes in time, {wakes.late} late, {wakes.failed} failed"
    saved = [f"{energy.saved_kwh:.1f} kWh"]
    saved += [f"{amount:.2f} {currency}".strip() for currency, amount in summary.money.items()]
    saved += [f"{summary.co2_kg:.1f} kg CO2"] if summary.co2_kg else []
    yield f"saved {', '.join(saved)}"


def _counted(found: Mapping[str, int], summary: DaySummary, at_least: int) -> Sequence[str]:
    """Say what was found and in how many cycles; and where that is known of a part of the day only, that it is."""
    most_first = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    said = list(_short([f"{what} (in {times} cycles)" for what, times in most_first]))
    forgotten = summary.cycles - summary.cycles_whole
    if at_least and not said:
        said = [f"there were some in {at_least} cycles"]
    if forgotten:
        said.append(f"not known of {forgotten} of the {summary.cycles} cycles: they are not kept whole any more")
    return said or ("none",)


def _deed(deed: Deed) -> str:
    return f"{deed.at:%H:%M} {deed.who}: {deed.what}" + (f" ({deed.subject})" if deed.subject else "")


def _short(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - MOST_LINES
    return (*lines[:MOST_LINES], f"and {more} more") if more > 0 else tuple(lines)
