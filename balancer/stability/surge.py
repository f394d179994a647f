"""Whether hosts need more than was foreseen when they were last looked at: told by how busy they are, and nothing else.

    a host surges       where it uses more than headroom allows, and more than was foreseen for it
    hosts together do   where they use more than was foreseen for them, and others are asleep that could help

    foreseen = what its guests are expected to need + swing + max(2 sigma of their sum, 2 % of its cores)

Only what is news begins a look: a host that was full when it was looked at is no surge, it is that look's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host

SIGMAS: Final = 2.0
LEAST_SHARE: Final = 0.02  # of a host's cores: less is what a host does for itself
BELIEVABLE: Final = 1.05  # of all cores; beyond that a reading is a fault


@dataclass(frozen=True)
class Foreseen:
    """What is expected of a host until the next look, in cores."""

    cores: float
    variance: float
    allowed: float  # by headroom
    usable: float
    most: float  # that can be

    @property
    def at_most(self) -> float:
        return self.cores + max(SIGMAS * sqrt(self.variance), LEAST_SHARE * self.usable)


@dataclass(frozen=True)
class Outlook:
    """What is expected of each host that was on and in no doubt."""

    hosts: Mapping[str, Foreseen]
    others_sleep: bool

    def surge(self, cores_in_use: Mapping[str, float]) -> str:
        """Say what surges; empty where nothing does. Hosts without a reading that can be believed say nothing."""
        measured = {
            name: cores
            for name, cores in cores_in_use.items()
            if name in self.hosts and 0.0 <= cores <= BELIEVABLE * self.hosts[name].most
        }
        full = [name for name, cores in measured.items() if self._is_surging(self.hosts[name], cores)]
        if full:
            return "; ".join(self._in_words(name, measured[name]) for name in full[:3])
        return self._together(measured) if self.others_sleep else ""

    @staticmethod
    def _is_surging(host: Foreseen, cores: float) -> bool:
        return cores > host.allowed and cores > host.at_most

    def _in_words(self, name: str, cores: float) -> str:
        host = self.hosts[name]
        return f"{name} uses {cores:.1f} cores, {host.cores:.1f} were expected and headroom allows {host.allowed:.1f}"

    def _together(self, measured: Mapping[str, float]) -> str:
        hosts = [self.hosts[name] for name in measured]
        all_of_them = Foreseen(
            cores=sum(host.cores for host in hosts),
            variance=sum(host.variance for host in hosts),
            allowed=0.0,
            usable=sum(host.usable for host in hosts),
            most=0.0,
        )
        used = sum(measured.values())
        if used <= all_of_them.at_most:
            return ""
        return f"all hosts together use {used:.1f} cores, {all_of_them.cores:.1f} were expected, and others sleep"


def outlook(seen: Cluster, headroom: float) -> Outlook:
    """Return what a look expects until the next one.

    headroom: the share of a host's usable cores that may be in use
    """
    certain = [
        host for host in seen.hosts if host.is_on and host.cpu_used_cores is not None and not seen.is_doubted(host)
    ]
    return Outlook(
        hosts={host.name: _foreseen(seen, host, headroom) for host in certain},
        others_sleep=any(host.asleep_by_us for host in seen.hosts if not host.is_on),
    )


def _foreseen(seen: Cluster, host: Host, headroom: float) -> Foreseen:
    guests = seen.guests_of(host.name)
    return Foreseen(
        cores=seen.used(host, CPU) + host.swing_cores,
        variance=sum(vm.demand.sigma**2 for vm in guests if vm.is_active and vm.demand is not None),
        allowed=headroom * host.usable_cores,
        usable=host.usable_cores,
        most=host.cpu_cores,
    )
