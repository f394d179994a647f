"""What hosts took, and what they would have taken otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Energy:
    """What was taken in a stretch of time, in kWh. Hosts of which nobody knows the watts take nothing known.

    kwh: by the hosts' power curves at their load
    kwh_all_on: had each host been on, the load being where it was: those that slept would have been idle
    kwh_alone: had only those been asleep that the balancer did not put to sleep
    kwh_measured, kwh_modelled: by BMCs, and by the curves for exactly the hosts and times that BMCs measured
    """

    kwh: float = 0.0
    kwh_all_on: float = 0.0
    kwh_alone: float = 0.0
    kwh_measured: float = 0.0
    kwh_modelled: float = 0.0
    hours_on: float = 0.0
    hours_asleep: float = 0.0

    def __add__(self, other: Energy) -> Energy:
        return Energy(*(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[float, ...]:
        return (
            self.kwh,
            self.kwh_all_on,
            self.kwh_alone,
            self.kwh_measured,
            self.kwh_modelled,
            self.hours_on,
            self.hours_asleep,
        )

    @property
    def saved_kwh(self) -> float:
        """What the balancer saved: against a cluster without one."""
        return self.kwh_alone - self.kwh


def total(parts: Iterable[Energy]) -> Energy:
    """Add stretches up."""
    return reduce(Energy.__add__, parts, Energy())


def energy_by_host(cluster: Cluster, seconds: float, measured: Mapping[str, float] | None = None) -> dict[str, Energy]:
    """Say what each host takes in a stretch in which the cluster is as it is now.

    measured: watts by host, of those whose BMC measures them
    """
    hours = seconds / SECONDS_AN_HOUR
    return {host.name: _energy_of(cluster, host, hours, (measured or {}).get(host.name)) for host in cluster.hosts}


def _energy_of(cluster: Cluster, host: Host, hours: float, measured: float | None) -> Energy:
    now = cluster.watts_of(host)
    idle = now if host.is_on or host.power is None else host.power.idle
    alone = idle if host.asleep_by_us else now
    kwh = hours / 1000
    return Energy(
        kwh=now * kwh,
        kwh_all_on=idle * kwh,
        kwh_alone=alone * kwh,
        kwh_measured=0.0 if measured is None else measured * kwh,
        kwh_modelled=0.0 if measured is None else now * kwh,
        hours_on=hours if host.is_on else 0.0,
        hours_asleep=0.0 if host.is_on else hours,
    )


@dataclass(frozen=True)
class Wakes:
    """Hosts that were woken, those of them that were needed before they were ready, and those that never came."""

    in_time: int = 0
    late: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Period:
    """What a day or a month took. money (by currency) and co2_kg are what the balancer saved."""

    name: str
    energy: Energy
    money: Mapping[str, float]
    co2_kg: float
    wakes: Wakes
