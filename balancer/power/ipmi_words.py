"""What pyghmi and BMCs say when something is wrong, and what an operator should read instead."""

from __future__ import annotations

from balancer.power.words import Meanings, Words, meaning_of

UNREACHABLE = Words("no answer from {address}", "is the BMC's network up, and is IPMI over LAN switched on in it?")
OUT_OF_TIME = Words("no answer within {deadline:g} s from {address}", UNREACHABLE.way_out)
NONSENSE = Words("the BMC at {address} gave an answer that makes no sense ({text})", "restart the BMC if this goes on")

# The narrower ones stand first.
_MEANINGS: Meanings = (
    (
        ("locked", "too many"),
        Words("the BMC has locked user {user} out ({text})", "wait until it unlocks, or unlock it in the BMC"),
    ),
    (
        ("incorrect password", "integrity check value", "rakp4"),
        Words("wrong password for user {user}", "correct the secret; too many tries lock the user out"),
    ),
    (
        ("unauthorized name", "user name", "username", "null user", "unauthorized guid"),
        Words("the BMC does not know user {user}, or has it disabled", "correct `user:` in the site file"),
    ),
    (
        (
            "insufficient resources",
            "login slots",
            "slot available",
            "busy",
            "initialization",
            "in update mode",
            "firmware update mode",
            "out of storage",
            "timeout while processing",
        ),
        Words("the BMC is busy ({text})", "tried again next time"),
    ),
    (
        ("privilege", "role", "firewall"),
        Words("user {user} may not do this ({text})", "give it the operator or administrator level in the BMC"),
    ),
    (
        ("cipher", "algorithm", "md5 required", "integrity payload"),
        Words(
            "the BMC offers no encryption that we speak ({text})",
            "enable cipher suite 3 or 17 in the BMC, and see `cipher:`",
        ),
    ),
    (
        ("present state", "invalid command", "not supported", "unsupported", "subfunction disabled"),
        Words("not supported by the BMC ({text})"),
    ),
    (
        (
            "timeout",
            "no longer connected",
            "failed to initialize",
            "disconnected",
            "invalid session",
            "inactive session",
        ),
        UNREACHABLE,
    ),
    (
        ("not known", "name resolution", "no address associated", "nodename"),
        Words("the name {address} cannot be looked up", "correct `address:` in the site file, or the name service"),
    ),
    (
        ("unreachable", "no route"),
        Words("no way to {address} ({text})", "check the route to the BMC's network"),
    ),
)


def words_for(kind: str, text: str) -> Words:
    """Find the words for an exception of pyghmi's: its class name and its text, which is often empty."""
    if words := meaning_of(text, _MEANINGS):
        return words
    if kind == "UnsupportedFunctionality":
        return Words("not supported by the BMC")
    # pyghmi says nothing at all, or "None", where nobody answered its first packet.
    if kind == "IpmiException" and text.casefold() in {"", "none"}:
        return UNREACHABLE
    return Words("{text}") if kind == "IpmiException" else NONSENSE
