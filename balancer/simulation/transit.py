"""Guests on their way: how fast memory is copied, and how a migration ends."""

from __future__ import annotations

from collections.abc import Mapping

from balancer.simulation.machines import GuestState, Migration, MigrationFate, SimGuest, SimHost

SLOWEST_COPY = 0.1  # of the bandwidth: QEMU slows a guest that dirties faster than that, so that it arrives at last
COLD_COPY_MIB = 1.0  # a definition; the disk is shared


class Transit:
    """The migrations of a world: those under way, and the last one of each guest."""

    def __init__(self, hosts: Mapping[str, SimHost]) -> None:
        self._hosts = hosts
        self._last: dict[str, Migration] = {}  # by the guest's UUID

    @property
    def under_way(self) -> list[Migration]:
        return [migration for migration in self._last.values() if not migration.ended]

    def touching(self, host: str) -> list[Migration]:
        """Return the migrations to or from a host."""
        return [migration for migration in self.under_way if host in migration.ends]

    def last_of(self, vm_id: str) -> Migration | None:
        """Return the migration of a guest that began last, over or not, if any ever did."""
        return self._last.get(vm_id)

    def of(self, guest: SimGuest) -> Migration | None:
        """Return the migration that a guest is in, if it is in one."""
        last = self._last.get(guest.spec.id)
        return None if last is None or last.ended else last

    def begin(self, guest: SimGuest, target: str, mib_per_s: float | None) -> None:
        """Send a guest on its way, to whatever fate was announced for it."""
        work_mib = guest.spec.memory_mib if guest.is_active else COLD_COPY_MIB
        migration = Migration(guest, guest.host, target, work_mib, mib_per_s)
        if guest.next_migration is not None:
            migration.fate, guest.next_migration = guest.next_migration, None
        self._last[guest.spec.id] = migration

    def doom(self, guest: SimGuest, fate: MigrationFate) -> None:
        """Announce the fate of the migration that a guest is in, else of its next one."""
        migration = self.of(guest)
        if migration is not None:
            migration.fate = fate
        else:
            guest.next_migration = fate

    def copy(self, seconds: float) -> None:
        """Copy memory for a time in which no migration begins or ends, so that the speeds stay what they are."""
        speeds = [(migration, self._speed(migration)) for migration in self.under_way]
        for migration, speed in speeds:
            copied = min(migration.stops_at_mib, migration.copied_mib + speed * seconds)
            migration.copied_mib = max(migration.copied_mib, copied)

    def seconds_left(self, migration: Migration) -> float:
        """Return how long a migration takes yet, if no other begins or ends meanwhile."""
        return max(0.0, migration.stops_at_mib - migration.copied_mib) / self._speed(migration)

    def end_as_fated(self, migration: Migration) -> None:
        if migration.fate.arrives:
            migration.guest.host = migration.target
            migration.guest.stale_definitions.discard(migration.target)
        self.end(migration, migration.fate.error)

    def end(self, migration: Migration, error: str) -> None:
        """End a migration; its guest is where it is."""
        migration.ended, migration.error = True, error

    def _speed(self, migration: Migration) -> float:
        """Return the MiB a second that a migration gains: what is sent, less what the guest dirties meanwhile.

        With x = dirty rate / bandwidth a copy so takes memory / bandwidth * 1 / (1 - x). The migrations that touch a
        host share its bandwidth evenly.
        """
        sent = min(self._share_of_bandwidth(host) for host in migration.ends)
        sent = sent if migration.mib_per_s is None else min(sent, migration.mib_per_s)
        runs = migration.guest.state is GuestState.RUNNING
        return max(sent - (migration.guest.spec.dirty_mib_per_s if runs else 0.0), sent * SLOWEST_COPY)

    def _share_of_bandwidth(self, host: str) -> float:
        return self._hosts[host].spec.migration_mib_per_s / max(1, len(self.touching(host)))
