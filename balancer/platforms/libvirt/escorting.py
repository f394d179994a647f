"""Who goes along with a migration: switches to post-copy, or stops the guest, when the moment has come; and counts.

Nothing depends on it for safety. Should our process die, the hypervisors carry the migration on without it: one that
copying alone does not end is then given up by its deadline, and a guest that was stopped goes on when it has arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.jobs import BYTES_PER_MIB
from balancer.platforms.libvirt.library import Connection, Domain, close_quietly, library, open_connection

SECONDS_BETWEEN_LOOKS = 0.3
PATIENCE = 2  # passes over memory, where it is known that copying does not keep up
MORE_PATIENCE = 4  # where that is not known, or slowing the guest may do
GRACE = 2.0  # times the stop that is allowed; what takes longer is given up, and the guest goes on where it was


@dataclass(frozen=True)
class Passes:
    """How far copying has come: which pass over memory this is, what was left when it began, how fast it goes."""

    number: int = 0
    left_mib: float = 0.0
    mib_per_s: float = 0.0
    copied_mib: float = 0.0
    is_new: bool = False

    @property
    def stop_seconds(self) -> float:
        """Return how long the rest takes if the guest stands still from the beginning of this pass on."""
        return self.left_mib / self.mib_per_s if self.mib_per_s > 0 else float("inf")


class Act(Enum):
    """What is done with a migration that is under way."""

    NOTHING = "nothing"
    SWITCH = "switch to post-copy"
    STOP = "stop the guest"


def seen(job: Mapping[str, Any], before: Passes) -> Passes:
    """Read how far a job has come; what was left is that of the moment in which a pass began."""
    number = int(job.get("memory_iteration", 0))
    speed = float(job.get("memory_bps", 0)) / BYTES_PER_MIB
    processed = float(job.get("memory_processed", 0)) + float(job.get("disk_processed", 0))
    now = replace(before, copied_mib=processed / BYTES_PER_MIB, mib_per_s=speed or before.mib_per_s, is_new=False)
    if number <= before.number:
        return now
    return replace(now, number=number, left_mib=float(job.get("memory_remaining", 0)) / BYTES_PER_MIB, is_new=True)


def next_act(order: MigrationOrder, passes: Passes) -> Act:
    """Say what is to be done now. Only when a pass begins is it known what is left, so only then is a guest stopped."""
    options = order.options
    patience = MORE_PATIENCE if options.auto_converge else PATIENCE
    if order.kind == "warm":
        is_due = passes.is_new and passes.number >= PATIENCE and passes.stop_seconds <= options.stop_seconds
        return Act.STOP if is_due else Act.NOTHING
    return Act.SWITCH if options.post_copy and passes.number >= patience else Act.NOTHING


class Escort:
    """Looks at one migration on a connection of its own, from before it begins until it has ended."""

    def __init__(self, order: MigrationOrder, uri: str) -> None:
        self.passes = Passes()
        self._order, self._uri = order, uri
        self._over = threading.Event()
        self._stopped_for = 0.0
        self._thread = threading.Thread(target=self._run, name=f"escort of {order.move.vm}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(timeout=10 * SECONDS_BETWEEN_LOOKS)

    def _run(self) -> None:
        connection: Connection | None = None
        try:
            connection = open_connection(self._uri)
            self._go_along(connection.lookupByUUIDString(self._order.vm_id))
        except (library().libvirtError, OSError):
            return  # it has arrived, or its host is silent: the migration itself says which
        finally:
            if connection is not None:
                close_quietly(connection)

    def _go_along(self, domain: Domain) -> None:
        done = Act.NOTHING
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self.passes = seen(domain.jobStats(), self.passes)
            if done is Act.STOP:
                self._give_up_if_it_takes_too_long(domain)
            elif done is Act.NOTHING:
                done = self._act(domain, next_act(self._order, self.passes))

    @staticmethod
    def _act(domain: Domain, act: Act) -> Act:
        """Do it and say what was done; what the hypervisor refuses now is asked for again."""
        try:
            if act is Act.SWITCH:
                domain.migrateStartPostCopy(0)
            elif act is Act.STOP:
                domain.suspend()
        except library().libvirtError:
            return Act.NOTHING
        return act

    def _give_up_if_it_takes_too_long(self, domain: Domain) -> None:
        """The stop that was promised is kept: libvirt lets a guest whose migration is given up go on at its source."""
        self._stopped_for += SECONDS_BETWEEN_LOOKS
        if self._stopped_for > GRACE * self._order.options.stop_seconds + 1.0:
            domain.abortJob()
            self._over.set()
