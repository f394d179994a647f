"""What one cycle has to remember of earlier ones."""

from __future__ import annotations

from balancer.domain.value import Amount, Count, Moment, Value


class Memory(Value):
    """Cool-downs, what a running plan holds, and what was spent; saved with a cycle so that it replays exactly."""

    cooling_until: dict[str, Moment] = {}  # by Vm.key
    held_vms: frozenset[str] = frozenset()  # by name: a running plan moves them
    held_hosts: frozenset[str] = frozenset()  # by name: a running plan wakes, empties or switches them
    moves_spent: Count = 0
    gib_spent: Amount = 0.0


NOTHING_REMEMBERED = Memory()
