"""One question to one BMC by Redfish, asked in a process of its own: see docs/decisions on IPMI in a child.

Run by file name with the question as JSON on standard input, so that the password is in no argument list and no
environment. Imports nothing of ours: it has to start fast. The answer is JSON on standard output.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
from typing import Any
from uuid import UUID

# What a host is asked for; a BMC lists which of these it knows (DSP0266, Resource.ResetType).
RESETS = {"on": "On", "off": "ForceOff", "shutdown": "GracefulShutdown"}
ON_ITS_WAY = {"on": {"On", "PoweringOn"}, "off": {"Off"}, "shutdown": {"Off", "PoweringOff"}}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Ask the BMC and return what it said, or why it did not say anything."""
    try:
        return {"said": _ask(question)}
    except Exception as failed:
        # Whatever the library throws has to become words on the other side; a traceback here would be read by nobody.
        status = getattr(failed, "status_code", None)
        return {"failed": type(failed).__name__, "text": f"{status or ''} {_text_of(failed)}".strip()}


def _text_of(failed: Exception) -> str:
    detail = getattr(failed, "detail", None)
    return str(detail) if detail else str(failed)


def _ask(question: dict[str, Any]) -> str | None:
    import sushy
    from sushy import auth

    # Basic, and no session: BMCs have a handful of session slots, and one that is not closed is missing for an hour.
    login = auth.BasicAuth(username=question["user"], password=question["password"])
    # One try: the library would sit out its own time on a BMC that is silent, and ours is the one that counts.
    root = sushy.Sushy(
        question["url"],
        auth=login,
        verify=question["verify"],
        server_side_retries=1,
        server_side_retries_delay=1,
        read_timeout=question["deadline_seconds"],
    )
    return _carry_out(_system_of(root, question["system"]), question["action"])


def _system_of(root: Any, wanted: str | None) -> Any:
    systems = root.get_system_collection().get_members()
    chosen = [system for system in systems if wanted in {None, system.identity, system.uuid}]
    if len(chosen) == 1:
        return chosen[0]
    ids = ", ".join(system.identity for system in systems) or "none"
    raise LookupError(f"{ids}")


def _carry_out(system: Any, action: str) -> str | None:
    if action == "state":
        return _state_of(system)
    if action == "guid":
        return _uuid_of(system)
    if action == "watts":
        return _watts_of(system)
    # Some BMCs refuse to switch off, or shut down, what is off already: to us it is no error.
    if _said_of(system) not in ON_ITS_WAY[action]:
        _reset(system, RESETS[action])
    return None


def _state_of(system: Any) -> str:
    """On its way up or down it has power; what is neither (or nothing at all) is not known."""
    return {"On": "on", "PoweringOn": "on", "PoweringOff": "on", "Off": "off"}.get(_said_of(system), "unknown")


def _said_of(system: Any) -> str:
    return str(getattr(system.power_state, "value", ""))


def _reset(system: Any, wanted: str) -> None:
    allowed = {value.value: value for value in system.get_allowed_reset_system_values()}
    if wanted not in allowed:
        raise NotImplementedError(f"it knows {', '.join(sorted(allowed))}, and not {wanted}")
    system.reset_system(allowed[wanted])


def _uuid_of(system: Any) -> str | None:
    try:
        known = UUID(system.uuid or "")
    except ValueError:
        return None
    return str(known) if known.int else None


def _watts_of(system: Any) -> str | None:
    """Add up what the host's chassis draw (Power, PowerControl.PowerConsumedWatts)."""
    readings = [reading for chassis in system.chassis for reading in _readings_of(chassis)]
    return str(sum(readings)) if readings else None


def _readings_of(chassis: Any) -> list[float]:
    if not chassis.json.get("Power"):
        return []
    controls = chassis.power.json.get("PowerControl") or []
    return [each["PowerConsumedWatts"] for each in controls if each.get("PowerConsumedWatts") is not None]


def main() -> None:
    """Read the question, answer it, and be gone by the deadline even if whoever asked has been frozen."""
    question = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # An alarm that is set already is that of whoever asks, who may have less time.
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, min(left or question["deadline_seconds"], question["deadline_seconds"]))
    logging.disable(logging.CRITICAL)
    # Standard output carries the answer and nothing else.
    with contextlib.redirect_stdout(sys.stderr):
        what_it_said = answer(question)
    json.dump(what_it_said, sys.stdout)


if __name__ == "__main__":
    main()
