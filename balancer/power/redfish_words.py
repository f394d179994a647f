"""What sushy and BMCs say when something is wrong, and what an operator should read instead."""

from __future__ import annotations

from balancer.power.words import Meanings, Words, meaning_of

UNREACHABLE = Words("no answer from {address}", "is the BMC's network up, and is its web server switched on?")
OUT_OF_TIME = Words("no answer within {deadline:g} s from {address}", UNREACHABLE.way_out)
WRONG_LOGIN = Words(
    "wrong user or password for {user}", "correct `user:` or the secret; too many tries lock the user out"
)

# The narrower ones stand first.
_MEANINGS: Meanings = (
    (
        ("locked", "lockout", "too many"),
        Words("the BMC has locked user {user} out ({text})", "wait until it unlocks, or unlock it in the BMC"),
    ),
    (
        ("certificate", "ssl", "tlsv1"),
        Words(
            "the BMC's certificate cannot be trusted ({text})",
            "name its authority by `ca_file:`, or say `verify: false` on a network that nobody else is on",
        ),
    ),
    (
        ("name or service not known", "name resolution", "failed to resolve", "nodename"),
        Words("the name {address} cannot be looked up", "correct `address:` in the site file, or the name service"),
    ),
    (("no route", "network is unreachable"), Words("no way to {address}", "check the route to the BMC's network")),
    (("refused",), Words("no answer from {address}: nothing listens there", UNREACHABLE.way_out)),
)

NOT_ALLOWED = Words("user {user} may not do this ({text})", "give it the operator role in the BMC")
BUSY = Words("the BMC is busy ({text})", "tried again next time")
NOT_SUPPORTED = Words("not supported by the BMC ({text})")
NONSENSE = Words("the BMC at {address} gave an answer that makes no sense ({text})", "restart the BMC if this goes on")
_STATUS = {
    "401": WRONG_LOGIN,
    "403": NOT_ALLOWED,
    **dict.fromkeys(("409", "429", "503"), BUSY),
    **dict.fromkeys(("404", "405", "501"), NOT_SUPPORTED),
}
_KIND = {
    "AccessError": NOT_ALLOWED,
    "ConnectionError": UNREACHABLE,
    "LookupError": Words("the BMC has these systems: {text}", "name the host's by `system:` in the site file"),
    **dict.fromkeys(("NotImplementedError", "MissingActionError", "ResourceNotFoundError"), NOT_SUPPORTED),
}


def words_for(kind: str, text: str) -> Words:
    """Find the words for an exception of sushy's: its class name, and its HTTP status and text."""
    status = text.partition(" ")[0]
    return meaning_of(text, _MEANINGS) or _STATUS.get(status) or _KIND.get(kind, NONSENSE)
