"""How fast guests write to their memory: measured by the hypervisor on request, so asked for sparingly.

QEMU looks at some 512 pages of each GiB, and again a second later; what it found is read with the next look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from balancer.domain.vm import VmState
from balancer.platforms.libvirt.jobs import Part
from balancer.platforms.libvirt.library import Connection, library
from balancer.platforms.libvirt.link import HostLink, ask_all
from balancer.platforms.libvirt.looking import HostLook, Sighting
from balancer.platforms.libvirt.samples import RunKey

SECONDS_MEASURED = 1
MEASURED_AGAIN_AFTER = timedelta(minutes=15)
MOST_AT_ONCE = 4  # on one host in one look


class DirtyRates:
    """Remembers which guest was measured when, by its run: a guest that moved is measured anew."""

    def __init__(self, links: Mapping[str, HostLink]) -> None:
        self._links = links
        self._measured: dict[RunKey, datetime] = {}

    def ask_for_more(self, looks: Mapping[str, HostLook], now: datetime) -> None:
        """Have those guests of each host measured that have waited longest. A host that will not is left alone."""
        due = {host: self.due(look.guests, now) for host, look in looks.items()}
        wanted = {
            host: partial(measure, vm_ids=[guest.id for guest in guests]) for host, guests in due.items() if guests
        }
        ask_all(self._links, "measure how fast guests write", wanted)
        self._measured |= {guest.run_key: now for guests in due.values() for guest in guests}

    def due(self, guests: Iterable[Sighting], now: datetime) -> Sequence[Sighting]:
        """Return the guests of a host that are to be measured now."""
        waiting = [
            guest
            for guest in guests
            if guest.state is VmState.RUNNING and guest.part is Part.NONE and self._is_due(guest, now)
        ]
        never = datetime.min.replace(tzinfo=now.tzinfo)
        return sorted(waiting, key=lambda guest: self._measured.get(guest.run_key, never))[:MOST_AT_ONCE]

    def _is_due(self, guest: Sighting, now: datetime) -> bool:
        last = self._measured.get(guest.run_key)
        return last is None or now - last >= MEASURED_AGAIN_AFTER


def measure(connection: Connection, vm_ids: Iterable[str]) -> None:
    """Have guests measured; one that has gone, is busy, or whose QEMU is too old (before 5.2) is left out."""
    libvirt = library()
    for vm_id in vm_ids:
        try:
            domain = connection.lookupByUUIDString(vm_id)
            # One that migrates or is saved would be waited for, and the host's line with it.
            if domain.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE:
                domain.startDirtyRateCalc(SECONDS_MEASURED, 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_RPC:
                raise
