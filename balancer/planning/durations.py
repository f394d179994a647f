"""How long a migration takes, by the pre-copy model.

    x = dirty rate / link;  bytes = memory * (1 - x^(n+1)) / (1 - x);  down time = memory * x^n / link + resume

n is the number of rounds until what is left can be copied within the tolerated stop. With x >= 1 plain pre-copy never
converges: slowing the guest, stopping it (warm), or going on at the target (post-copy) ends it. What the cluster's own
migrations have taught (`Pace`) replaces the link and the time to set up that are assumed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.migration import PLAIN, QEMU_STOP_SECONDS, MigrationCost, MigrationKind, MigrationOptions
from balancer.domain.pace import Paces
from balancer.domain.placement import Move
from balancer.domain.units import MIB_PER_GIB
from balancer.domain.vm import Vm

MOST_ROUNDS = 30
RESUME_SECONDS = 0.05
SET_UP_SECONDS = 1.0  # connecting, preparing the target, finishing
SHUTDOWN_SECONDS = 30.0  # of a guest, softly
BOOT_SECONDS = 60.0  # of a guest, until it serves again
FIRST_THROTTLE, MORE_THROTTLE, MOST_THROTTLE = 0.2, 0.1, 0.99  # QEMU's auto-converge
ROUNDS_A_THROTTLE = 2  # rounds in which too much was dirtied, before QEMU slows the guest (further)
UNTOUCHED = 0.05  # of the time that a page takes to send: one that the guest never wrote to is a few bytes

NO_PACES = Paces()


@dataclass(frozen=True)
class Journey:
    """A guest and the line that it would go over."""

    memory_mib: float
    link_mib_per_s: float
    dirty_mib_per_s: float = 0.0
    disk_mib: float = 0.0
    set_up_seconds: float = SET_UP_SECONDS
    mib_ratio: float = 1.0  # already in memory_mib and disk_mib
    assumed_mib_per_s: float = 0.0

    @property
    def ratio(self) -> float:
        """Return x: below 1 copying catches up with the guest, by itself."""
        return self.dirty_mib_per_s / self.link_mib_per_s

    @property
    def seconds_of_memory(self) -> float:
        """Return how long all of its memory takes: the stop that is never exceeded."""
        return self.memory_mib / self.link_mib_per_s

    @property
    def seconds_of_disk(self) -> float:
        return self.disk_mib / self.link_mib_per_s


def journey(cluster: Cluster, move: Move, cap_mib_per_s: float | None, copies_disk: bool, paces: Paces) -> Journey:
    """Return a guest's way at the slower end's link speed, as far as the past has not taught better."""
    vm = cluster.vm(move.vm)
    ends = [cluster.host(move.source).migration_mib_per_s, cluster.host(move.target).migration_mib_per_s]
    pace = paces.between(move.source, move.target)
    link = min(ends) if pace is None else min(ends) * pace.link_share
    ratio = paces.mib_ratio(vm.key, move.source, move.target)
    return Journey(
        memory_mib=memory_to_send(vm) * ratio,
        link_mib_per_s=max(min([link, *([cap_mib_per_s] if cap_mib_per_s else [])]), 1.0),
        dirty_mib_per_s=vm.dirty_mib_per_s or 0.0,
        disk_mib=disk_to_send(vm) * ratio if copies_disk else 0.0,
        mib_ratio=ratio,
        assumed_mib_per_s=max(min(ends), 1.0),
        set_up_seconds=SET_UP_SECONDS if pace is None else pace.set_up_seconds,
    )


def memory_to_send(vm: Vm) -> float:
    """Return the MiB that it has ever touched, as far as known: pages of zeroes are hardly sent."""
    if not vm.is_active:
        return 0.0
    touched = vm.memory_mib if vm.memory_used_mib is None else min(vm.memory_used_mib, vm.memory_mib)
    return touched + UNTOUCHED * (vm.memory_mib - touched)


def disk_to_send(vm: Vm) -> float:
    """Return the MiB of disk that only its host has."""
    return (vm.disk_gib or 0.0) * MIB_PER_GIB if vm.storage == "local" else 0.0


def migration_cost(
    cluster: Cluster,
    move: Move,
    cap_mib_per_s: float | None = None,
    kind: MigrationKind = "live",
    options: MigrationOptions = PLAIN,
    paces: Paces = NO_PACES,
) -> MigrationCost:
    """Predict one migration; a guest that is shut off copies no memory."""
    way = journey(cluster, move, cap_mib_per_s, options.copies_storage, paces)
    if not cluster.vm(move.vm).is_active:
        return _cost_of(way, way.set_up_seconds + way.seconds_of_disk, 0.0, way.disk_mib)
    return cost_of(way, kind, options)


def cost_of(way: Journey, kind: MigrationKind, options: MigrationOptions) -> MigrationCost:
    """Predict the migration of a guest that runs."""
    if kind == "cold":
        seconds = SHUTDOWN_SECONDS + way.set_up_seconds + way.seconds_of_disk + BOOT_SECONDS
        return _cost_of(way, seconds, seconds, way.disk_mib)
    if kind == "warm":
        return _stopped_after_one_round(way)
    if options.post_copy and not converges(way, options.stop_seconds):
        return _switched_after_one_round(way)
    if options.auto_converge and not converges(way, options.stop_seconds):
        return _slowed(way, options.stop_seconds)
    return _pre_copied(way, options.stop_seconds)


def converges(way: Journey, stop_seconds: float = QEMU_STOP_SECONDS) -> bool:
    """Whether copying catches up with a guest by itself, down to a stop that is allowed, within the most rounds."""
    return left_after(way, MOST_ROUNDS) / way.link_mib_per_s <= stop_seconds


def left_after(way: Journey, rounds: int) -> float:
    """Return the MiB that are left to send after so many rounds of copying; never more than all memory."""
    return way.memory_mib * min(1.0, way.ratio) ** rounds


def _pre_copied(way: Journey, stop_seconds: float) -> MigrationCost:
    memory, link = way.memory_mib, way.link_mib_per_s
    ratio = min(way.ratio, 0.999)
    rounds = _rounds(memory, link, ratio, stop_seconds)
    copied = memory * (1 - ratio ** (rounds + 1)) / (1 - ratio)
    stop = min(memory, memory * ratio**rounds) / link if ratio > 0 else 0.0
    return _cost(way, copied, stop)


def _rounds(memory: float, link: float, ratio: float, stop_seconds: float) -> int:
    left_at_the_end = max(link * stop_seconds, 1e-6)
    if memory <= left_at_the_end or ratio <= 0:
        return 1
    return min(MOST_ROUNDS, math.ceil(math.log(left_at_the_end / memory) / math.log(ratio)))


def _stopped_after_one_round(way: Journey) -> MigrationCost:
    left = left_after(way, 1)
    return _cost(way, way.memory_mib + left, left / way.link_mib_per_s)


def _switched_after_one_round(way: Journey) -> MigrationCost:
    # Pages are fetched as the guest asks for them: each is a short wait, none is a stop of all of it.
    return _cost(way, way.memory_mib + left_after(way, 1), 0.0)


def _slowed(way: Journey, stop_seconds: float) -> MigrationCost:
    left, copied = way.memory_mib, 0.0
    for throttle in throttles():
        copied += left
        left = min(way.memory_mib, left * way.ratio * (1.0 - throttle))
        if left / way.link_mib_per_s <= stop_seconds:
            break
    return _cost(way, copied + left, left / way.link_mib_per_s)


def throttles() -> Iterator[float]:
    """Say by how much QEMU slows a guest in each round."""
    for number in range(MOST_ROUNDS):
        steps = number // ROUNDS_A_THROTTLE
        yield 0.0 if steps == 0 else min(MOST_THROTTLE, FIRST_THROTTLE + MORE_THROTTLE * (steps - 1))


def _cost(way: Journey, memory_sent: float, stop_seconds: float) -> MigrationCost:
    sent = way.disk_mib + memory_sent
    return _cost_of(way, way.set_up_seconds + sent / way.link_mib_per_s, stop_seconds + RESUME_SECONDS, sent)


def _cost_of(way: Journey, seconds: float, stop_seconds: float, sent_mib: float) -> MigrationCost:
    return MigrationCost(seconds, 1000 * stop_seconds, sent_mib, sent_mib / way.mib_ratio, way.assumed_mib_per_s)
