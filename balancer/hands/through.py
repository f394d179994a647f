"""The platform and the switches as a leader has them: looked at from its own process, ordered through its hands.

What is not listed as looking goes through the hands, so that a call that is new is safe before somebody thinks of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

from balancer import lifetime
from balancer.domain.placement import Move
from balancer.errors import PlatformError, PowerError
from balancer.hands.base import THE_PLATFORM, Hands, HandsLost, HandsTied
from balancer.platforms.base import MigrationOrder, MigrationPhase, MigrationStatus, Platform
from balancer.power.base import PowerSwitch

LOOKS_AT_THE_PLATFORM: Final = frozenset(
    {
        "observe",
        "glance",
        "compare_with_the_last_glances",
        "preflight",
        "whereabouts",
        "answers",
        "host_uuid",
        "reasons_to_stay_on",
        "shut_off_guests_on",
        "allow_for",
        "close",
    }
)
LOOKS_AT_A_SWITCH: Final = frozenset({"host", "address", "state", "system_guid", "watts"})
ON_THE_WIRE_SECONDS = 10.0  # what dead hands asked for may reach the hypervisor yet


def platform_through(hands: Hands, looking: Platform) -> Platform:
    """Return a platform that looks by itself and acts through the hands."""
    return cast(Platform, _ThroughHands(hands, looking))


def switch_through(hands: Hands, looking: PowerSwitch) -> PowerSwitch:
    """Return a switch that is asked by itself and switched through the hands."""
    return cast(PowerSwitch, _SwitchThroughHands(hands, looking))


class _Begun:
    """A migration that our hands have begun, and which of them it was."""

    def __init__(self, order: MigrationOrder, generation: int) -> None:
        self.order, self.generation = order, generation
        self.lost_at: float | None = None  # when it was noticed that these hands are no more


class _ThroughHands:
    def __init__(self, hands: Hands, looking: Platform) -> None:
        self._hands, self._looking = hands, looking
        self._last: dict[str, _Begun] = {}  # by the guest's UUID
        looking.allow_for(self._under_way)

    def __getattr__(self, name: str) -> Any:
        if name in LOOKS_AT_THE_PLATFORM:
            return getattr(self._looking, name)
        return partial(self._order, name)

    def begin_migration(self, order: MigrationOrder) -> None:
        """Begin a migration; hands that died over it may have begun it, so that is for the hypervisors to tell."""
        try:
            self._hands.order(THE_PLATFORM, "begin_migration", order)
        except HandsTied as tied:
            raise PlatformError(order.move.source, f"migrate {order.move.vm}", tied.cause, tied.way_out) from tied
        except HandsLost:
            self._last[order.vm_id] = _Begun(order, generation=0)
            return
        self._last[order.vm_id] = _Begun(order, self._hands.generation)

    def migration_status(self, order: MigrationOrder) -> MigrationStatus:
        """Ask the hands that began it; where these are no more, the hypervisors, as after a restart."""
        begun = self._last.get(order.vm_id)
        if begun is None or begun.order.move != order.move:
            return self._looking.migration_status(order)
        if begun.generation == self._hands.generation:
            try:
                return cast(MigrationStatus, self._hands.order(THE_PLATFORM, "migration_status", order))
            except (HandsTied, HandsLost):
                begun.generation = 0
        return self._status_of_lost(begun)

    def _status_of_lost(self, begun: _Begun) -> MigrationStatus:
        """What nobody sees under way, long enough after the hands have died, has ended or was never begun."""
        now = lifetime.moment()
        begun.lost_at = begun.lost_at or now
        seen = self._looking.migration_status(begun.order)
        is_quiet = seen.phase is MigrationPhase.UNKNOWN and not seen.error
        if is_quiet and now - begun.lost_at > ON_THE_WIRE_SECONDS:
            return MigrationStatus(MigrationPhase.ENDED, error="how it went was not seen")
        return seen

    def _under_way(self) -> Mapping[str, Move]:
        """Return what the living hands carry out, for whoever looks at guests that are at both ends."""
        mine = {vm_id: begun for vm_id, begun in list(self._last.items()) if begun.generation == self._hands.generation}
        return {
            vm_id: begun.order.move
            for vm_id, begun in mine.items()
            if self.migration_status(begun.order).phase is MigrationPhase.RUNNING
        }

    def _order(self, name: str, *words: Any) -> Any:
        try:
            return self._hands.order(THE_PLATFORM, name, *words)
        except (HandsTied, HandsLost) as failed:
            raise PlatformError(_host_of(words), name, failed.cause, failed.way_out) from failed


def _host_of(words: tuple[Any, ...]) -> str:
    first = words[0] if words else ""
    return first.move.source if isinstance(first, MigrationOrder) else str(first)


class _SwitchThroughHands:
    def __init__(self, hands: Hands, looking: PowerSwitch) -> None:
        self._hands, self._looking = hands, looking

    def __getattr__(self, name: str) -> Any:
        if name in LOOKS_AT_A_SWITCH:
            return getattr(self._looking, name)
        return cast(Callable[..., Any], partial(self._order, name))

    def _order(self, name: str, *words: Any) -> Any:
        try:
            return self._hands.order(self._looking.host, name, *words)
        except (HandsTied, HandsLost) as failed:
            raise PowerError(self._looking.host, name, failed.cause, failed.way_out) from failed
