"""Keeps secrets out of what is said: by the names they go under, by where they stand in a URL, and by what they are.

The site's own secrets are remembered as they are read (`secrets.py`). From then on none of them is in any text that
went through here, nor as URLs, `repr`, JSON, HTML or base64 write them.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, quote_plus

MASK: Final = "********"
SHORTEST = 4
"""Characters of a secret that is looked for by itself: a shorter one is a part of many words."""

_NAME: Final = r"passw(?:or)?d|passphrase|secret|token|credential|authorization|cookie|api_?key|private_?key|csrf"
_NAMED = re.compile(_NAME, re.IGNORECASE)
_REFERENCE = re.compile(r"_ref$", re.IGNORECASE)  # says where a secret is, not what it is
_QUOTED_OR_A_WORD: Final = r"(?:'[^']*'|\"[^\"]*\"|[^\s&;\"']+)"

_PLACES: Final = (
    (re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:\w+\s+)?[^\s\"',]+", re.IGNORECASE), rf"\1{MASK}"),
    # scheme://user:password@host; what else stands before @ may be a token for a web server, and elsewhere is a name
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/?#:@]*:)[^\s/?#]*@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(r"(https?://)[^\s/?#:@]+@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(rf"((?:[\w.-]*(?:{_NAME})[\w.-]*)=){_QUOTED_OR_A_WORD}", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"([?&](?:p|pwd|pass|key|sig|signature|auth)=)[^\s&;\"']+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(Bearer\s+)[\w.~+/=-]{8,}"), rf"\1{MASK}"),
    # A token of people and programs, as `store/tokens.py` makes them.
    (re.compile(r"\bbalancer_[\w-]{43}(?![\w-])"), MASK),
)


class _Known:
    """The secrets that this process has read."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self._adding = Lock()

    def add(self, secret: str) -> None:
        with self._adding:
            if len(secret) < SHORTEST or secret in self._secrets:
                return
            self._secrets |= {secret}
            self._forms |= frozenset(_forms(secret))
            self._pattern = None

    def copy(self) -> _Known:
        """Return what is known so far, to be added to by itself."""
        same = _Known()
        same._secrets, same._forms = self._secrets, self._forms
        return same

    def masked(self, text: str) -> str:
        if not self._forms:
            return text
        with self._adding:
            if self._pattern is None:  # once for all that were read: a site has a thousand BMCs
                # The longest first: of two secrets that begin alike, no rest of the longer one is left.
                forms = sorted(self._forms, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, forms)))
            pattern = self._pattern
        return pattern.sub(MASK, text)


_known = _Known()


def never_say(secret: str) -> None:
    """Have a secret masked wherever it turns up from now on."""
    _known.add(secret)


def masked(text: str) -> str:
    """Return a text without what is secret in it."""
    text = _known.masked(text)
    for place, instead in _PLACES:
        text = place.sub(instead, text)
    return text


def masked_value(value: Any, name: str = "") -> Any:
    """Return a value as JSON can say it, without what is secret in it, however deep; its name may give it away."""
    if value is None or isinstance(value, bool):
        return value
    if _NAMED.search(name) and not _REFERENCE.search(name):
        return MASK
    if isinstance(value, int | float):
        return value if masked(str(value)) == str(value) and isfinite(value) else masked(str(value))
    if isinstance(value, Mapping):
        return {masked(str(key)): masked_value(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked_value(each) for each in value]
    return masked(value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value))


def _forms(secret: str) -> Iterator[str]:
    """Yield how a secret may stand in a text."""
    for each in {secret, *(line for line in secret.splitlines() if len(line) >= SHORTEST)}:
        raw = each.encode(errors="surrogatepass")
        yield from (each, quote(raw, safe=""), quote(raw), quote_plus(raw), html.escape(each), html.escape(each, False))
        yield base64.b64encode(raw).decode()
        for once in _escaped(each):
            yield once
            yield from _escaped(once)  # an error that quotes an error


def _escaped(text: str) -> Iterator[str]:
    yield repr(text)[1:-1]
    yield repr(text + "'\"")[1:-4]  # as within a text that has quotes of both kinds
    yield repr(text.encode(errors="surrogatepass"))[2:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
