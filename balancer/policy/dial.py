"""Aggressiveness: one dial from 1 to 5 for a handful of values. What a file writes itself always wins over the dial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from balancer.domain.value import Value

Aggressiveness = Annotated[int, Field(strict=True, ge=1, le=5)]

MEANING = (
    "only what promises demand; no wish moves a guest",
    "large gains only",
    "the defaults",
    "small gains too",
    "any gain",
)

DIAL: Mapping[str, tuple[float | None, ...]] = {
    # At 1 wishes weigh nothing, so that a plan that mends a promise carries no other move along.
    "objectives.even_load.weight": (0.0, None, None, None, None),
    "objectives.least_power.weight": (0.0, None, None, None, None),
    "objectives.little_wait.weight": (0.0, None, None, None, None),
    # The price of a move holds most gains back at 2 and only ties at 5. At 1 no wish at all pays for one.
    "objectives.few_moves.weight": (100.0, 0.10, 0.02, 0.01, 0.001),
    # No placement gains a whole J of 1.0 by weights that sum to about 1.
    "stability.minimum_gain": (1.0, 0.005, 0.001, 0.0005, 0.0),
    "stability.cooldown_minutes": (60.0, 30.0, 15.0, 10.0, 5.0),
    "stability.host_cooldown_minutes": (120.0, 60.0, None, 20.0, 10.0),
    # How long a need has to last, and how soon a power cycle has to have paid for itself.
    "stability.hold_minutes": (30.0, 20.0, None, 5.0, 0.0),
    "stability.sleep_after_minutes": (120.0, 60.0, None, 30.0, 20.0),
    "stability.payback_minutes": (15.0, 30.0, None, 120.0, 240.0),
}
"""What each level sets, from 1 to 5; None leaves the default."""


def dialled(policy: Value, level: int | None) -> dict[str, Any]:
    """Return the sections of a policy that the dial changes, with its values where the file says nothing."""
    changed: dict[str, Any] = {}
    if level is None:
        return changed
    for path, values in DIAL.items():
        section, *rest = path.split(".")
        wanted = values[level - 1]
        if wanted is not None and not is_written(policy, path):
            changed[section] = _put(changed.get(section, getattr(policy, section)), rest, wanted)
    return changed


def sets(level: int | None, path: str) -> bool:
    """Whether the dial sets the value at a dotted path where the file does not."""
    return level is not None and DIAL.get(path, (None,) * 5)[level - 1] is not None


def is_written(value: Any, path: str) -> bool:
    """Whether a file has written the value at a dotted path itself."""
    for part in path.split("."):
        if part not in value.model_fields_set:
            return False
        value = getattr(value, part)
    return True


def _put(section: Value, path: list[str], wanted: float) -> Value:
    name, *rest = path
    inside = _put(getattr(section, name), rest, wanted) if rest else wanted
    put = section.model_copy(update={name: inside})
    if name not in section.model_fields_set:
        put.model_fields_set.discard(name)  # the dial has set it, the file has not
    return put
