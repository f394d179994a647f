"""Where each rule of a policy is written, for messages that name a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from balancer.policy.loading import Loaded
from balancer.policy.model import Policy


@dataclass(frozen=True)
class Places:
    """Knows file and line of each promise and section; says nothing where nobody knows."""

    place_of_path: Callable[[Sequence[str | int]], str] = field(default=lambda path: "")
    paths: dict[str, tuple[str | int, ...]] = field(default_factory=dict)

    def of(self, promise: str) -> str:
        """Return `file:line` of a promise, by the name that reports call it."""
        return self.place_of_path(self.paths[promise]) if promise in self.paths else ""

    def of_section(self, *path: str) -> str:
        """Return `file:line` of a section such as `objectives.least_power`, or of the nearest one above it."""
        return self.place_of_path(path)


NOWHERE = Places()


def places_of(loaded: Loaded) -> Places:
    """Return where the promises and sections of a policy were written, whichever of its files that was."""
    source = loaded.source
    if source is None:
        return NOWHERE

    def place_of(path: Sequence[str | int]) -> str:
        found = source.inside(path[0]) if path else None
        if found is None:
            return ""  # in force by default, and written nowhere
        for part in path[1:]:
            found = found.inside(part) or found
        return found.place

    return Places(place_of, _paths(loaded.policy))


def _paths(policy: Policy) -> dict[str, tuple[str | int, ...]]:
    found: dict[str, tuple[str | int, ...]] = {policy.headroom.promise: ("headroom",)}
    for place, promise in enumerate(policy.constraints):
        found.setdefault(promise.promise, ("constraints", place))
    return found
