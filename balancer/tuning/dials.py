"""The dials that a search turns, and the policy file that a setting of them is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from balancer.policy import Policy
from balancer.policy.showing import scalar


@dataclass(frozen=True)
class Dial:
    """A value of a policy that is searched: where it stands, between what, and in how fine steps."""

    name: str
    path: str
    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False
    usual: float = 0.0  # where a search begins if the policy does not say

    def rounded(self, value: float) -> float:
        """Return a value as a person would write it: whole, or with two digits that count."""
        if self.is_whole:
            return int(value)
        return float(f"{value:.2g}")

    def in_range(self, value: float) -> float:
        return min(self.high, max(self.low, value))


DIALS: Final = (
    Dial("risk", "demand.risk", 0.0005, 0.2, is_log=True, usual=0.01),
    Dial("aggressiveness", "aggressiveness", 2, 5, is_whole=True, usual=3),
    Dial("hold", "stability.hold_minutes", 0, 30, is_whole=True),
    Dial("sleep", "stability.sleep_after_minutes", 0, 120, is_whole=True),
    Dial("reserve", "headroom.cpu", 0.6, 0.95),
    Dial("window", "demand.window_minutes", 10, 240, is_log=True, is_whole=True),
)
"""What is promised by name, and what hosts and guests may do at all, is no dial: that is for a person to say."""


def standing(policy: Policy, dials: Sequence[Dial]) -> dict[str, float]:
    """Return where the dials of a policy stand, brought into their ranges: where a search begins."""
    return {dial.path: dial.rounded(dial.in_range(_value(policy, dial))) for dial in dials}


def _value(policy: Policy, dial: Dial) -> float:
    value: object = policy
    for part in dial.path.split("."):
        value = getattr(value, part)
    return float(value) if isinstance(value, int | float) else dial.usual


def policy_text(
    name: str, extends: str | None, dials: Mapping[str, float], cluster: str | None, comment: Iterable[str] = ()
) -> str:
    """Return the policy file that a setting of the dials is: the given policy, and over it the dials alone.

    cluster: where the given policy says something of its own for it, the dials go there too, or that would win
    """
    lines = [*(f"# {line}".rstrip() for line in comment), "schema: balancer.policy/1"]
    lines += [f"extends: {scalar(extends)}"] if extends is not None else []
    lines += [f"name: {scalar(name)}"]
    if not dials:
        return "\n".join(lines) + "\n"
    if cluster is None:
        return "\n".join([*lines, *_written(dials, "")]) + "\n"
    return "\n".join([*lines, "clusters:", f"  {scalar(cluster)}:", *_written(dials, "    ")]) + "\n"


def _written(dials: Mapping[str, float], indent: str) -> list[str]:
    """Write dials section by section."""
    sections: dict[str, list[str]] = {}
    for path, value in dials.items():
        section, _, key = path.partition(".")
        sections.setdefault(section, []).append(f"{key}: {value:g}" if key else f"{value:g}")
    return [
        f"{indent}{section}: {parts[0]}" if ":" not in parts[0] else f"{indent}{section}: {{{', '.join(parts)}}}"
        for section, parts in sections.items()
    ]


def extended(given: Path | None, folder: Path) -> str | None:
    """Say in a file of a folder which policy it is laid over: a ready one by its name, else by its path from there."""
    if given is None:
        return None
    return os.path.relpath(given.resolve(), folder.resolve()) if given.exists() else str(given)
