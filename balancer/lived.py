"""What was decided live, beside what a rehearsal of the same time decides: at which looks they part, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from balancer.chronicle import kept_cycles
from balancer.domain.plan import Mode, Plan
from balancer.domain.rehearsed import Lived, Parting, Rehearsed, RehearsedStep
from balancer.domain.units import count_of, in_words
from balancer.policy import Policy
from balancer.policy.changes import settings_of
from balancer.saved import SavedCycle

MOST_PARTINGS = 20
SETTINGS_SHOWN = 3
ABSENT = "absent"
STEPS_BESIDE = 3  # in which the same steps are looked for when they are not decided at the same look
FOLLOWS = "follows from the first: guests and hosts may not be where they were live"
UNKNOWN = "nothing that is kept says why; `balancer plan --replay` decides the live cycle again"


def beside_what_was_lived(run: Rehearsed, policy: Policy, state: Path) -> Rehearsed:
    """Return a rehearsal of one's own history with what was decided live; as it was where nothing is kept of that.

    The last 300 cycles are kept whole. The first look of a rehearsal comes with its second step.
    """
    looks = {step.at: step for step in run.steps[1:]}
    if not looks:
        return run
    live = _by_look(kept_cycles(state, run.steps[0].at, run.steps[-1].at), run)
    compared = [each for at, each in looks.items() if at in live]
    apart = [each for each in compared if _steps_of(_plans(live[each.at])) != _steps_of([each.plan])]
    busy = [each for each in compared if each.plan is not None or _steps_of(_plans(live[each.at]))]
    lived = Lived(
        looks=len(compared),
        same=len(compared) - len(apart),
        with_a_plan=len(busy),
        partings=tuple(
            _parting(each, live[each.at], run, policy, is_first=each is apart[0]) for each in apart[:MOST_PARTINGS]
        ),
    )
    return run.model_copy(update={"lived": lived}) if compared else run


def _by_look(cycles: Iterable[SavedCycle], run: Rehearsed) -> dict[datetime, list[SavedCycle]]:
    """Return live cycles by the rehearsed look that sees what they saw: the first at or after them."""
    found = defaultdict(list)
    for saved in cycles:
        seconds = ceil(saved.snapshot.taken_at.timestamp() / run.step_seconds - 1e-6) * run.step_seconds
        found[datetime.fromtimestamp(seconds, UTC)].append(saved)
    return found


def _plans(cycles: Iterable[SavedCycle]) -> list[Plan]:
    return [saved.plan for saved in cycles]


def _steps_of(plans: Iterable[Plan | None]) -> tuple[str, ...]:
    """Return what plans do; in which order equal moves go hangs on the last digits of readings."""
    return tuple(sorted({str(step) for plan in plans if plan is not None for step in plan.steps}))


def _parting(
    step: RehearsedStep, live: Sequence[SavedCycle], run: Rehearsed, policy: Policy, is_first: bool
) -> Parting:
    decided, again = _steps_of(_plans(live)), _steps_of([step.plan])
    why = [*_elsewhen(step, decided, run), *(_differences(live, run, policy) if is_first else [FOLLOWS])]
    return Parting(at=step.at, live=decided, rehearsed=again, why=tuple(why) or (UNKNOWN,))


def _elsewhen(step: RehearsedStep, decided: tuple[str, ...], run: Rehearsed) -> Iterator[str]:
    """Say where the rehearsal decides the same a little earlier or later."""
    place = run.steps.index(step)
    for other in run.steps[max(0, place - STEPS_BESIDE) : place + STEPS_BESIDE + 1]:
        if decided and other is not step and _steps_of([other.plan]) == decided:
            yield f"the rehearsal decides the same at {other.at:%H:%M}"


def _differences(live: Sequence[SavedCycle], run: Rehearsed, policy: Policy) -> Iterator[str]:
    """Name what a live cycle had that its rehearsal has not, or has otherwise: the most likely cause first."""
    last = live[-1]
    yield from _settings(last, policy)
    if any(saved.plan.mode is not Mode.ACT for saved in live):
        yield f"live the mode was {last.plan.mode}, so a plan was not carried out by itself; a rehearsal acts"
    doubts = [f"{doubt.subject} ({doubt.kind})" for saved in live for doubt in saved.snapshot.doubts]
    if doubts:
        yield f"live there was a doubt on {doubts[0]}: it froze what it touched, and left a gap in the readings"
    cooling = [key for key, until in last.memory.cooling_until.items() if until > last.snapshot.taken_at]
    if cooling and not any(each.moves for each in run.steps if each.at < last.snapshot.taken_at):
        yield f"live {count_of(len(cooling), 'guest')} cooled down after moves from before the begin"
    if len(live) > 1 or last.policy.interval_seconds < run.step_seconds:
        often = in_words(last.policy.interval_seconds)
        yield (
            f"live it was looked each {often}; the readings that are kept are means of {in_words(run.step_seconds)}, "
            "and a rehearsal looks as often as there are readings"
        )


def _settings(live: SavedCycle, policy: Policy) -> Iterator[str]:
    then, now = settings_of(live.policy), settings_of(policy.at(live.snapshot.taken_at))
    differ = [path for path in dict.fromkeys([*then, *now]) if then.get(path) != now.get(path)]
    for path in differ[:SETTINGS_SHOWN]:
        yield f"{path} was {then.get(path, ABSENT)} live and is {now.get(path, ABSENT)} here"
    if len(differ) > SETTINGS_SHOWN:
        yield f"and {count_of(len(differ) - SETTINGS_SHOWN, 'setting')} more"
