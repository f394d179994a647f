"""What one cycle has to remember of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from balancer.domain.pace import Paces
from balancer.domain.value import Amount, Count, Moment, Value


class Memory(Value):
    """Cool-downs, wishes, what running plans hold, what was spent; saved with a cycle so that it replays exactly."""

    cooling_until: dict[str, Moment] = Field(default={}, description="guests that are left in peace, by Vm.key")
    failures: dict[str, Count] = Field(default={}, description="moves that failed in a row, by Vm.key")
    not_to: dict[str, tuple[str, ...]] = Field(
        default={}, description="hosts that a guest is not tried towards after failures, by Vm.key"
    )
    moved_by_others: dict[str, Moment] = Field(
        default={}, description="guests that somebody else moved, until when they are left where they were put"
    )
    came_from: dict[str, str] = Field(default={}, description="hosts that guests left a short while ago, by Vm.key")
    hosts_cooling_until: dict[str, Moment] = Field(default={}, description="hosts switched a short while ago")
    slept_today: dict[str, Count] = Field(default={}, description="how often hosts were put to sleep in 24 hours")
    tests_put_off_until: dict[str, Moment] = Field(
        default={}, description="hosts whose power test failed or was refused, until when no other begins"
    )
    tests_unfinished: frozenset[str] = Field(
        default=frozenset(), description="hosts that a power test switched off and nobody has seen return"
    )
    held_vms: frozenset[str] = Field(default=frozenset(), description="by name: a running plan moves them")
    held_hosts: frozenset[str] = Field(
        default=frozenset(), description="by name: a running plan wakes, empties or switches them"
    )
    moves_spent: Count = Field(
        default=0, description="moves of the last hour, with those that a running plan still owes"
    )
    gib_spent: Amount = Field(
        default=0.0, description="GiB of the last hour, with those that a running plan still owes"
    )
    oldest_spent_at: Moment | None = Field(default=None, description="the first of the moves of the last hour")
    paces: Paces = Field(default=Paces(), description="how the cluster's own migrations went")
    wanted_since: dict[str, Moment] | None = Field(
        default=None,
        description="since when each wish has been there in every cycle; absent: nobody watched, so that what is seen "
        "once is taken to last",
    )

    @property
    def wishes(self) -> Mapping[str, Moment]:
        return self.wanted_since or {}


NOTHING_REMEMBERED = Memory()
