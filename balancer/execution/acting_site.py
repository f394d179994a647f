"""What carrying out a plan needs of a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from balancer.clock import Clock
from balancer.domain.plan import Step
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.platforms.base import Platform
from balancer.power.base import PowerSwitch
from balancer.store import Store
from balancer.store.journal import JournalEntry


@dataclass(frozen=True)
class ActingSite:
    """A cluster that may be acted on: its hypervisors, its power switches, its memory, its time.

    `token` is that of the lease under which this balancer acts; None where there can be no other balancer.
    """

    file: SiteFile
    platform: Platform
    switches: Mapping[str, PowerSwitch]
    store: Store
    clock: Clock
    token: int | None = None
    _hosts: Mapping[str, SiteHost] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hosts", {host.name: host for host in self.file.hosts})

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def entry_of(self, host: str) -> SiteHost | None:
        """Return what the site file says of a host; None where it does not name it."""
        return self._hosts.get(host)

    def switch_of(self, host: str) -> PowerSwitch | None:
        """Return the power switch of a host; None where it has none."""
        return self.switches.get(host)

    @property
    def may_act(self) -> bool:
        """Whether the right to act is still held; a slow step asks again before it does another thing."""
        return self.token is None or self.store.lease.holds(self.token, self.now)

    def write_down(self, step: Step, plan_id: str, vm_id: str | None = None) -> JournalEntry:
        """Write down that a step begins, while the right to act is held; nothing is done before this returned."""
        return self.store.journal.begin(JournalEntry(self.now, plan_id, step, vm_id), self.token)
