"""What every platform can do. The contract suite in tests/contracts holds each implementation to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from balancer.domain.cluster import Cluster
from balancer.domain.migration import PLAIN, MigrationKind, MigrationOptions
from balancer.domain.placement import Move
from balancer.errors import Prospect


@dataclass(frozen=True)
class MigrationOrder:
    """One migration that is to be begun. The guest is known by its UUID; names are for people."""

    move: Move
    vm_id: str
    kind: MigrationKind = "live"
    bandwidth_mib_per_s: float | None = None
    options: MigrationOptions = PLAIN

    @property
    def needs_running(self) -> bool:
        """Whether the guest has to run for it: only a definition moves as it is, and a restart begins with one."""
        return self.kind != "cold" or self.options.restart


class MigrationPhase(StrEnum):
    """How far a migration that we began has come, as far as can be seen. Where the guest is, `whereabouts` says."""

    RUNNING = "running"
    CUT = "cut"  # its line broke in post-copy: a part of the guest is at either end, and neither may be given up
    ENDED = "ended"  # the job is over, well or badly: look at `error` and at where the guest is
    UNKNOWN = "unknown"  # nobody could be asked, or nothing is known of it


@dataclass(frozen=True)
class MigrationStatus:
    """What is known of a migration: phase, share of memory that has been copied (0 to 1), error in words.

    `prospect`: whether one that failed is worth trying again.
    """

    phase: MigrationPhase
    share_done: float | None = None
    remaining_mib: float | None = None
    error: str = ""
    prospect: Prospect = Prospect.UNKNOWN
    seconds: float | None = None  # of one that has ended: from the order to the end, as measured
    copied_mib: float | None = None
    downtime_ms: float | None = None


@dataclass(frozen=True)
class Whereabouts:
    """Where a guest is, as each hypervisor says itself. `not_asked`: hosts that did not answer, so may have it too."""

    active_on: tuple[str, ...] = ()
    defined_on: tuple[str, ...] = ()
    not_asked: dict[str, str] = field(default_factory=dict)

    def is_settled_on(self, host: str) -> bool:
        """Whether it certainly runs on this host and on no other."""
        return self.active_on == (host,) and not self.not_asked


class Platform(Protocol):
    """Hypervisors that run guests and move them.

    Each call has a deadline of its own and raises PlatformError (host, operation, cause, way out) when it passes. Calls
    are made from several threads. `observe` never raises for a host that does not answer: it reports that host as
    unreachable, with a doubt, and keeps the guests last seen there.
    """

    def observe(self) -> Cluster:
        """Look at all hosts and guests at the same time."""
        ...

    def glance(self) -> Mapping[str, float]:
        """Read the cores in use on each host that the last look saw; cheap enough to be asked every few seconds.

        They are a mean since the last glance. A host that is silent, or whose numbers cannot be, is left out.
        """
        ...

    def compare_with_the_last_glances(self) -> None:
        """Have the next look say what was used since the glance before the last one, not since the last look.

        What has risen a moment ago would be lost in a mean of minutes.
        """
        ...

    def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
        """Ask both ends afresh what speaks against a migration, in words; empty where nothing does. Touches nothing.

        Raises PlatformError where an end cannot be asked.
        """
        ...

    def allow_for(self, begun: Callable[[], Mapping[str, Move]]) -> None:
        """Take these moves, by the guest's UUID, for under way too: a process beside this one carries them out."""
        ...

    def begin_migration(self, order: MigrationOrder) -> None:
        """Start a migration and return at once. Raises when it certainly was not started.

        Exactly one definition remains afterwards: at the target, if it was persistent; autostart goes with it.
        """
        ...

    def migration_status(self, order: MigrationOrder) -> MigrationStatus:
        """Say how far a migration has come; also for one that an earlier process began."""
        ...

    def mend_migration(self, order: MigrationOrder) -> None:
        """Go on with a migration that was cut in post-copy, as far as that can be; for any other nothing is done.

        Neither end is ever given up or started anew: each holds memory that the other one lacks.
        """
        ...

    def start_guest(self, vm_id: str, host: str) -> None:
        """Start a guest that is shut off where it is defined, and nowhere else; one that runs there is left alone."""
        ...

    def abort_migration(self, order: MigrationOrder) -> None:
        """Ask for a running migration to be given up; the guest then stays at its source."""
        ...

    def whereabouts(self, vm_id: str) -> Whereabouts:
        """Ask every hypervisor that may have it where a guest is active and where it is defined."""
        ...

    def answers(self, host: str) -> bool:
        """Whether the hypervisor of a host answers now; within its deadline, never raises."""
        ...

    def host_uuid(self, host: str) -> str | None:
        """Return the hypervisor's own UUID in lower case with dashes; None where it did not answer and never has."""
        ...

    def reasons_to_stay_on(self, host: str) -> tuple[str, ...]:
        """Ask the hypervisor itself, afresh, what speaks against cutting the power of its host.

        Active guests, jobs on their disks, migrations to or from it; empty when there is nothing. Raises PlatformError
        where it cannot be asked: no answer is never read as no guest.
        """
        ...

    def shut_off_guests_on(self, host: str) -> tuple[str, ...]:
        """Return the names of guests that are defined on a host and shut off; they could not start while it sleeps."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...
