"""What rehearsals found, as a page: figures and pictures side by side, why they differ, and each plan at its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from html import escape
from typing import Final

from balancer.domain.plan import Plan
from balancer.domain.rehearsed import Rehearsed, RehearsedStep
from balancer.domain.units import count_of, kwh_in_words
from balancer.reporting.causes import Cause, causes
from balancer.reporting.pages.drawing import Line, Spot, bar, number, over_time
from balancer.reporting.pages.page import heading, listed, page, paragraph, table
from balancer.reporting.rehearsal import ROWS, parting_lines, same_as_live

MOST_COLUMNS = 360  # of a picture: a week of five minutes is drawn by means of 30
MOST_TIMES = 400  # whose plans are on the page
STEPS_OF_A_PLAN = 30
GUESTS_SHOWN = 10
ODDITIES_SHOWN = 20
TIMES_BELOW = 5

Take = Callable[[RehearsedStep], float]

PICTURES: Final[tuple[tuple[str, Take], ...]] = (
    ("hosts on", lambda step: step.hosts_on),
    ("power, W", lambda step: step.watts),
    ("hosts short of CPU or memory", lambda step: step.hosts_short_of_cpu + step.hosts_short_of_memory),
    ("guests moved in a step", lambda step: step.moves),
)


def rehearsal_page(runs: Sequence[Rehearsed]) -> str:
    """Return one HTML file that tells of one policy or several on the same record."""
    first = runs[0]
    times = _eventful(runs)
    parts = [
        heading(f"Rehearsal on {first.record}", 1),
        paragraph(_about(first), "soft"),
        *(paragraph(verdict(run), "lead") for run in runs),
        heading("Energy between the least possible and every host on"),
        _bars(runs),
        heading("Figures"),
        table(["", *(run.policy.name for run in runs)], [[name, *(say(run) for run in runs)] for name, say in ROWS]),
        *_causes(runs),
        *_lived(runs),
        heading("Over time"),
        paragraph("A click on a time leads to what was decided then.", "soft"),
        *_pictures(runs, times),
        *_guests(runs),
        *_oddities(runs),
        *_times(runs, times),
    ]
    return page(f"Rehearsal on {first.record}", parts)


def verdict(run: Rehearsed) -> str:
    """Say in one sentence what a policy saved, and what it cost guests."""
    share = run.share_of_the_possible
    saved = f"saved {share:z.0%} of what could be saved" if share is not None else "had nothing to save"
    kwh, least, most = map(kwh_in_words, (run.kwh, run.kwh_at_least, run.kwh_all_on))
    return (
        f"{run.policy.name} {saved}: {kwh} kWh, where {least} was the least possible and every host on took {most}. "
        f"Hosts were short of CPU in {run.share_short_of_cpu:.2%} of their steps "
        f"and of memory in {run.share_short_of_memory:.2%}; {count_of(run.moves, 'migration')}."
    )


def _about(run: Rehearsed) -> str:
    when = "no steps"
    if run.steps:
        end = run.steps[-1].at + timedelta(seconds=run.step_seconds)
        when = f"{run.steps[0].at:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M %Z}"
    timing = "a decision sees what is over" if run.strict_timing else "a decision also sees the step that begins"
    return (
        f"{count_of(run.guests, 'guest')} on {count_of(run.hosts, 'host')}, {when}, steps of {run.step_seconds:.0f} s, "
        f"seed {run.seed}; {timing}. The least possible has perfect knowledge, free moves and free switching."
    )


def _bars(runs: Sequence[Rehearsed]) -> str:
    """Draw what each policy took beside the least possible and every host on."""
    most = max((run.kwh_all_on for run in runs), default=0.0) or 1.0
    first = runs[0]
    rows: list[tuple[str, float, int | None, str]] = [("the least possible", first.kwh_at_least, None, "")]
    rows += [(run.policy.name, run.kwh, tone, _share(run)) for tone, run in enumerate(runs)]
    rows.append(("every host on", first.kwh_all_on, None, ""))
    cells = "".join(
        f"<span>{escape(name)}</span>{bar(kwh / most, tone, f'{kwh_in_words(kwh)} kWh{said}')}"
        for name, kwh, tone, said in rows
    )
    return f'<div class="bars">{cells}</div>'


def _share(run: Rehearsed) -> str:
    share = run.share_of_the_possible
    return "" if share is None else f", {share:z.0%} of what could be saved"


def _causes(runs: Sequence[Rehearsed]) -> Iterator[str]:
    """Yield what is worse under which policy, what in it bears on that, and the decisions that it came from."""
    found = causes(runs)
    if not found:
        return
    yield heading("Why they differ" if len(runs) > 1 else "What is wrong, and what bears on it")
    for cause in found:
        yield f'<div class="cause">{paragraph(cause.sentence, "who")}{listed(cause.settings)}{_decided(cause)}</div>'


def _decided(cause: Cause) -> str:
    items = "".join(
        f'<li><a href="#t{each.step if each.decided is None else each.decided}">{escape(each.when)}</a> '
        f"{escape(each.said)}</li>"
        for each in cause.decisions
    )
    return f"{paragraph('Where it shows most:', 'soft')}<ul>{items}</ul>" if items else ""


# -- pictures


def _lived(runs: Sequence[Rehearsed]) -> Iterator[str]:
    """Of one's own history: whether the rehearsal decides what was decided live, and why not."""
    told = [(run, run.lived) for run in runs if run.lived is not None]
    if told:
        yield heading("Beside what was decided live")
    for run, lived in told:
        yield paragraph(f"{run.policy.name}: {same_as_live(lived)}.")
        for each in lived.partings:
            first, *why = parting_lines(each)
            yield f'<div class="cause"><p>{escape(first)}</p>{listed(why)}</div>'


