"""Moving a guest that is shut off, and, where it ran, shutting it down before and starting it after.

Once it has been shut down it is started again, whatever else fails: at its target if it has arrived there, else where
it was. Its old disks are removed last. It may be given up until its definition moves: before it is asked to shut down
nothing happens, and later it is started where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from balancer.domain.site_file import SiteHost
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.disks_moved import copy_disk, remove_disks
from balancer.platforms.libvirt.jobs import BYTES_PER_MIB
from balancer.platforms.libvirt.library import Connection, close_quietly, library, open_connection
from balancer.platforms.libvirt.mending import runs
from balancer.platforms.libvirt.words import platform_error, unreached

T = TypeVar("T")

MOST_SECONDS_TO_SHUT_DOWN = 120.0
SECONDS_BETWEEN_PRESSES = 30.0  # a guest that boots or is busy may miss the button


class Restart:
    """One such move."""

    def __init__(
        self,
        order: MigrationOrder,
        disks: tuple[str, ...],
        source: SiteHost,
        target: SiteHost,
        is_given_up: Callable[[], bool],
    ) -> None:
        self.copied_mib = 0.0
        self.downtime_ms: float | None = None
        self._order, self._disks, self._source, self._target = order, disks, source, target
        self._copied: list[str] = []
        self._is_given_up = is_given_up

    def around(self, move_definition: Callable[[], None]) -> None:
        """Shut down, copy, move, start; or put all back as it was. Raises PlatformError with what went wrong."""
        began = time.monotonic()
        self._stop_if_given_up()
        if self._order.options.restart:
            self._on(self._source, "shut it down", self._shut_down)
        try:
            self._stop_if_given_up()
            self._copy_disks()
            self._on(self._source, "see that it is shut off still", self._see_it_off)
            self._stop_if_given_up()
            move_definition()
        except PlatformError:
            self._put_back()
            raise
        # libvirt takes the definition from under a guest that was started in the last instant, and lets it run on.
        self._on(self._source, "see that it does not run there", self._see_it_off)
        if self._order.options.restart:
            self._on(self._target, "start it where it has arrived", self._start)
            self.downtime_ms = 1000 * (time.monotonic() - began)
        self._remove(self._source)

    def _stop_if_given_up(self) -> None:
        if self._is_given_up():
            raise PlatformError(self._source.name, f"move {self._order.move.vm} shut off", "it was given up on request")

    def _shut_down(self, connection: Connection) -> None:
        domain = connection.lookupByUUIDString(self._order.vm_id)
        deadline, asked_at = time.monotonic() + MOST_SECONDS_TO_SHUT_DOWN, None
        while domain.isActive():
            if time.monotonic() > deadline:
                cause = f"{self._order.move.vm} was asked to shut down and still runs; it may yet follow"
                raise PlatformError(self._source.name, "shut it down", cause, "see what holds it up, and that it is on")
            if self._is_to_be_asked(asked_at):
                domain.shutdown()
                asked_at = time.monotonic()
            time.sleep(0.2)

    def _is_to_be_asked(self, asked_at: float | None) -> bool:
        """One that was asked may yet follow, and has to be started then: given up, it is waited for, no more."""
        if asked_at is None:
            self._stop_if_given_up()
            return True
        return time.monotonic() >= asked_at + SECONDS_BETWEEN_PRESSES and not self._is_given_up()

    def _see_it_off(self, connection: Connection) -> None:
        """Somebody may start it while its disks are copied: then they are old, and there must not be a second one."""
        if runs(connection, self._order.vm_id):
            cause = f"{self._order.move.vm} was started here meanwhile"
            raise PlatformError(self._source.name, "move it shut off", cause, "move it while it runs")

    def _start(self, connection: Connection) -> None:
        domain = connection.lookupByUUIDString(self._order.vm_id)
        if not domain.isActive():
            domain.create()

    # -- disks

    def _copy_disks(self) -> None:
        if not (self._disks and self._order.options.copies_storage):
            return

        def copy(source: Connection) -> None:
            self._on(self._target, "copy its disks there", lambda target: self._copy(source, target))

        self._on(self._source, "copy its disks", copy)

    def _copy(self, source: Connection, target: Connection) -> None:
        for path in self._disks:
            copy_disk(source, target, self._target.name, path, self._count)
            self._copied.append(path)

    def _count(self, copied_bytes: int) -> None:
        self._stop_if_given_up()
        self.copied_mib += copied_bytes / BYTES_PER_MIB

    def _remove(self, host: SiteHost) -> None:
        """Remove what was copied from the end that has no use for it any more."""
        if not self._copied:
            return
        operation = "remove the disks that were copied"
        kept = self._on(host, operation, lambda c: remove_disks(c, self._order.vm_id, self._copied))
        if kept:
            raise PlatformError(host.name, operation, "; ".join(kept))

    def _put_back(self) -> None:
        """It is where it was: the copies go, and a guest that was shut down for this is started again."""
        if not self._is_still_there():
            return  # the move itself is in question, and both copies of a disk are better than none
        try:
            self._remove(self._target)
        finally:
            if self._order.options.restart:
                self._on(self._source, "start it again where it was", self._start)

    def _is_still_there(self) -> bool:
        """Whether the guest is defined at its source and not at its target, as both say themselves."""

        def is_defined(connection: Connection) -> bool:
            try:
                connection.lookupByUUIDString(self._order.vm_id)
            except library().libvirtError as error:
                if error.get_error_code() == library().VIR_ERR_NO_DOMAIN:
                    return False
                raise
            return True

        there = self._on(self._target, "ask whether it has arrived", is_defined)
        return not there and self._on(self._source, "ask whether it is still there", is_defined)

    def _on(self, host: SiteHost, what: str, do: Callable[[Connection], T]) -> T:
        libvirt, operation = library(), f"{what} ({self._order.move.vm})"
        connection: Connection | None = None
        try:
            connection = open_connection(str(host.uri))
            return do(connection)
        except libvirt.libvirtError as error:
            raise platform_error(host.name, operation, error) from error
        except OSError as error:
            raise unreached(host.name, operation, error) from error
        finally:
            if connection is not None:
                close_quietly(connection)
