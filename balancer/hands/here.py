"""Hands in the balancer's own process: a simulated world lives in it, and can be reached from nowhere else.

An order that is late is refused as well, but a process that freezes in the midst of one goes on with it when it thaws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from balancer import lifetime
from balancer.hands.base import RAN_OUT, THE_PLATFORM, HandsTied
from balancer.platforms.base import Platform
from balancer.power.base import PowerSwitch


class HandsHere:
    """Calls the platform and the switches themselves."""

    generation = 1

    def __init__(self, platform: Platform, switches: Mapping[str, PowerSwitch]) -> None:
        self._reached: dict[str, Any] = {THE_PLATFORM: platform, **switches}
        self._until = 0.0

    def may_act_until(self, until: float) -> None:
        self._until = until

    def order(self, whose: str, what: str, *words: Any) -> Any:
        if lifetime.moment() >= self._until:
            raise HandsTied(whose or "the platform", what, RAN_OUT)
        return getattr(self._reached[whose], what)(*words)

    def close(self) -> None:
        self._until = 0.0
