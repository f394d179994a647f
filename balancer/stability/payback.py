"""Whether a power cycle pays: what it costs, against what the host saves while it is off.

pays back after = (boot + shutdown + migration energy) / (idle watts - off watts)

A server boots and shuts down at full power, so a common one of 90 W needs some 9 minutes. A live migration costs
0.512 J per MB moved and 20 J to set up (Liu et al., "Performance and energy modeling for live migration of virtual
machines", 2011).
"""

from __future__ import annotations

from collections.abc import Iterable

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host
from balancer.domain.vm import Vm

JOULES_PER_MIB = 0.512 * 1.048576
JOULES_PER_MOVE = 20.165
SHUTDOWN_SECONDS = 60.0


def seconds_to_pay_back(host: Host, leaving: Iterable[Vm]) -> float | None:
    """Return for how long a host has to sleep to repay its power cycle and its guests' moves; None without watts."""
    if host.power is None:
        return None
    saved = host.power.idle - host.power.off_watts
    if saved <= 0:
        return float("inf")
    cycle = (host.boot_seconds + SHUTDOWN_SECONDS) * host.power.at(1.0)
    moving = sum(JOULES_PER_MOVE + JOULES_PER_MIB * vm.memory_mib for vm in leaving if vm.is_active)
    return (cycle + moving) / saved


def seconds_until_it_pays(host: Host, leaving: Iterable[Vm]) -> float:
    """Return for how long a host that goes to sleep must not be missed: until that pays, or it could be back at all."""
    time = seconds_to_pay_back(host, leaving)
    there_and_back = host.boot_seconds + SHUTDOWN_SECONDS
    return there_and_back if time is None or time == float("inf") else max(time, there_and_back)


def cores_expected(cluster: Cluster, on: Iterable[Host], minutes: float) -> float:
    """Return the cores in use on these hosts, and by how much the needs of all guests grow within so many minutes."""
    grown = (vm.demand.cores_within(minutes) - vm.need(CPU) for vm in cluster.vms if vm.is_active and vm.demand)
    return sum(cluster.used(host, CPU) for host in on) + sum(grown)
