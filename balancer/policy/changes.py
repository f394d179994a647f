"""Say in one sentence how one policy differs from another."""

from __future__ import annotations

from collections import Counter
from typing import Any

from balancer.constraints import Constraint
from balancer.policy.model import Policy

MOST_SAID = 5


def said_change(old: Policy, new: Policy) -> str:
    """Say what changed, e.g. `mode recommend -> act; headroom.cpu 0.9 -> 0.8`; empty where nothing did."""
    changes = [*_values(old, new), *_constraints(old, new)]
    more = len(changes) - MOST_SAID
    return "; ".join([*changes[:MOST_SAID], *([f"and {more} more"] if more > 0 else [])])


def settings_of(policy: Policy) -> dict[str, str]:
    """Return all that a policy says, a line a value: `headroom.cpu: 0.85`; promises by their kind and name."""
    said = {path: _short(value) for path, value in _leaves(policy.model_dump(mode="json", by_alias=True)).items()}
    unsaid = {"schema", "name", "mode", "seed", "schedule", *(path for path in said if path.startswith("windows."))}
    promises = {f"constraints.{each.kind}.{each.promise}": each.described() for each in policy.constraints}
    schedule = {
        f"{path} during {entry.during}": _short(value)
        for entry in policy.schedule
        for path, value in _leaves(entry.set.model_dump(mode="json", by_alias=True, exclude_unset=True)).items()
        if path != "mode"
    }
    return {path: value for path, value in said.items() if path not in unsaid} | schedule | promises


def _values(old: Policy, new: Policy) -> list[str]:
    before, after = (_leaves(policy.model_dump(mode="json", by_alias=True)) for policy in (old, new))
    return [
        f"{path} {_short(before.get(path))} -> {_short(after.get(path))}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path)
    ]


def _leaves(data: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        path = f"{above}{key}"
        if path == "constraints":
            continue
        found |= _leaves(value, f"{path}.") if isinstance(value, dict) and value else {path: value}
    return found


def _constraints(old: Policy, new: Policy) -> list[str]:
    before, after = Counter(map(_said, old.constraints)), Counter(map(_said, new.constraints))
    gone, come = before - after, after - before
    left, joined = ({text.partition("\n")[0] for text in counted} for counted in (gone, come))
    return [
        *(f"constraint {name} changed" for name in sorted(left & joined)),
        *(f"constraint {name} added" for name in sorted(joined - left)),
        *(f"constraint {name} removed" for name in sorted(left - joined)),
    ]


def _said(constraint: Constraint) -> str:
    """Say a constraint: the first line how reports call it, the second everything about it."""
    return f"{constraint.promise}\n{constraint.model_dump_json(by_alias=True)}"


def _short(value: Any) -> str:
    text = "nothing" if value in (None, [], {}) else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
