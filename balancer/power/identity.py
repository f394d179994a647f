"""Whether a BMC sits in the machine that the hypervisor runs on."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

_NOBODY = (
    UUID(int=0),
    UUID(int=2**128 - 1),
    UUID("03000200-0400-0500-0006-000700080009"),  # what AMI firmware ships with when nobody filled it in
)


def same_machine(guid: str | None, uuid: str | None) -> bool:
    """Say whether a BMC's system GUID and a hypervisor's UUID are those of one machine.

    BMCs send the sixteen bytes in three orders: as RFC 4122 writes them, with the first three fields turned round
    (SMBIOS), or all of them backwards (IPMI 2.0, 20.8). Which one, nobody says. Accepting all three is safe: two
    machines would be mistaken for each other only if one's 128 bits were exactly a turned-round form of the other's.
    A GUID that was never filled in is the same in many machines, so it proves nothing. Neither does none at all.
    """
    ours, theirs = _read(guid), _read(uuid)
    if ours is None or theirs is None or is_placeholder(ours) or is_placeholder(theirs):
        return False
    return theirs in _orders_of(ours)


def is_placeholder(uuid: UUID) -> bool:
    """Say whether a UUID was never filled in by the maker of the machine."""
    return any(nobody in _orders_of(uuid) for nobody in _NOBODY)


def _orders_of(guid: UUID) -> Iterator[UUID]:
    yield guid
    yield UUID(bytes_le=guid.bytes)
    yield UUID(bytes=guid.bytes[::-1])


def _read(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
