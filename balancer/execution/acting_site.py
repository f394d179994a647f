"""What carrying out a plan needs of a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from balancer.clock import Clock
from balancer.domain.plan import Step
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.platforms.base import Platform
from balancer.power.base import PowerSwitch
from balancer.store import Store
from balancer.store.journal import JournalEntry, Phase
from balancer.store.reservations import Claim


@dataclass(frozen=True)
class ActingSite:
    """A cluster that may be acted on: its hypervisors, its power switches, its memory, its time.

    `token` is that of the lease under which this balancer acts; None where there can be no other balancer. While
    `kill_file` exists nothing is begun at all.
    """

    file: SiteFile
    platform: Platform
    switches: Mapping[str, PowerSwitch]
    store: Store
    clock: Clock
    token: int | None = None
    kill_file: Path | None = None
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

    @property
    def why_killed(self) -> str:
        """Say that the kill file is there; empty where it is not. One that cannot be looked for counts as there."""
        if self.kill_file is None:
            return ""
        try:
            self.kill_file.stat()
        except FileNotFoundError:
            return ""
        except OSError as failed:
            return (
                f"whether the kill file {self.kill_file} exists cannot be seen ({failed.strerror}), so nothing is begun"
            )
        return f"the kill file {self.kill_file} exists, so nothing is begun; remove it to go on"

    def why_held(self, is_waking: bool = False) -> str:
        """Say why nothing may be ordered now: the right to act is lost, the kill file exists, somebody paused it.

        Neither a pause nor failures hold up waking: a host that is needed may be the way out.
        """
        if not self.may_act:
            return "the right to act is lost"
        if killed := self.why_killed:
            return killed
        return "" if is_waking else "; ".join(map(str, self.store.halts.in_force(self.now)))

    def write_down(
        self, step: Step, plan_id: str, vm_id: str | None = None, claim: Claim | None = None
    ) -> JournalEntry:
        """Write down that a step begins, while the right to act is held; nothing is done before this returned.

        A claim reserves room at the target of a move in the same instant.
        """
        phase = Phase.REQUEST if step.is_move else None
        entry = JournalEntry(self.now, plan_id, step, vm_id, phase=phase)
        return self.store.journal.begin(entry, self.token, claim)