def _pictures(runs: Sequence[Rehearsed], times: Sequence[int]) -> Iterator[str]:
    """Yield the pictures over time, all policies in each."""
    first = runs[0]
    size = max(1, -(-len(first.steps) // MOST_COLUMNS))
    spots = _spots(runs, size, times)
    below = _below(first.steps)
    for title, take in PICTURES:
        lines = [Line(run.policy.name, _means(run, take, size), tone) for tone, run in enumerate(runs)]
        if title.startswith("power"):
            lines.append(Line("the least possible", _means(first, lambda step: step.watts_at_least, size), None))
        yield over_time(title + _of(size), lines, below, spots)
    needed = Line("needed by all guests", _means(first, lambda step: step.needed_cores, size), None)
    unmet = [
        Line(f"needed and not given, {run.policy.name}", _means(run, lambda step: step.unmet_cores, size), tone)
        for tone, run in enumerate(runs)
    ]
    yield over_time("load, cores" + _of(size), [needed, *unmet], below, spots)


def _of(size: int) -> str:
    return f" (means of {size} steps)" if size > 1 else ""


def _means(run: Rehearsed, take: Take, size: int) -> list[float]:
    values = [take(step) for step in run.steps]
    parts = [values[begin : begin + size] for begin in range(0, len(values), size)]
    return [sum(part) / len(part) for part in parts]


def _below(steps: Sequence[RehearsedStep]) -> list[str]:
    """Return times to stand below a picture, with the day where there is more than one."""
    if not steps:
        return []
    places = [round(part * (len(steps) - 1) / (TIMES_BELOW - 1)) for part in range(TIMES_BELOW)]
    form = "%H:%M" if steps[0].at.date() == steps[-1].at.date() else "%d %b %H:%M"
    return [f"{steps[place].at:{form}}" for place in dict.fromkeys(places)]


def _spots(runs: Sequence[Rehearsed], size: int, times: Sequence[int]) -> list[Spot]:
    """Say for each column how each policy stood, and lead to the last time before its end of which there is a plan."""
    spots = []
    steps = len(runs[0].steps)
    for begin in range(0, steps, size):
        before = [time for time in times if time < begin + size]
        said = [
            f"{runs[0].steps[begin].at:%d %b %H:%M}",
            *(f"{run.policy.name}: {_standing(run, begin)}" for run in runs),
        ]
        spots.append(Spot("\n".join(said), f"t{before[-1]}" if before else ""))
    return spots


def _standing(run: Rehearsed, place: int) -> str:
    if place >= len(run.steps):
        return "over"
    step = run.steps[place]
    words = [f"{number(step.hosts_on)} hosts on", f"{step.watts:.0f} W"]
    if step.hosts_short_of_cpu:
        words.append(f"{step.hosts_short_of_cpu} short of CPU")
    if step.hosts_short_of_memory:
        words.append(f"{step.hosts_short_of_memory} short of memory")
    if step.moves:
        words.append(f"{step.moves} moved")
    if step.guests_waiting:
        words.append(f"{count_of(step.guests_waiting, 'guest')} waiting")
    return ", ".join(words)


# -- times


def _eventful(runs: Sequence[Rehearsed]) -> list[int]:
    """Return the steps in which most happened under any policy, those that causes name among them, in their order."""
    named = {place for cause in causes(runs) for each in cause.decisions for place in (each.step, each.decided)}
    weights = {
        place: sum(map(_events, at)) + (1e9 if place in named else 0)
        for place, at in enumerate(zip(*(run.steps for run in runs), strict=False))
    }
    busy = [place for place in sorted(weights, key=lambda each: -weights[each]) if weights[place]]
    return sorted(busy[:MOST_TIMES])


def _events(step: RehearsedStep) -> float:
    planned = len(step.plan.steps) if step.plan is not None else 0
    return planned + step.moves + step.hosts_short_of_cpu + step.hosts_short_of_memory + len(step.broken)


def _times(runs: Sequence[Rehearsed], times: Sequence[int]) -> Iterator[str]:
    """Yield what was decided at each time, policy by policy, the plan inside."""
    if not times:
        return
    yield heading("What was decided when")
    every = sum(any(map(_events, at)) for at in zip(*(run.steps for run in runs), strict=False))
    said = f"The {len(times)} times of {every} at which most happened. " if every > len(times) else ""
    parted = next((place for place in times if _parts(runs, place)), None) if len(runs) > 1 else None
    if parted is not None:
        said += f"The policies part first at {runs[0].steps[parted].at:%Y-%m-%d %H:%M}."
    yield paragraph(said, "soft") if said else ""
    for place in times:
        yield _time(runs, place, place == parted)


def _time(runs: Sequence[Rehearsed], place: int, parts_first: bool) -> str:
    inside = "".join(_told(run, tone, run.steps[place]) for tone, run in enumerate(runs))
    short = "; ".join(
        f"{run.policy.name}: {_standing(run, place)}" if len(runs) > 1 else _standing(run, place) for run in runs
    )
    mark = ' <span class="warn">the policies part here</span>' if parts_first else ""
    summary = f"<b>{runs[0].steps[place].at:%d %b %H:%M}</b> <small>{escape(short)}</small>{mark}"
    return f'<details id="t{place}"><summary>{summary}</summary>{inside}</details>'


def _told(run: Rehearsed, tone: int, step: RehearsedStep) -> str:
    """Say what a policy decided at the begin of a step: the sentence, the plan, the promises that did not hold."""
    sentence = step.sentence or "No look in this step."
    words = f'<p><span class="who tone{tone}">{escape(run.policy.name)}</span> {escape(sentence)}</p>'
    broken = "".join(f'<p class="warn">{escape(each)}</p>' for each in step.broken[:5])
    return words + broken + _plan(step.plan)


def _plan(plan: Plan | None) -> str:
    if plan is None or not plan.steps:
        return ""
    shown = [f"{step}" + (f": {step.because}" if step.because else "") for step in plan.steps[:STEPS_OF_A_PLAN]]
    more = len(plan.steps) - STEPS_OF_A_PLAN
    items = "".join(f"<li>{escape(line)}</li>" for line in shown)
    left = paragraph(f"and {count_of(more, 'step')} more (--format json)", "soft") if more > 0 else ""
    unmet = listed(f"cannot be kept: {each.promise}, {each.subject}: {each.why}" for each in plan.unmet[:5])
    return f"<ol>{items}</ol>{left}{unmet}"


def _parts(runs: Sequence[Rehearsed], place: int) -> bool:
    """Whether two policies decide otherwise at a step."""
    return len({_said(run.steps[place].plan) for run in runs}) > 1


def _said(plan: Plan | None) -> frozenset[str]:
    return frozenset(map(str, plan.steps)) if plan is not None else frozenset()


# -- guests and the record


def _guests(runs: Sequence[Rehearsed]) -> Iterator[str]:
    """Yield who was moved most under each policy."""
    if not any(run.moves_by_guest for run in runs):
        return
    yield heading("Guests moved most")
    names = dict.fromkeys(name for run in runs for name in list(run.moves_by_guest)[:GUESTS_SHOWN])
    rows = [[name, *(str(run.moves_by_guest.get(name, 0)) for run in runs)] for name in names]
    rows.append(["all", *(f"{run.moves} ({run.gib_moved:.0f} GiB)" for run in runs)])
    yield table(["", *(run.policy.name for run in runs)], rows)


def _oddities(runs: Sequence[Rehearsed]) -> Iterator[str]:
    alarms = [f"{run.policy.name}: {alarm}" for run in runs for alarm in run.alarms]
    if alarms:
        yield heading("Alarms")
        yield listed([*alarms[:ODDITIES_SHOWN], *_more(len(alarms))])
    odd = [str(each) for each in runs[0].oddities]
    if odd:
        yield heading("What is odd about the record")
        yield listed([*odd[:ODDITIES_SHOWN], *_more(len(odd))])


def _more(number_of: int) -> list[str]:
    left = number_of - ODDITIES_SHOWN
    return [f"and {left} more (--format json)"] if left > 0 else []
