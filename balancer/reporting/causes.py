"""Why a policy did worse in a rehearsal: the figure, what in the policy bears on it, and the decisions it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from balancer.domain.plan import Plan
from balancer.domain.rehearsed import Rehearsed, RehearsedStep
from balancer.domain.units import count_of
from balancer.reporting.bearings import ABSENT, MEMORY, MOVING, PROMISING, ROOM, SAVING, Bears, Side

MOMENTS_SHOWN = 3
SETTINGS_SHOWN = 6
UNSET, NO_DIALS = "nothing", frozenset({"name", "kind", "when", "hard"})
STEPS_APART = 6  # moments nearer to each other tell the same story
NOTHING_BEARS = "nothing that differs is known to make it worse; what differs:"


@dataclass(frozen=True)
class Measure:
    """A figure of a run that is better low, when it is worth a word, and what in a policy bears on it."""

    name: str
    of: Callable[[Rehearsed], float]
    say: Callable[[float], str]
    at: Callable[[RehearsedStep], float]  # where in time it shows
    trouble: float  # above it a run is in trouble by itself
    notable: float  # so much more than another is worth a word
    bears: Mapping[str, Bears]
    is_of_what_was_not_done: bool = False  # the other policy's decisions tell it


MEASURES: Final = (
    Measure(
        "host steps short of CPU",
        lambda run: run.share_short_of_cpu,
        lambda value: f"{value:.2%}",
        lambda step: step.hosts_short_of_cpu,
        0.01,
        0.002,
        ROOM,
    ),
    Measure(
        "host steps short of memory",
        lambda run: run.share_short_of_memory,
        lambda value: f"{value:.2%}",
        lambda step: step.hosts_short_of_memory,
        0.001,
        0.001,
        MEMORY,
    ),
    Measure(
        "migrations a guest a day",
        lambda run: run.moves_a_guest_a_day,
        lambda value: f"{value:.2f}",
        lambda step: step.moves,
        4.0,
        0.3,
        MOVING,
    ),
    Measure(
        "wakes late or failed",
        lambda run: run.wakes_late + run.wakes_failed,
        lambda value: f"{value:.0f}",
        lambda step: step.unmet_cores,
        0,
        0.5,
        ROOM,
    ),
    Measure(
        "steps with a broken promise",
        lambda run: run.steps_broken / max(1, len(run.steps)),
        lambda value: f"{value:.1%}",
        lambda step: len(step.broken),
        0.05,
        0.01,
        PROMISING,
    ),
    Measure(
        "energy over the least possible",
        lambda run: run.kwh / run.kwh_at_least - 1 if run.kwh_at_least else 0.0,
        lambda value: f"{value:.1%}",
        lambda step: step.watts,
        float("inf"),
        0.03,
        SAVING,
        is_of_what_was_not_done=True,
    ),
)


@dataclass(frozen=True)
class Decision:
    """A time at which a figure shows, and the last decision before it that changed where guests or hosts are."""

    step: int  # where it shows
    when: str
    decided: int | None  # where it was decided; None: it was so from the start
    said: str


@dataclass(frozen=True)
class Cause:
    """What is worse under one policy, against another or by itself, what bears on it, and where it comes from."""

    policy: str
    sentence: str
    settings: tuple[str, ...]
    decisions: tuple[Decision, ...]


def causes(runs: Sequence[Rehearsed]) -> list[Cause]:
    """Explain each figure that differs between the first run and another; of a single one, those that are bad."""
    if len(runs) == 1:
        return [_by_itself(runs[0], measure) for measure in MEASURES if measure.of(runs[0]) > measure.trouble]
    found = []
    for other in runs[1:]:
        for measure in MEASURES:
            better, worse = sorted((runs[0], other), key=measure.of)
            if measure.of(worse) - measure.of(better) > measure.notable:
                found.append(_between(worse, better, measure))
    return found


def _by_itself(run: Rehearsed, measure: Measure) -> Cause:
    told = [path for path, value in run.settings.items() if value != UNSET and path.rpartition(".")[2] not in NO_DIALS]
    said = [f"{path} is {run.settings[path]} ({bears.why})" for path, bears in _bearing(told, measure)]
    kinds = {path.split(".")[1] for path in run.settings if path.startswith("constraints.")}
    lacking = [
        f"there is no {path.partition('.')[2]} ({bears.why})"
        for path, bears in measure.bears.items()
        if bears.worse is Side.LESS and path.startswith("constraints.") and path.partition(".")[2] not in kinds
    ]
    sentence = f"{run.policy.name}: {measure.say(measure.of(run))} {measure.name}"
    return Cause(run.policy.name, sentence, tuple([*lacking, *said][:SETTINGS_SHOWN]), _decisions(run, None, measure))


def _between(worse: Rehearsed, better: Rehearsed, measure: Measure) -> Cause:
    differ = {
        path: (worse.settings.get(path, ABSENT), better.settings.get(path, ABSENT))
        for path in dict.fromkeys([*better.settings, *worse.settings])
        if better.settings.get(path) != worse.settings.get(path)
    }
    said = {
        path: f"{path}: {there} under {better.policy.name}, {here} under {worse.policy.name}"
        for path, (here, there) in differ.items()
    }
    bearing = [
        f"{said[path]} ({bears.why})"
        for path, bears in _bearing(differ, measure)
        if bears.can_be_the_cause(*differ[path])
    ]
    sentence = (
        f"{worse.policy.name}: {measure.say(measure.of(worse))} {measure.name}, "
        f"{better.policy.name}: {measure.say(measure.of(better))}"
    )
    settings = _shortened(bearing or [NOTHING_BEARS, *said.values()])
    return Cause(worse.policy.name, sentence, settings, _decisions(worse, better, measure))


def _bearing(paths: Iterable[str], measure: Measure) -> list[tuple[str, Bears]]:
    """Return the settings that bear on a figure, and how; those first that do so most directly."""
    listed = list(paths)
    found = {path: bears for prefix, bears in measure.bears.items() for path in listed if path.startswith(prefix)}
    return list(found.items())


def _shortened(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - SETTINGS_SHOWN
    return (*lines[:SETTINGS_SHOWN], *([f"and {count_of(more, 'setting')} more"] if more > 0 else []))


def _decisions(run: Rehearsed, other: Rehearsed | None, measure: Measure) -> tuple[Decision, ...]:
    """Find the times at which a figure shows most, far enough from each other, and what was decided before them."""
    beside = other.steps if other is not None else ()
    extent = [
        measure.at(step) - (measure.at(beside[place]) if place < len(beside) else 0.0)
        for place, step in enumerate(run.steps)
    ]
    chosen: list[int] = []
    for place in sorted(range(len(extent)), key=lambda each: (-extent[each], each)):
        if extent[place] <= 0 or len(chosen) == MOMENTS_SHOWN:
            break
        if all(abs(place - taken) >= STEPS_APART for taken in chosen):
            chosen.append(place)
    return tuple(_decision(run, other, measure, place) for place in sorted(chosen))


def _decision(run: Rehearsed, other: Rehearsed | None, measure: Measure, place: int) -> Decision:
    """Say how it was then, and which plan before it was the last to change where guests or hosts are."""
    said, when = _standing(run, place), f"{run.steps[place].at:%d %b %H:%M}"
    decider = run
    if other is not None:
        said += f"; under {other.policy.name} {_standing(other, place)}" if place < len(other.steps) else ""
        decider = other if measure.is_of_what_was_not_done else run
    before = range(min(place, len(decider.steps) - 1), -1, -1)
    decided = next((step for step in before if _counts(decider.steps[step].plan, measure)), None)
    if decided is None:
        return Decision(place, when, None, f"{said}. It was so from the start")
    step = decider.steps[decided]
    return Decision(
        place,
        when,
        decided,
        f"{said}. {decider.policy.name} decided at {step.at:%d %b %H:%M}: {step.sentence.rstrip('.')}",
    )


def _standing(run: Rehearsed, place: int) -> str:
    step = run.steps[place]
    short = step.hosts_short_of_cpu + step.hosts_short_of_memory
    moved = f", {step.moves} moved" if step.moves else ""
    return f"{step.hosts_on:.1f} hosts on, {short} short{moved}"


def _counts(plan: Plan | None, measure: Measure) -> bool:
    """Whether a plan changes where guests or hosts are; of what saves energy, whether it puts a host to sleep."""
    if plan is None or not plan.steps:
        return False
    return bool(plan.summary.hosts_to_sleep) if measure.is_of_what_was_not_done else True
