"""The health file: how the service fares, for whoever asks from another process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

HEALTH_FILE = "health.json"
MISSED_BY_AT_MOST = 3  # intervals without a cycle until the process counts as unhealthy


@dataclass(frozen=True)
class Condition:
    """How the service fares after a cycle.

    sentence: what the cycle found, or why it failed
    stale_after_seconds: of the wall's clock; the file says nothing any more when it is older
    """

    well: bool
    role: str
    sentence: str
    stale_after_seconds: float
    policy: str
    policy_refused: tuple[str, ...]


def write_health(state: Path, now: datetime, condition: Condition) -> None:
    """Write how the service fares, whole or not at all."""
    facts = {"at": now.isoformat(), **asdict(condition)}
    new = state / f".{HEALTH_FILE}.new"
    new.write_text(json.dumps(facts))
    new.replace(state / HEALTH_FILE)


def refused_policy(state: Path) -> str:
    """Say that the running service keeps an old policy because the file is bad now; empty where it does not."""
    try:
        faults = json.loads((state / HEALTH_FILE).read_text()).get("policy_refused", [])
    except (OSError, ValueError):
        return ""
    return f"the policy file is refused and the old policy stays: {'; '.join(faults)}" if faults else ""


def role_in_words(state: Path) -> str:
    """Say whether the running service leads or stands by, and for whom; empty where it only looks."""
    try:
        return str(json.loads((state / HEALTH_FILE).read_text()).get("role", ""))
    except (OSError, ValueError):
        return ""


def why_unhealthy(state: Path, now: datetime) -> str:
    """Say what is wrong with the process that writes its health here; empty when it is well."""
    try:
        facts = json.loads((state / HEALTH_FILE).read_text())
        age = (now - datetime.fromisoformat(facts["at"])).total_seconds()
        if age > facts["stale_after_seconds"]:
            return f"no cycle for {age:.0f} s"
        return "" if facts["well"] else str(facts["sentence"])
    except FileNotFoundError:
        return f"the service does not run, or not with BALANCER_STATE={state}: there is no {HEALTH_FILE} in it"
    except (OSError, ValueError, KeyError) as cause:
        return f"the service does not run, or not with BALANCER_STATE={state}: {cause}"
