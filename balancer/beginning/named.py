"""Hosts as somebody types them: `hv[01-12]`, `gold=192.0.2.9`, or whole libvirt URIs; and patterns over them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from balancer.errors import Fault, InputError

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
MOST_HOSTS = 2000


@dataclass(frozen=True)
class Named:
    """A host: its name, where it is, the number at the end of its name, and its URI where that was typed."""

    name: str
    address: str
    number: str = ""
    uri: str | None = None


def hosts_named(text: str) -> tuple[Named, ...]:
    """Read a list of hosts with commas. InputError says what cannot be read."""
    hosts = tuple(_named(item) for item in spread(text))
    names = [host.name for host in hosts]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise _wrong(", ".join(twins), "named twice", "name each host once")
    if not hosts:
        raise _wrong(repr(text), "names no host", "such as hv1,hv2 or hv[1-8] or hv1=192.0.2.11")
    return hosts


def spread(text: str) -> Iterator[str]:
    """Yield the items of a list with commas, each range such as [01-12] spread out: on both sides of a `=` alike."""
    for item in (part.strip() for part in text.split(",")):
        yield from _spread(item) if item else ()


def _spread(item: str) -> Iterator[str]:
    ranges = [(first, last) for first, last in _RANGE.findall(item)]
    if not ranges:
        yield item
        return
    lengths = {int(last) - int(first) + 1 for first, last in ranges}
    if len(lengths) != 1 or not 1 <= (length := lengths.pop()) <= MOST_HOSTS:
        raise _wrong(item, "has ranges that run backwards, are too long, or are not equally long", "such as hv[1-8]")
    for step in range(length):
        yield _RANGE.sub(lambda found, step=step: str(int(found[1]) + step).zfill(len(found[1])), item)  # type: ignore[misc]


def _named(item: str) -> Named:
    if "://" in item:
        address = urlsplit(item).hostname or ""
        return _checked(Named(address or "localhost", address or "localhost", _number(address), item), item)
    name, _, address = item.partition("=")
    return _checked(Named(name, address or name, _number(name)), item)


def _number(name: str) -> str:
    found = re.search(r"(\d+)$", name.partition(".")[0])
    return found[1] if found else ""


def _checked(host: Named, item: str) -> Named:
    if not _NAME.match(host.name):
        raise _wrong(repr(item), "is no name of a host", "letters, digits, dots and dashes; its address after a `=`")
    return host


def filled(pattern: str, host: Named, what: str) -> str:
    """Fill {host}, {address}, {number} and {n} (the number without leading zeros) into a pattern."""
    places = {"host": host.name, "address": host.address, "number": host.number, "n": host.number.lstrip("0")}
    for place in re.findall(r"\{(.*?)\}", pattern):
        if not places.get(place):
            known = "known are {host}, {address}, {number} and {n}"
            cause = f"its name {host.name} ends in no number" if place in places else "is no such place"
            raise _wrong(f"{what} {pattern}", f"{{{place}}}: {cause}", known)
    return re.sub(r"\{(.*?)\}", lambda found: places[found[1]], pattern)


def _wrong(place: str, what: str, instead: str) -> InputError:
    return InputError([Fault(place, what, instead)])
