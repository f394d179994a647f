"""One question to one BMC, asked in a process of its own: see docs/decisions on IPMI in a child.

Run by file name with the question as JSON on standard input, so that the password is in no argument list and no
environment. Imports nothing of ours: it has to start fast. The answer is JSON on standard output.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from typing import Any
from uuid import UUID

GET_SYSTEM_GUID = {"netfn": 0x06, "command": 0x37}
PRIVILEGES = {"user": 2, "operator": 3, "administrator": 4}
HASH_BITS = {3: 1, 17: 256}  # of the cipher suite's integrity, as pyghmi counts: SHA-1, SHA-256
MEASURES = 0x40
HAS_NO_GUID = frozenset({0xC1, 0xC2, 0xCB, 0xD5, 0xD6})  # "unknown command" and its relatives


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Ask the BMC and return what it said, or why it did not say anything."""
    try:
        return {"said": _ask(question)}
    except Exception as failed:
        # Whatever pyghmi throws has to become words on the other side; a traceback here would be read by nobody.
        return {"failed": type(failed).__name__, "text": _text_of(failed)}


def _text_of(failed: Exception) -> str:
    return "" if failed.args in {(), (None,)} else str(failed)


def _ask(question: dict[str, Any]) -> str | None:
    from pyghmi.ipmi import command  # nosec B415  # IPMI is what this file is for

    if question.get("cipher"):
        _speak_only(question["cipher"])
    bmc = command.Command(
        bmc=question["address"],
        port=question["port"],
        userid=question["user"],
        password=question["password"],
        keepalive=False,
        privlevel=PRIVILEGES.get(question.get("privilege") or ""),
    )
    try:
        return _carry_out(bmc, question["action"])
    finally:
        # BMCs have a handful of session slots; one left open is missing until the BMC gives up on it.
        bmc.ipmi_session.logout()


def _speak_only(suite: int) -> None:
    """Hold pyghmi to one cipher suite: by itself it begins with 17, and takes 3 where the BMC refuses that."""
    from pyghmi.exceptions import IpmiException  # nosec B415  # IPMI is what this file is for
    from pyghmi.ipmi.private.session import Session  # nosec B415  # IPMI is what this file is for

    open_session = Session._open_rmcpplus_request
    tried: set[int] = set()

    def open_with_this_one(session: Any) -> None:
        if suite == 17 and id(session) in tried and session.attemptedhash != HASH_BITS[suite]:
            raise IpmiException(f"cipher suite {suite} is refused")
        tried.add(id(session))
        session.attemptedhash = HASH_BITS[suite]
        open_session(session)

    Session._open_rmcpplus_request = open_with_this_one


def _carry_out(bmc: Any, action: str) -> str | None:
    if action == "state":
        return str(bmc.get_power()["powerstate"])
    if action == "guid":
        return _guid_of(bmc)
    if action == "watts":
        return _watts_of(bmc)
    # Some BMCs refuse to switch off, or shut down, what is off already: to us it is no error.
    if action == "on" or bmc.get_power()["powerstate"] != "off":
        bmc.set_power(action, wait=False)
    return None


def _guid_of(bmc: Any) -> str | None:
    from pyghmi.exceptions import IpmiException  # nosec B415  # IPMI is what this file is for

    reply = bmc.raw_command(**GET_SYSTEM_GUID)
    if "error" in reply and reply.get("code") not in HAS_NO_GUID:
        raise IpmiException(reply["error"])
    raw = bytes(reply.get("data") or b"")
    return str(UUID(bytes=raw)) if len(raw) == 16 and any(raw) else None


def _watts_of(bmc: Any) -> str | None:
    """Ask by DCMI (1.5, 6.6.1: Get Power Reading); byte 18 says whether it is being measured."""
    reply = bmc.raw_command(netfn=0x2C, command=0x02, data=(0xDC, 0x01, 0x00, 0x00))
    raw = bytes(reply.get("data") or b"")
    if "error" in reply or len(raw) < 18 or not raw[17] & MEASURES:
        return None
    return str(int.from_bytes(raw[1:3], "little"))


def main() -> None:
    """Read the question, answer it, and be gone by the deadline even if whoever asked has been frozen."""
    question = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # An alarm that is set already is that of whoever asks, who may have less time.
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, min(left or question["deadline_seconds"], question["deadline_seconds"]))
    # pyghmi prints now and then; standard output carries the answer and nothing else.
    with contextlib.redirect_stdout(sys.stderr):
        what_it_said = answer(question)
    json.dump(what_it_said, sys.stdout)


if __name__ == "__main__":
    main()
