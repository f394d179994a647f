"""What the author of a good policy should know about it all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from balancer.policy.dial import DIAL, is_written, sets
from balancer.policy.loading import Loaded
from balancer.policy.model import Policy

DAYS_AHEAD = 366  # each window that comes back within a year is met


def notes(loaded: Loaded, since: datetime) -> list[str]:
    """Say what is likely not meant: entries that overlap, windows without use, a dial that is overruled, twin names."""
    policy = loaded.policy
    found = [*_overlaps(policy, since), *_unused(policy), *_blunted(policy), *_twins(policy), *_priceless(policy)]
    return [*loaded.remarks, *found]


def _overlaps(policy: Policy, since: datetime) -> Iterator[str]:
    for (first, one), (second, other) in combinations(enumerate(policy.schedule, 1), 2):
        mine, theirs = _leaves(one.set.written()), _leaves(other.set.written())
        both = [path for path in mine if path in theirs and mine[path] != theirs[path]]
        moment = _first_common(policy, one.during, other.during, since) if both else None
        if moment is not None:
            yield (
                f"schedule[{first}] ({one.during}) and schedule[{second}] ({other.during}) set "
                f"{', '.join(sorted(both))}, and overlap, next at {moment:%Y-%m-%d %H:%M %Z}: the later entry wins"
            )


def _leaves(data: Any, above: str = "") -> dict[str, Any]:
    if not isinstance(data, dict):
        return {above: data}
    inside = [_leaves(value, f"{above}.{key}".lstrip(".")) for key, value in data.items()]
    return {path: value for found in inside for path, value in found.items()}


def _first_common(policy: Policy, one: str, other: str, since: datetime) -> datetime | None:
    """Return when two windows are first open together: where they overlap, one of them opens inside the other."""
    zone = ZoneInfo(policy.time_zone)
    opening = (
        moment
        for opens, inside in ((one, other), (other, one))
        for moment in policy.windows[opens].starts(since, DAYS_AHEAD, zone, policy.holidays)
        if policy.is_open(inside, moment)
    )
    return min(opening, default=None)


def _unused(policy: Policy) -> Iterator[str]:
    used = {entry.during for entry in policy.schedule}
    used |= {promise.when.window for promise in policy.constraints if promise.when is not None}
    powers = [policy.power, *(entry.set.power for entry in policy.schedule if entry.set.power)]
    used |= {power.test.during for power in powers if power.test is not None}
    for name in policy.windows.keys() - used:
        yield f"the window {name} is used by nothing"


def _blunted(policy: Policy) -> Iterator[str]:
    if policy.aggressiveness is None:
        return
    level = policy.aggressiveness
    overruled = [path for path in DIAL if sets(level, path) and is_written(policy, path)]
    if overruled:
        yield f"aggressiveness {level} leaves alone what is written: {', '.join(overruled)}"


def _twins(policy: Policy) -> Iterator[str]:
    for name, times in Counter(promise.name for promise in policy.constraints if promise.name).items():
        if times > 1:
            yield f"{times} constraints bear the name {name}: reports cannot tell them apart"


def _priceless(policy: Policy) -> Iterator[str]:
    if policy.prices_by_time and policy.energy.cost_per_kwh == 0:
        yield (
            "the schedule says what a kWh costs in a window, and `energy` does not say what it usually costs: "
            "prices go into the accounts alone"
        )
