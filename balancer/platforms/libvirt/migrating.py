"""A migration that we begin: a thread and a connection of its own, since libvirt's call returns when it has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from balancer.domain.site_file import SiteHost
from balancer.errors import BalancerError, PlatformError, Prospect
from balancer.platforms.base import MigrationOrder, MigrationStatus
from balancer.platforms.libvirt.disks_moved import (
    FILE_IN_THE_WAY,
    are_there,
    described,
    homeless,
    make_place,
    remove_disks,
)
from balancer.platforms.libvirt.escorting import Escort
from balancer.platforms.libvirt.jobs import BYTES_PER_MIB
from balancer.platforms.libvirt.knock import knock
from balancer.platforms.libvirt.library import Connection, Domain, close_quietly, is_alive, library, open_connection
from balancer.platforms.libvirt.link import HostLink
from balancer.platforms.libvirt.mending import forget_definition, is_cut, make_persistent, resume, runs, waits_at_source
from balancer.platforms.libvirt.passenger import Passenger
from balancer.platforms.libvirt.restarting import Restart
from balancer.platforms.libvirt.terms import flags_of, parameters_of
from balancer.platforms.libvirt.words import is_lost, platform_error, unreached

SECONDS_BETWEEN_MENDS = 5.0


class RunningMigration:
    """One migration that this process has begun, or that it mends.

    The two hypervisors carry it out between them (PEER2PEER), so it goes on when our connection or our process dies.
    `lost` says that: what became of it is for the source's hypervisor to tell.
    """

    def __init__(
        self,
        order: MigrationOrder,
        source: SiteHost,
        target: SiteHost,
        links: tuple[HostLink, HostLink],
        guest: Passenger,
        mends: bool = False,
    ) -> None:
        self.order = order
        self.error = ""
        self.prospect = Prospect.UNKNOWN
        self.lost = False
        self.is_cut = mends
        self.seconds: float | None = None
        self.copied_mib: float | None = None
        self.downtime_ms: float | None = None
        self._source, self._target, self._guest = source, target, guest
        self._from, self._to = links
        self._mends = mends
        self._places: list[str] = []  # files made at the target, for libvirt to fill
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"migration of {order.move.vm}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def restarts(self) -> bool:
        """Whether its guest is shut off on the way and started again, so that it still counts as one that runs."""
        return self.order.options.restart and self.is_running

    def give_up(self) -> None:
        """Stop moving a guest that is shut off, or is to be, where that is safe; it is started where it was."""
        self._given_up.set()

    def measured(self, status: MigrationStatus) -> MigrationStatus:
        """Return a status with what the migration took, as far as that was measured."""
        return replace(status, seconds=self.seconds, copied_mib=self.copied_mib, downtime_ms=self.downtime_ms)

    def _run(self) -> None:
        began = time.monotonic()
        try:
            self._go()
            self.seconds = time.monotonic() - began
            if self._guest.autostart:
                self._carry_autostart()
        except BalancerError as error:
            self.error = str(error)
            self.prospect = error.prospect if isinstance(error, PlatformError) else Prospect.UNKNOWN

    def _go(self) -> None:
        if self._mends:
            self._mend()
        elif self.order.kind == "cold":
            self._go_cold()
        else:
            self._go_live()

    # -- while it runs

    def _go_live(self) -> None:
        self._refuse_to_copy_over_a_file()
        self._make_places_above_bases()
        escort = Escort(self.order, str(self._source.uri))
        escort.start()
        try:
            self._migrate()
        except PlatformError:
            if not self._was_cut():
                self._remove_places()
                raise
            self.lost = False
            self._mend()
        finally:
            escort.end()
            self.copied_mib = escort.passes.copied_mib or None
        self._measure()
        self._remove_copied_disks()

    @property
    def _copies(self) -> tuple[str, ...]:
        return self._guest.local_disks if self.order.options.copies_storage else ()

    def _make_places_above_bases(self) -> None:
        """libvirt makes a file at the target for a disk that is copied whole, and none for one above a base image."""
        if self.order.options.copy_storage != "incremental":
            return
        for path in self._copies:
            operation = f"make a place for the disk {path}"
            like = self._from.ask(operation, partial(described, path=path, with_base=True))
            self._to.ask(operation, partial(make_place, host=self._target.name, path=path, like=like))
            self._places.append(path)

    def _remove_places(self) -> None:
        """Remove what was made at the target where the guest certainly stayed; else the next try names the files."""
        if not self._places or self.lost:
            return
        operation = "remove the places that were made for disks"
        with suppress(PlatformError):
            stayed = self._from.ask(operation, lambda c: runs(c, self.order.vm_id))
            if stayed and not self._to.ask(operation, lambda c: runs(c, self.order.vm_id)):
                self._to.ask(operation, lambda c: remove_disks(c, self.order.vm_id, self._places))

    def _remove_copied_disks(self) -> None:
        """Remove the old files, now that the guest runs on the new ones and there alone."""
        if not self._copies:
            return
        operation = "remove the disks that were copied"
        has_arrived = self._to.ask(operation, lambda c: runs(c, self.order.vm_id))
        if has_arrived and not self._from.ask(operation, lambda c: runs(c, self.order.vm_id)):
            kept = self._from.ask(operation, lambda c: remove_disks(c, self.order.vm_id, self._copies))
            if kept:
                raise PlatformError(self._source.name, operation, "; ".join(kept))

    def _refuse_to_copy_over_a_file(self) -> None:
        operation = f"migrate {self.order.move.vm} with its disk"
        unseen = self._to.ask("ask for files in the way", lambda c: homeless(c, self._copies))
        if unseen:
            cause = f"it has no storage pool where {unseen[0]} goes, so a file in the way would not be seen"
            raise PlatformError(self._target.name, operation, cause, "define one there")
        there = self._to.ask("ask for files in the way", lambda c: are_there(c, self._copies))
        if there:
            raise PlatformError(self._target.name, operation, f"it has a file {there[0]} already", FILE_IN_THE_WAY)

    def _migrate(self) -> None:
        self._at_source(f"migrate {self.order.move.vm} to {self._target.name}", self._leave)

    def _leave(self, domain: Domain) -> None:
        if self.order.kind != "cold":
            _allow_stop(domain, self.order.options.stop_seconds)
        domain.migrateToURI3(self._peer_uri, parameters_of(self.order, self._target), self._flags)

    def _at_source(self, operation: str, do: Callable[[Domain], None]) -> None:
        """Ask the source, over a connection of our own: the host's line has to stay free for shorter questions."""
        libvirt = library()
        connection: Connection | None = None
        try:
            knock(str(self._source.uri))
            connection = open_connection(str(self._source.uri))
            do(connection.lookupByUUIDString(self.order.vm_id))
        except libvirt.libvirtError as error:
            self.lost = connection is not None and (not is_alive(connection) or is_lost(error))
            raise platform_error(self._source.name, operation, error) from error
        except OSError as error:
            raise unreached(self._source.name, operation, error) from error
        finally:
            if connection is not None:
                close_quietly(connection)

    @property
    def _peer_uri(self) -> str | None:
        return self._target.peer_uri or self._target.uri

    @property
    def _flags(self) -> int:
        return flags_of(self.order, self._guest.is_persistent)

    def _measure(self) -> None:
        """Ask the target, which alone remembers, how much was sent and how long the guest stood still."""
        libvirt = library()
        wanted = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
        with suppress(PlatformError):  # a figure for the records: the migration itself has ended well
            job = self._to.ask(
                f"ask how {self.order.move.vm} has come",
                lambda c: c.lookupByUUIDString(self.order.vm_id).jobStats(wanted),
            )
            sent = job.get("memory_processed", 0) + job.get("disk_processed", 0)
            self.copied_mib = max(self.copied_mib or 0.0, sent / BYTES_PER_MIB) or None
            self.downtime_ms = float(job["downtime"]) if "downtime" in job else None

    def _carry_autostart(self) -> None:
        """PERSIST_DEST takes the definition along and forgets that the guest is to start with its host."""

        def set_autostart(connection: Connection) -> None:
            connection.lookupByUUIDString(self.order.vm_id).setAutostart(1)

        self._to.ask(f"let {self.order.move.vm}, which has arrived, start with its host", set_autostart)

    # -- cut in post-copy

    def _was_cut(self) -> bool:
        """Whether it failed with a part of the guest at either end; where nobody answers, that is not known yet."""
        if not self.order.options.post_copy:
            return False
        try:
            self.is_cut = self._from.ask(f"ask how {self.order.move.vm} stands", lambda c: is_cut(c, self.order.vm_id))
        except PlatformError:
            self.lost = True
        return self.is_cut

    def _mend(self) -> None:
        """Go on until it has ended, however long the line takes to heal; the guest itself runs at its target."""
        while self._stands_still():
            with suppress(PlatformError):
                self._at_source(f"go on with the migration of {self.order.move.vm}", self._resume)
            time.sleep(SECONDS_BETWEEN_MENDS)
        self._settle_definitions()
        self.is_cut = self.lost = False

    def _stands_still(self) -> bool:
        try:
            return self._from.ask(
                f"ask how {self.order.move.vm} stands", lambda c: waits_at_source(c, self.order.vm_id)
            )
        except PlatformError:
            return True  # not seen to have ended

    def _resume(self, domain: Domain) -> None:
        resume(domain, self._peer_uri, parameters_of(self.order, self._target), self._flags)

    def _settle_definitions(self) -> None:
        """When the two hypervisors ended it by themselves, nobody has undefined the guest at its source."""
        if not self._guest.is_persistent:
            return
        operation = f"leave {self.order.move.vm} one definition"
        if self._to.ask(operation, lambda c: make_persistent(c, self.order.vm_id)):
            self._from.ask(operation, lambda c: forget_definition(c, self.order.vm_id))

    # -- shut off

    def _go_cold(self) -> None:
        restart = Restart(self.order, self._guest.local_disks, self._source, self._target, self._given_up.is_set)
        restart.around(self._migrate)
        self.copied_mib = restart.copied_mib
        self.downtime_ms = restart.downtime_ms


def _allow_stop(domain: Domain, seconds: float) -> None:
    """Say how long it may stand still at the end. It is said of each: an earlier one may have left another limit."""
    libvirt = library()
    try:
        domain.migrateSetMaxDowntime(max(1, int(1000 * seconds)), 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
