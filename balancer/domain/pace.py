"""How the cluster's own migrations went, and what that teaches: the pace of the next ones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from balancer.domain.value import Amount, Count, Moment, Name, Value

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class PastMigration(Value):
    """A migration that arrived, as it was foretold and as it was measured."""

    at: Moment
    vm_key: Name
    source: Name
    target: Name
    kind: str
    predicted_seconds: Amount
    seconds: Amount
    predicted_mib: Amount
    mib: Amount
    modelled_mib: Amount = Field(description="what the model alone had foretold, nothing of the past told to it")
    link_mib_per_s: Positive = Field(description="what the line was taken to carry, by the site file")
    cap_mib_per_s: Amount | None = Field(default=None, description="what the policy let it take of the line")
    downtime_ms: Amount | None = None

    @property
    def error(self) -> float:
        """Return by which share of the time that it took the prediction was off."""
        return abs(self.predicted_seconds - self.seconds) / self.seconds if self.seconds > 0 else 0.0


class Pace(Value):
    """How migrations went between two hosts (or from or to one, or anywhere), beside what the model had assumed."""

    hosts: tuple[Name, ...] = Field(description="source and target; one host: either end is it; empty: any")
    link_share: Positive = Field(description="of the assumed line, what guests travel at")
    set_up_seconds: Amount = Field(description="what a migration takes beside copying")
    mib_ratio: Positive = Field(default=1.0, description="MiB sent / MiB modelled")
    migrations: Count = Field(description="how many taught it")


class Paces(Value):
    """All that is known of pace, the most particular first where it is asked for."""

    known: tuple[Pace, ...] = ()
    guests: dict[str, Positive] = Field(default={}, description="MiB sent / MiB modelled of each guest, by Vm.key")
    migrations: Count = Field(default=0, description="how many of late taught all of it")
    median_error: Amount = Field(default=0.0, description="of the times foretold for the last ten, as a share")

    def between(self, source: str, target: str) -> Pace | None:
        """Return what is known best of a way: of the pair, else of one of its hosts, else of the whole cluster."""
        by_hosts = {pace.hosts: pace for pace in self.known}
        for hosts in ((source, target), (source,), (target,), ()):
            if hosts in by_hosts:
                return by_hosts[hosts]
        return None

    def mib_ratio(self, vm_key: str, source: str, target: str) -> float:
        """Return MiB sent / MiB modelled: of the guest itself where it was moved before, else of the way."""
        pace = self.between(source, target)
        return self.guests.get(vm_key, 1.0 if pace is None else pace.mib_ratio)
