"""A migration that we begin: a thread and a connection of its own, since libvirt's call returns when it has ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from balancer.domain.site_file import SiteHost
from balancer.errors import BalancerError, PlatformError, Prospect
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.knock import knock
from balancer.platforms.libvirt.library import Connection, Domain, close_quietly, is_alive, library, open_connection
from balancer.platforms.libvirt.link import HostLink
from balancer.platforms.libvirt.words import is_lost, platform_error, unreached


@dataclass(frozen=True)
class Passenger:
    """What has to be known of a guest before it leaves."""

    is_active: bool
    is_persistent: bool
    autostart: bool


def passenger(domain: Domain) -> Passenger:
    """Ask a guest's hypervisor about it."""
    persistent = bool(domain.isPersistent())
    return Passenger(bool(domain.isActive()), persistent, persistent and bool(domain.autostart()))


class RunningMigration:
    """One migration that this process has begun.

    The two hypervisors carry it out between them (PEER2PEER), so it goes on when our connection or our process dies.
    `lost` says that: what became of it is for the source's hypervisor to tell.
    """

    def __init__(
        self, order: MigrationOrder, source: SiteHost, target: SiteHost, to: HostLink, guest: Passenger
    ) -> None:
        self.order = order
        self.error = ""
        self.prospect = Prospect.UNKNOWN
        self.lost = False
        self._source, self._target, self._to, self._guest = source, target, to, guest
        self._thread = threading.Thread(target=self._run, name=f"migration of {order.move.vm}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._migrate()
            if self._guest.autostart:
                self._carry_autostart()
        except BalancerError as error:
            self.error = str(error)
            self.prospect = error.prospect if isinstance(error, PlatformError) else Prospect.UNKNOWN

    def _migrate(self) -> None:
        libvirt, operation = library(), f"migrate {self.order.move.vm} to {self._target.name}"
        connection: Connection | None = None
        try:
            knock(str(self._source.uri))
            connection = open_connection(str(self._source.uri))
            domain = connection.lookupByUUIDString(self.order.vm_id)
            domain.migrateToURI3(self._target.peer_uri or self._target.uri, self._parameters(), self._flags())
        except libvirt.libvirtError as error:
            self.lost = connection is not None and (not is_alive(connection) or is_lost(error))
            raise platform_error(self._source.name, operation, error) from error
        except OSError as error:
            raise unreached(self._source.name, operation, error) from error
        finally:
            if connection is not None:
                close_quietly(connection)

    def _flags(self) -> int:
        """Never UNSAFE, and no definition left behind: not at the source, and none at all of a transient guest."""
        libvirt = library()
        flags = libvirt.VIR_MIGRATE_PEER2PEER
        if self.order.kind == "cold":
            flags |= libvirt.VIR_MIGRATE_OFFLINE
        else:
            flags |= libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        if self._guest.is_persistent:
            flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
        return int(flags)

    def _parameters(self) -> dict[str, Any]:
        """A guest that is shut off sends no memory, so there is no stream to lead or to slow down."""
        libvirt = library()
        if self.order.kind == "cold":
            return {}
        parameters: dict[str, Any] = {}
        if self._target.migration_uri is not None:
            parameters[libvirt.VIR_MIGRATE_PARAM_URI] = self._target.migration_uri
        if self.order.bandwidth_mib_per_s is not None:
            parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = max(1, int(self.order.bandwidth_mib_per_s))
        return parameters

    def _carry_autostart(self) -> None:
        """PERSIST_DEST takes the definition along and forgets that the guest is to start with its host."""

        def set_autostart(connection: Connection) -> None:
            connection.lookupByUUIDString(self.order.vm_id).setAutostart(1)

        self._to.ask(f"let {self.order.move.vm}, which has arrived, start with its host", set_autostart)
