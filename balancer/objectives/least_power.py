"""Keep few hosts on, the hungriest first to go.

    P = sum over hosts that are on of watts / idle watts of all hosts

`watts` are a host's idle watts; with `planned_load` those of its table for the CPU in use there, straight between its
points, and P can pass 1. A watt weighs the same either way, so a weight need not be changed with it. A host that is on
and empty counts. Where nobody gave watts each host weighs 1; a host without them among others that have them is taken
for their mean. Tables at 0, 10, ... 100 % of load are what SPECpower_ssj2008 reports give; they bend both ways.

Where the policy's schedule says when a kWh costs what, the weight in force is `weight * cost in the coming hour / usual
cost` (balancer/policy/prices.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host, Power
from balancer.domain.shapes import Cost, HostOn, LoadTable
from balancer.domain.value import Flag
from balancer.objectives.base import Objective

STEPS = 10  # of the mean of several tables: as many as most tables have


class LeastPower(Objective):
    """Prefer placements that need fewer watts: of idle power, or at the load that is planned."""

    kind: ClassVar[str] = "least_power"
    example: ClassVar[str] = "least_power: {weight: 0.3, planned_load: true}"

    planned_load: Flag = Field(
        default=False,
        description="count watts at the planned load rather than idle ones, so that work goes where it takes fewer",
    )

    by_price: Flag = Field(
        default=True,
        description="where the schedule says another price of a kWh for a window (`energy`), weigh more in dear hours "
        "and less in cheap ones, in proportion to the usual price; false: prices are for the accounts alone",
    )

    def lower(self, now: Cluster) -> Iterator[Cost]:
        if self.weight > 0:
            for host, share in _shares(now).items():
                yield HostOn(host, self.weight * share)
            if self.planned_load:
                for table in _tables(now):
                    points = tuple((load, self.weight * cost) for load, cost in table.points)
                    yield LoadTable(table.host, CPU, points)

    def share(self, now: Cluster, later: Cluster) -> float:
        shares = _shares(now)
        idle = sum(shares[host.name] for host in later.hosts if host.is_on)
        return idle + (_share_by_load(now, later) if self.planned_load else 0.0)


def _share_by_load(now: Cluster, later: Cluster) -> float:
    hosts = ((table, later.host(table.host)) for table in _tables(now))
    return sum(table.at(later.used(host, CPU)) for table, host in hosts if host.is_on)


def _shares(cluster: Cluster) -> Mapping[str, float]:
    watts = _idle_watts(cluster)
    total = sum(watts.values())
    return {name: value / total if total > 0 else 0.0 for name, value in watts.items()}


def _idle_watts(cluster: Cluster) -> Mapping[str, float]:
    known = [host.idle_watts for host in cluster.hosts if host.power is not None]
    unknown = sum(known) / len(known) if known else 1.0
    return {host.name: unknown if host.power is None else host.idle_watts for host in cluster.hosts}


def _tables(cluster: Cluster) -> Iterator[LoadTable]:
    """Say what each host's load adds to its idle watts, as a share of the idle watts of all hosts."""
    total = sum(_idle_watts(cluster).values())
    known = [host.power for host in cluster.hosts if host.power is not None]
    mean = _mean_table(known) if len(known) < len(cluster.hosts) else ()
    for host in cluster.hosts if total > 0 else ():
        watts = mean if host.power is None else host.power.table
        if host.cpu_cores > 0 and len(set(watts)) > 1:
            yield LoadTable(host.name, CPU, _points(host, watts, total))


def _mean_table(powers: Sequence[Power]) -> Sequence[float]:
    if not powers:
        return (1.0,)
    return [sum(power.at(step / STEPS) for power in powers) / len(powers) for step in range(STEPS + 1)]


def _points(host: Host, watts: Sequence[float], total: float) -> tuple[tuple[float, float], ...]:
    """A host that is asked for more than all its cores draws what it draws when it is full."""
    steps = len(watts) - 1
    points = [(host.cpu_cores * place / steps, (point - watts[0]) / total) for place, point in enumerate(watts)]
    return (*points, (2.0 * host.cpu_cores, points[-1][1]))
