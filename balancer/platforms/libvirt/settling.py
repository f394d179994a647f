"""Which of the hosts that list a guest has it: one UUID, one guest, also while two hypervisors hold a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from balancer.platforms.libvirt.jobs import Part
from balancer.platforms.libvirt.looking import Sighting

Ends = tuple[str, str]
"""Source and target of a migration."""


@dataclass(frozen=True)
class Settled:
    """Where a guest is. `clash` says why that is not certain; `stale` are definitions left behind elsewhere."""

    home: Sighting
    moving_to: str | None = None
    clash: str = ""
    clashing: tuple[str, ...] = ()  # hosts on which it may run twice
    stale: tuple[Sighting, ...] = ()


def settle(sightings: Sequence[Sighting], last_home: str | None, ordered: Ends | None) -> Settled:
    """Settle where a guest is. `ordered`: the ends of a migration of it that is known to be under way."""
    active = [sighting for sighting in sightings if sighting.is_active]
    if not active:
        return _settle_shut_off(sightings, last_home, ordered)
    stale = tuple(sighting for sighting in sightings if not sighting.is_active)
    ends = _ends_of(active, ordered)
    if ends is not None:
        home, target = ends
        return Settled(home, moving_to=target, stale=tuple(s for s in stale if s.host != target))
    home = _at(active, last_home) or active[0]
    if len(active) == 1:
        return Settled(home, stale=stale)
    hosts = tuple(sighting.host for sighting in active)
    return Settled(home, clash=f"it is active on {' and '.join(hosts)} at once: it may run twice", clashing=hosts)


def is_suspect(sightings: Sequence[Sighting], ordered: Ends | None) -> bool:
    """Whether a guest seems to run twice: hosts are not looked at in the same instant, so a move may look like that."""
    active = [sighting for sighting in sightings if sighting.is_active]
    return len(active) > 1 and _ends_of(active, ordered) is None


def _settle_shut_off(sightings: Sequence[Sighting], last_home: str | None, ordered: Ends | None) -> Settled:
    home = (_at(sightings, ordered[0]) if ordered else None) or _at(sightings, last_home) or sightings[0]
    others = tuple(sighting for sighting in sightings if sighting is not home)
    if ordered is not None and home.host == ordered[0]:
        return Settled(home, moving_to=ordered[1])
    if not others:
        return Settled(home)
    hosts = " and ".join(sighting.host for sighting in sightings)
    return Settled(home, clash=f"it is defined on {hosts} and active on none: undefine all but one", stale=others)


def _ends_of(active: Sequence[Sighting], ordered: Ends | None) -> tuple[Sighting, str] | None:
    """Return source and target of the migration that explains what is seen; None where none does."""
    if ordered is not None and {sighting.host for sighting in active} <= set(ordered):
        source = _at(active, ordered[0])
        return (source, ordered[1]) if source is not None else None
    if len(active) != 2:
        return None
    outgoing = [sighting for sighting in active if sighting.part is Part.OUTGOING]
    incoming = [sighting for sighting in active if sighting.part is Part.INCOMING]
    if len(incoming) == 1:
        source = next(sighting for sighting in active if sighting is not incoming[0])
        return source, incoming[0].host
    if len(outgoing) == 1:
        target = next(sighting for sighting in active if sighting is not outgoing[0])
        return outgoing[0], target.host
    return None


def _at(sightings: Sequence[Sighting], host: str | None) -> Sighting | None:
    return next((sighting for sighting in sightings if sighting.host == host), None)
