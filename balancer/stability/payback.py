"""Whether a power cycle pays: what it costs, against what the host saves while it is off.

pays back after = (boot + shutdown + migration energy) / (idle watts - off watts)

A server boots and shuts down at full power, so a common one of 90 W needs some 9 minutes. A live migration costs
0.512 J per MB moved and 20 J to set up (Liu et al., "Performance and energy modeling for live migration of virtual
machines", 2011).
"""

from __future__ import annotations

from collections.abc import Iterable

from balancer.domain.host import Host
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
