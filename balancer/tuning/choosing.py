"""Which point of a front is taken. Only what was searched on counts: what is held out chooses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from balancer.domain.tuned import Choice, Tried
from balancer.errors import Fault, InputError

SHORT_ENOUGH: Final = 0.005  # a share of host steps that is nobody's trouble, where the given policy had none at all


@dataclass(frozen=True)
class Wanted:
    """What a point is chosen for, within limits where they are set."""

    choice: Choice
    short_at_most: float | None = None
    moves_at_most: float | None = None

    def __str__(self) -> str:
        limits = [
            f"short at most {self.short_at_most:.3%}" if self.short_at_most is not None else "",
            f"at most {self.moves_at_most:g} moves a guest a day" if self.moves_at_most is not None else "",
        ]
        return ", ".join(filter(None, (self.choice.value, *limits)))


def choose(tried: Sequence[Tried], wanted: Wanted) -> Tried:
    """Return the point that is wanted. The policy as given is one of them, so none is worse at what is asked for.

    energy: the least, with hosts no more often short than under the given policy (or 0.5 %), or than the limit
    calm: the fewest moves, with no more energy and no more often short than under the given policy
    balanced: the nearest to the best of each, in parts of what lies between the best and the worst of the front
    """
    within = _within(tried, wanted)
    given = tried[0].figures
    if wanted.choice is Choice.ENERGY:
        enough = max(given.short, SHORT_ENOUGH) if wanted.short_at_most is None else wanted.short_at_most
        return min(_those(within, lambda one: one.figures.short <= enough), key=lambda one: one.figures.goals)
    if wanted.choice is Choice.CALM:
        no_worse = _those(within, lambda one: one.figures.kwh <= given.kwh and one.figures.short <= given.short)
        return min(no_worse, key=lambda one: (one.figures.moves_a_guest_a_day, one.figures.short, one.figures.kwh))
    return min(within, key=lambda one: (distance(one, tried), one.number))


def distance(one: Tried, tried: Sequence[Tried]) -> float:
    """Return how far a point is from the best of each goal, in parts of how far the worst of the front is."""
    front = [each for each in tried if not any(each.is_beaten_by(other) for other in tried)]
    parts = 0.0
    for goal, value in enumerate(one.figures.goals):
        best, worst = (take(each.figures.goals[goal] for each in front) for take in (min, max))
        parts += ((value - best) / (worst - best)) ** 2 if worst > best else float(value > best)
    return float(parts**0.5)


def _within(tried: Sequence[Tried], wanted: Wanted) -> list[Tried]:
    short = float("inf") if wanted.short_at_most is None else wanted.short_at_most
    moves = float("inf") if wanted.moves_at_most is None else wanted.moves_at_most
    found = [one for one in tried if one.figures.short <= short and one.figures.moves_a_guest_a_day <= moves]
    if not found:
        nearest = min(tried, key=lambda one: (max(0.0, one.figures.short - short), one.figures.moves_a_guest_a_day))
        said = f"{nearest.figures.short:.3%} short at {nearest.figures.moves_a_guest_a_day:.2f} moves a guest a day"
        raise InputError(
            [Fault(str(wanted), "was reached by no trial", f"the nearest is {said}; or try more --trials")]
        )
    return found


def _those(points: list[Tried], holds: Callable[[Tried], bool]) -> list[Tried]:
    """Return the points of which something holds; all of them where it holds of none."""
    return [one for one in points if holds(one)] or points
