"""Guests on their way: how fast disks and memory are copied, and how a migration ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from balancer.simulation.machines import GuestState, Leg, Migration, MigrationFate, Orders, SimGuest, SimHost

SLOWEST_COPY = 0.1  # of the bandwidth: as fast at least a guest is copied that may be slowed down until it arrives
MOST_THROTTLE = 0.99  # QEMU leaves a guest one part in a hundred of its time
COLD_COPY_MIB = 1.0  # a definition
STOP_SECONDS = 0.05  # of a guest that is handed over


class Transit:
    """The migrations of a world: those under way, and the last one of each guest."""

    def __init__(self, hosts: Mapping[str, SimHost]) -> None:
        self._hosts = hosts
        self._last: dict[str, Migration] = {}  # by the guest's UUID
        self._flying: dict[str, Migration] = {}  # likewise, those under way
        self._at: dict[str, list[Migration]] = defaultdict(list)  # those under way, by either end

    @property
    def under_way(self) -> list[Migration]:
        return list(self._flying.values())

    def touching(self, host: str) -> list[Migration]:
        """Return the migrations to or from a host."""
        return list(self._at.get(host, ()))

    def last_of(self, vm_id: str) -> Migration | None:
        """Return the migration of a guest that began last, over or not, if any ever did."""
        return self._last.get(vm_id)

    def of(self, guest: SimGuest) -> Migration | None:
        """Return the migration that a guest is in, if it is in one."""
        last = self._last.get(guest.spec.id)
        return None if last is None or last.ended else last

    def begin(self, guest: SimGuest, target: str, orders: Orders) -> None:
        """Send a guest on its way, to whatever fate was announced for it."""
        migration = Migration(guest, guest.host, target, orders, _legs(guest, orders))
        if guest.next_migration is not None:
            migration.fate, guest.next_migration = guest.next_migration, None
        self._last[guest.spec.id] = self._flying[guest.spec.id] = migration
        for end in migration.ends:
            self._at[end].append(migration)
        if orders.options.restart:
            guest.state = GuestState.SHUT_OFF

    def doom(self, guest: SimGuest, fate: MigrationFate) -> None:
        """Announce the fate of the migration that a guest is in, else of its next one."""
        migration = self.of(guest)
        if migration is not None:
            migration.fate = fate
        else:
            guest.next_migration = fate

    def copy(self, seconds: float) -> None:
        """Copy for a time in which no migration begins, ends or goes over to another leg: speeds stay what they are."""
        for migration, sent, gained in [(m, self._sent(m), self._speed(m)) for m in self.under_way]:
            most = min(migration.stops_at_mib, migration.leg_ends_at_mib)
            before = migration.copied_mib
            migration.copied_mib = max(before, min(most, before + gained * seconds))
            moves_on = migration.copied_mib > before
            migration.sent_mib += sent * seconds if moves_on or gained == 0 else 0.0
            migration.seconds += seconds
            if migration.interrupts and migration.guest.state is not GuestState.RUNNING:
                migration.stopped_seconds += seconds

    def seconds_left(self, migration: Migration) -> float:
        """Return how long a migration stays in this leg yet, if no other begins or ends meanwhile."""
        left = min(migration.stops_at_mib, migration.leg_ends_at_mib) - migration.copied_mib
        speed = self._speed(migration)
        if left <= 0:
            return 0.0
        return left / speed if speed > 0 else float("inf")

    def go_on(self, migration: Migration) -> None:
        """Begin the next leg of a migration, or end it as it was fated."""
        if migration.copied_mib >= migration.stops_at_mib or migration.leg is migration.last_leg:
            self._end_as_fated(migration)
            return
        migration.leg_number += 1
        if migration.leg is Leg.STOPPED:
            migration.guest.state = GuestState.PAUSED

    def _end_as_fated(self, migration: Migration) -> None:
        if migration.fate.arrives:
            migration.guest.host = migration.target
            migration.guest.stale_definitions.discard(migration.target)
        self.end(migration, migration.fate.error)

    def end(self, migration: Migration, error: str) -> None:
        """End a migration; its guest is where it is, and runs there if it ran before."""
        if not migration.ended:
            del self._flying[migration.guest.spec.id]
            for end in migration.ends:
                self._at[end].remove(migration)
        migration.ended, migration.error = True, error
        if migration.interrupts:
            migration.guest.state = GuestState.RUNNING

    def slowed(self, guest: SimGuest) -> float:
        """Return which share of its time a guest has left that is slowed down so that copying catches up."""
        migration = self.of(guest)
        if migration is None or migration.leg is not Leg.MEMORY or not migration.orders.options.auto_converge:
            return 1.0
        dirty, sent = guest.spec.dirty_mib_per_s, self._sent(migration)
        return min(1.0, max(1.0 - MOST_THROTTLE, (1.0 - SLOWEST_COPY) * sent / dirty)) if dirty > 0 else 1.0

    def _speed(self, migration: Migration) -> float:
        """Return the MiB a second that a migration gains: what is sent, less what the guest dirties meanwhile.

        With x = dirty rate / bandwidth a copy so takes memory / bandwidth * 1 / (1 - x), and never ends with x >= 1:
        unless the guest is slowed down, stopped, or goes on at its target.
        """
        sent = self._sent(migration)
        runs = migration.guest.state is GuestState.RUNNING and migration.leg is Leg.MEMORY
        return max(0.0, sent - (migration.guest.spec.dirty_mib_per_s * self.slowed(migration.guest) if runs else 0.0))

    def _sent(self, migration: Migration) -> float:
        """Return the MiB a second that go over the line; migrations that touch a host share its bandwidth evenly."""
        sent = min(self._share_of_bandwidth(host) for host in migration.ends)
        cap = migration.orders.mib_per_s
        return sent if cap is None else min(sent, cap)

    def _share_of_bandwidth(self, host: str) -> float:
        return self._hosts[host].spec.migration_mib_per_s / max(1, len(self._at.get(host, ())))


def _legs(guest: SimGuest, orders: Orders) -> tuple[tuple[Leg, float], ...]:
    """Return what is copied one after the other, in MiB. What a pass leaves is all memory at most."""
    disk = ((Leg.DISK, guest.spec.disk_gib * 1024),) if orders.options.copies_storage and guest.spec.disk_gib else ()
    if orders.kind == "cold":
        return (*disk, (Leg.DEFINITION, COLD_COPY_MIB))
    memory = guest.spec.memory_mib
    if orders.kind == "warm":
        return (*disk, (Leg.PASS, memory), (Leg.STOPPED, memory * _left(guest, orders)))
    if orders.options.post_copy and _left(guest, orders) >= 1.0 - SLOWEST_COPY:
        return (*disk, (Leg.PASS, memory), (Leg.AT_TARGET, memory * _left(guest, orders)))
    return (*disk, (Leg.MEMORY, memory))


def _left(guest: SimGuest, orders: Orders) -> float:
    """Return the share of memory that is dirty again after one pass over it, by the bandwidth that was agreed."""
    return min(1.0, guest.spec.dirty_mib_per_s / orders.agreed_mib_per_s)
