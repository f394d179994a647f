"""A guest that is about to leave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passenger:
    """What has to be known of a guest before it leaves."""

    is_active: bool
    is_persistent: bool
    autostart: bool
    local_disks: tuple[str, ...] = ()
