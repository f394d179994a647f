"""Move little.

M = memory of the guests that move, each times how dear it is / memory of all guests
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from balancer.domain.cluster import Cluster
from balancer.domain.shapes import Cost, MoveCost
from balancer.objectives.base import Objective


class FewMoves(Objective):
    """Prefer placements that are near to today's, counted in memory that has to be copied."""

    kind: ClassVar[str] = "few_moves"
    example: ClassVar[str] = "few_moves: {weight: 0.02}"

    def lower(self, now: Cluster) -> Iterator[Cost]:
        total = sum(vm.memory_mib for vm in now.vms)
        if total > 0 and self.weight > 0:
            for vm in now.vms:
                yield MoveCost(vm.name, self.weight * vm.dear * vm.memory_mib / total)

    def share(self, now: Cluster, later: Cluster) -> float:
        total = sum(vm.memory_mib for vm in now.vms)
        moved = sum(vm.dear * vm.memory_mib for vm in now.vms if later.vm(vm.name).at_the_end != vm.at_the_end)
        return moved / total if total > 0 else 0.0
