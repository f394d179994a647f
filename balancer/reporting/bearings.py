"""What in a policy bears on which figure of a rehearsal, and which way: the cause of a figure that is worse.

A setting is found by the begin of its path; what bears most directly on a figure comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

ABSENT = "absent"


class Side(Enum):
    """On which side of another policy's a setting makes the figure worse."""

    MORE = auto()
    LESS = auto()
    EITHER = auto()


@dataclass(frozen=True)
class Bears:
    """How a setting bears on a figure, and which way."""

    why: str
    worse: Side = Side.EITHER

    def can_be_the_cause(self, under_the_worse: str, under_the_better: str) -> bool:
        """Whether the figure can be worse because of it: a dial that was turned the other way has not done it."""
        worse, better = _amount(under_the_worse, under_the_better), _amount(under_the_better, under_the_worse)
        if self.worse is Side.EITHER or worse is None or better is None:
            return True
        return worse > better if self.worse is Side.MORE else worse < better


def _amount(value: str, other: str) -> float | None:
    """Return how much a setting is; of a promise that only one policy makes, whether it does."""
    if ABSENT in (value, other):
        return float(value != ABSENT)
    with suppress(ValueError):
        return float(value)
    return None


ROOM: Final[Mapping[str, Bears]] = {
    "headroom.cpu": Bears("how full a host may be expected to get: the rest is left for a rise", Side.MORE),
    "headroom.fill_cpu": Bears("up to where guests come to a host", Side.MORE),
    "constraints.reserve": Bears("room for the guests of a lost host, which a rise finds too", Side.LESS),
    "constraints.keep_on": Bears("hosts that stay on whatever the load is", Side.LESS),
    "demand.risk": Bears("how often the guests of a host may need more than was expected", Side.MORE),
    "demand.quantile": Bears("how much of what guests needed is expected again", Side.LESS),
    "demand.window_minutes": Bears("how far back needs are remembered", Side.LESS),
    "demand.horizon_minutes": Bears("how far ahead a placement has to hold", Side.LESS),
    "stability.sleep_after_minutes": Bears("how long hosts are dispensable before they sleep", Side.LESS),
    "power.cycles_per_day": Bears("how often a host may be put to sleep", Side.MORE),
    "objectives.least_power.weight": Bears("how much fewer hosts are worth", Side.MORE),
    "aggressiveness": Bears("how small a gain is acted on", Side.MORE),
}
MOVING: Final[Mapping[str, Bears]] = {
    "objectives.few_moves.weight": Bears("the price of a move: at 0 any gain pays for one", Side.LESS),
    "stability.minimum_gain": Bears("what a plan has to gain", Side.LESS),
    "stability.minimum_gain_per_move": Bears("what a move has to gain", Side.LESS),
    "stability.cooldown_minutes": Bears("how long a guest stays put after a move", Side.LESS),
    "stability.no_return_minutes": Bears("how long a guest does not go back", Side.LESS),
    "stability.hold_minutes": Bears("how long a want has to last", Side.LESS),
    "stability.sleep_after_minutes": Bears("how long hosts are dispensable before they sleep", Side.LESS),
    "stability.payback_minutes": Bears("how soon a power cycle has to have paid", Side.MORE),
    "objectives.even_load.weight": Bears("how much evenness is worth", Side.MORE),
    "objectives.least_power.weight": Bears("how much fewer hosts are worth", Side.MORE),
    "aggressiveness": Bears("how small a gain is acted on", Side.MORE),
    "budget.": Bears("what a cycle or an hour may move", Side.MORE),
    "headroom.cpu": Bears("how soon a host counts as too full"),
    "demand.": Bears("what guests are expected to need"),
    "constraints.reserve": Bears("how many hosts have to be on, between which guests move"),
    "constraints.keep_on": Bears("how many hosts have to be on, between which guests move"),
}
MEMORY: Final[Mapping[str, Bears]] = {
    "headroom.memory": Bears("how full of memory a host may get", Side.MORE),
    "constraints.overcommit": Bears("how much more than there is may be promised to guests"),
    "constraints.reserve": Bears("room for the guests of a lost host", Side.LESS),
    "budget.": Bears("how many guests are on their way at once: they count at both ends", Side.MORE),
}
PROMISING: Final[Mapping[str, Bears]] = {
    "constraints.": Bears("one who promises more can break more"),
    "headroom.": Bears("how full a host may get before the promise counts as broken"),
    "demand.": Bears("what guests are expected to need"),
    "stability.sleep_after_minutes": Bears("how long hosts are dispensable before they sleep", Side.LESS),
    "objectives.least_power.weight": Bears("how much fewer hosts are worth", Side.MORE),
}
SAVING: Final[Mapping[str, Bears]] = {
    "objectives.least_power.": Bears("how much fewer hosts are worth", Side.LESS),
    "objectives.even_load.weight": Bears("how much evenness is worth, which wants hosts on", Side.MORE),
    "headroom.": Bears("how full a host may get", Side.LESS),
    "constraints.reserve": Bears("room for the guests of a lost host, kept awake", Side.MORE),
    "constraints.keep_on": Bears("hosts that stay on whatever the load is", Side.MORE),
    "demand.": Bears("what guests are expected to need"),
    "stability.": Bears("how long is waited before hosts sleep", Side.MORE),
    "stability.payback_minutes": Bears("how soon a power cycle has to have paid", Side.LESS),
    "power.": Bears("when hosts may sleep"),
    "freeze": Bears("what is not begun"),
    "aggressiveness": Bears("how small a gain is acted on", Side.LESS),
}
