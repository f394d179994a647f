"""How long a migration takes, by the pre-copy model.

    x = dirty rate / link;  bytes = memory * (1 - x^(n+1)) / (1 - x);  down time = memory * x^n / link + resume

n is the number of rounds until what is left can be copied within the tolerated down time. With x >= 1 pre-copy never
converges; it is then given the most rounds, which is what such a migration costs before it is given up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move

TOLERATED_DOWN_SECONDS = 0.3  # QEMU's default downtime-limit
MOST_ROUNDS = 30
RESUME_SECONDS = 0.05
SET_UP_SECONDS = 1.0  # connecting, preparing the target, finishing


@dataclass(frozen=True)
class MigrationCost:
    """What one migration is expected to cost."""

    seconds: float
    downtime_ms: float
    mib: float


def migration_cost(cluster: Cluster, move: Move, cap_mib_per_s: float | None = None) -> MigrationCost:
    """Predict one migration at the slower end's link speed; a guest that is shut off copies nothing."""
    vm = cluster.vm(move.vm)
    if not vm.is_active:
        return MigrationCost(SET_UP_SECONDS, 0.0, 0.0)
    ends = [cluster.host(move.source).migration_mib_per_s, cluster.host(move.target).migration_mib_per_s]
    link = max(min([*ends, *([cap_mib_per_s] if cap_mib_per_s else [])]), 1.0)
    memory = vm.memory_mib
    ratio = min((vm.dirty_mib_per_s or 0.0) / link, 0.999)
    rounds = _rounds(memory, link, ratio)
    copied = memory * (1 - ratio ** (rounds + 1)) / (1 - ratio)
    down = min(memory, memory * ratio**rounds) / link + RESUME_SECONDS if ratio > 0 else RESUME_SECONDS
    return MigrationCost(SET_UP_SECONDS + copied / link, 1000 * down, copied)


def _rounds(memory: float, link: float, ratio: float) -> int:
    left_at_the_end = link * TOLERATED_DOWN_SECONDS
    if memory <= left_at_the_end or ratio <= 0:
        return 1
    return min(MOST_ROUNDS, math.ceil(math.log(left_at_the_end / memory) / math.log(ratio)))
