"""Print the policy that is in force as YAML, each value with the place that it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from balancer.domain.value import Value
from balancer.policy.dial import sets
from balancer.policy.loading import Loaded
from balancer.policy.model import Policy, Sections

COMMENT_COLUMN = 44
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "none"}
_BY_PRICE = {("objectives", "least_power", "weight"), ("stability", "payback_minutes")}
_OF_THE_FILE = ("time_zone", "holidays", "windows")


def effective_yaml(loaded: Loaded, moment: datetime) -> str:
    """Return the policy in force at a moment: a file that can be used as it stands, with a comment a value."""
    policy, page = loaded.policy.at(moment), _Page(loaded, moment)
    is_open = loaded.policy.windows_open(moment)
    head = [f"# in force at {moment:%Y-%m-%d %H:%M %Z}; windows open: {', '.join(is_open) or 'none'}"]
    lines = [f"schema: {policy.schema_}", *page.lines("name", policy.name, ("name",))]
    for name in Sections.model_fields:
        if getattr(policy, name) is not None:
            lines += page.lines(name, _plain(getattr(policy, name)), (name,))
    for name in _OF_THE_FILE:
        if name in policy.model_fields_set:
            lines += page.lines(name, _plain(getattr(policy, name)), (name,))
    return "\n".join([*head, *lines, *page.constraints(policy)]) + "\n"


class _Page:
    def __init__(self, loaded: Loaded, moment: datetime) -> None:
        self._loaded, self._whole = loaded, loaded.policy
        self._holding = [
            (place, entry.during)
            for place, entry in enumerate(self._whole.schedule)
            if self._whole.is_open(entry.during, moment)
        ]
        self._now = self._whole.at(moment)

    def lines(self, key: str, value: Any, path: tuple[str, ...], depth: int = 0) -> Iterator[str]:
        """Yield a value with its key: blocks over several lines, all else on one, with where it came from."""
        indent = "  " * depth
        if isinstance(value, dict) and value:
            parts = [line for n, part in value.items() for line in self.lines(scalar(n), part, (*path, n), depth + 1)]
            # A section of which nothing is said is left out: an empty one would be read as a fault.
            yield from [f"{indent}{key}:", *parts] if parts else []
            return
        origin = self.origin(path)
        if origin != "default" or not (value is None or key == "kind"):
            yield _commented(f"{indent}{key}: {flow(value)}", origin + self._by_price(path))

    def _by_price(self, path: tuple[str, ...]) -> str:
        """Say of what follows the price of a kWh that it is not as it was written."""
        follows = path in _BY_PRICE and self._whole.prices_by_time and self._whole.energy.cost_per_kwh > 0
        return ", by the price of a kWh" if follows and self._now.objectives.least_power.by_price else ""

    def origin(self, path: tuple[str, ...]) -> str:
        """Say where a value came from: a line of a file, an entry of the schedule, the dial, or nowhere."""
        source = self._loaded.source
        if source is None:
            return "default"
        for place, window in reversed(self._holding):
            found = source.find(("schedule", place, "set", *path))
            if found is not None:
                return f"{found.place} during {window}"
        found = source.find(path)
        if found is not None:
            return found.place
        if sets(self._now.aggressiveness, ".".join(path)):
            return f"aggressiveness {self._now.aggressiveness}, {self.origin(('aggressiveness',))}"
        return "default"

    def constraints(self, policy: Policy) -> Iterator[str]:
        """Yield the promises, those that do not count now as comments."""
        if not self._whole.constraints:
            return
        yield "constraints:" if policy.constraints else "constraints: []"
        counting = {id(promise) for promise in policy.constraints}
        for place, promise in enumerate(self._whole.constraints):
            source = self._loaded.source
            found = source.find(("constraints", place)) if source is not None else None
            said = promise.model_dump(mode="json", by_alias=True, exclude_unset=True)
            written = {key: said[key] for key in dict.fromkeys(["kind", "name", *said]) if key in said}
            origin = found.place if found is not None else "default"
            if id(promise) in counting:
                yield _commented(f"  - {flow(written)}", origin)
            else:
                yield _commented(f"  # not now: {flow(written)}", origin)


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, dict):
        return {key: part.model_dump(mode="json", by_alias=True, exclude_none=True) for key, part in value.items()}
    return value


def _commented(line: str, comment: str) -> str:
    return f"{line:<{COMMENT_COLUMN}}  # {comment}"


def flow(value: Any) -> str:
    """Write a value on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Write a text or number so that it reads back as the same, in old and new YAML."""
    text = str(value)
    if isinstance(value, str) and _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return json.dumps(value, ensure_ascii=False)
