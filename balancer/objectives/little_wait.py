"""Let guests wait little for a core.

    W = sum over hosts that are on of queue(host) / usable cores of all hosts
    queue = u^sqrt(2 (c + 1)) / (1 - u)      c usable cores, u = cores asked for / c

The vCPUs that wait on average where c cores serve what comes at random (the queue of M/M/c, in H. Sakasegawa's
approximation, Annals of the Institute of Statistical Mathematics 29, 1977): next to nothing on a host that is half
full, and steep above 80 or 90 %, the later the more cores a host has. It is read from a table of LEVELS with straight
lines between them; the last one goes on, so that a host that is asked for more than it has costs much, not infinitely
much. Convex. A guest asks for the cores that it uses and for those that it was seen to wait for (`cpu_wait_share` of
its vCPUs), so one that is held back asks for more than it is seen to use.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import ClassVar

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU_DEMAND, Host
from balancer.domain.shapes import Cost, LoadTable
from balancer.objectives.base import Objective
from balancer.objectives.even_load import usable_in_all

LEVELS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975)


class LittleWait(Objective):
    """Prefer placements in which guests get the cores that they ask for; above a knee this outweighs evenness."""

    kind: ClassVar[str] = "little_wait"
    example: ClassVar[str] = "little_wait: {weight: 1.0}"

    def lower(self, now: Cluster) -> Iterator[Cost]:
        if self.weight > 0:
            yield from _tables(now, self.weight)

    def share(self, now: Cluster, later: Cluster) -> float:
        hosts = ((table, later.host(table.host)) for table in _tables(now))
        return sum(table.at(later.used(host, CPU_DEMAND)) for table, host in hosts if host.is_on)


def queue(cores: float, share: float) -> float:
    """Return how many vCPUs wait on average where so many cores are in use to this share."""
    return float(share ** sqrt(2.0 * (cores + 1.0)) / (1.0 - share))


def _tables(cluster: Cluster, weight: float = 1.0) -> Iterator[LoadTable]:
    total = usable_in_all(cluster, CPU_DEMAND)
    for host in cluster.hosts if total > 0 else ():
        if host.usable_cores > 0:
            yield LoadTable(host.name, CPU_DEMAND, _points(host, weight / total))


def _points(host: Host, factor: float) -> tuple[tuple[float, float], ...]:
    cores = host.usable_cores
    return tuple((cores * level, factor * queue(cores, level)) for level in LEVELS)
