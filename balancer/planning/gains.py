"""What each move buys, and the reason in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, CPU_DEMAND, MEMORY, Resource
from balancer.domain.placement import Move
from balancer.domain.shapes import Cost, HostOn, LoadCurve, LoadTable
from balancer.domain.violation import Violation

MENDING = 1000.0  # a promise that is mended outranks everything that only saves or evens


_SAID: Mapping[Resource, str] = {CPU: "CPU"}


@dataclass(frozen=True)
class Gain:
    """What undoing a move, at the end of the plan, would cost; and why the move is made."""

    worth: float
    because: str


class Gains:
    """Looks up what each move of a plan buys, by undoing it in the placement that the plan ends in."""

    def __init__(
        self, now: Cluster, later: Cluster, costs: Iterable[Cost], broken: Iterable[Violation], sleeping: frozenset[str]
    ) -> None:
        self._now, self._later, self._sleeping = now, later, sleeping
        listed = tuple(costs)
        self._factor = {(c.host, c.resource): c.factor for c in listed if isinstance(c, LoadCurve)}
        self._table = {(c.host, c.resource): c for c in listed if isinstance(c, LoadTable)}
        self._on = {c.host: c.cost for c in listed if isinstance(c, HostOn)}
        self._broken = tuple(violation for violation in broken if violation.hard)
        self._resources = tuple(dict.fromkeys(resource for _, resource in (*self._factor, *self._table)))

    def of(self, move: Move, companions: int = 1) -> Gain:
        """Return what a move buys; `companions` moves empty the same host together and share what that buys."""
        mended = next((v for v in self._broken if self._mends(move, v)), None)
        if mended is not None:
            return Gain(MENDING + mended.excess, f"mends {mended}")
        if self._now.host(move.source).is_being_emptied:
            return Gain(MENDING, f"empties {move.source}, which is {self._now.host(move.source).state}")
        if move.source in self._sleeping:
            return Gain(self._worth_of_sleep(move.source) / companions, self._said_sleep(move.source))
        worth = self._worth_of_evenness(move)
        if not self._now.host(move.target).is_on:
            return Gain(worth, f"fills {move.target}, which is woken for it")
        return Gain(worth, (worth > 0 and self._said_by_table(move, worth)) or self._said_evenness(move))

    def _mends(self, move: Move, broken: Violation) -> bool:
        return move.vm in broken.involves or broken.subject.startswith(f"host:{move.source}/")

    def _worth_of_sleep(self, host: str) -> float:
        return self._on.get(host, 0.0)

    def _said_sleep(self, host: str) -> str:
        power = self._now.host(host).power
        saved = f" and save {power.idle - power.off_watts:.0f} W" if power else ""
        return f"empties {host}, to sleep{saved}"

    def _worth_of_evenness(self, move: Move) -> float:
        return sum(self._change(move, resource, self._evenness) for resource in self._resources) + sum(
            self._change(move, resource, self._tabled) for resource in self._resources
        )

    def _change(self, move: Move, resource: Resource, cost_at: Callable[[str, Resource, float], float]) -> float:
        need = self._now.vm(move.vm).need(resource)
        back = cost_at(move.source, resource, need) - cost_at(move.source, resource, 0.0)
        return back + cost_at(move.target, resource, -need) - cost_at(move.target, resource, 0.0)

    def _evenness(self, name: str, resource: Resource, more: float) -> float:
        """Return what the evenness of a host costs with so much more on it."""
        host = self._later.host(name)
        usable, used = host.usable(resource), self._later.used(host, resource)
        factor = self._factor.get((name, resource), 0.0)
        return factor * ((used + more) / usable) ** 2 if usable > 0 else 0.0

    def _tabled(self, name: str, resource: Resource, more: float) -> float:
        """Return what its table says, of watts or of waiting."""
        table = self._table.get((name, resource))
        return 0.0 if table is None else table.at(self._later.used(self._later.host(name), resource) + more)

    def _said_by_table(self, move: Move, worth: float) -> str:
        """Say that most of a gain is watts or waiting; nothing where it is evenness."""
        if self._change(move, CPU, self._tabled) > worth / 2:
            return f"takes fewer watts on {move.target} than on {move.source}"
        if self._change(move, CPU_DEMAND, self._tabled) > worth / 2:
            return f"lets guests on {move.source} wait less for a core"
        return ""

    def _said_evenness(self, move: Move) -> str:
        source, target = self._now.host(move.source), self._now.host(move.target)
        further = [r for r in self._resources if r not in {CPU, CPU_DEMAND, MEMORY} and self._counts(move, r)]
        relief = {resource: self._relief(move, resource) for resource in (CPU, MEMORY, *further)}
        resource = max(relief, key=lambda each: relief[each])
        if relief[resource] <= 0:
            return f"makes room on {source.name} for guests that come from elsewhere"
        if self._now.utilisation(target, resource) > self._now.utilisation(source, resource):
            return f"evens {_SAID.get(resource, resource)} over all hosts"
        change = ", ".join(
            f"{end} {self._share(self._now, end, resource)} → {self._share(self._later, end, resource)}"
            for end in (move.source, move.target)
        )
        return f"evens {_SAID.get(resource, resource)}: {change}"

    def _counts(self, move: Move, resource: Resource) -> bool:
        """Whether a guest uses some of it, and both its hosts have some."""
        ends = (self._now.host(name) for name in (move.source, move.target))
        return self._now.vm(move.vm).need(resource) > 0 and all(host.usable(resource) > 0 for host in ends)

    def _relief(self, move: Move, resource: Resource) -> float:
        """Return how much fuller the source is today than at the end of the plan."""
        before, after = (each.host(move.source) for each in (self._now, self._later))
        return self._now.utilisation(before, resource) - self._later.utilisation(after, resource)

    @staticmethod
    def _share(cluster: Cluster, name: str, resource: Resource) -> str:
        return f"{cluster.utilisation(cluster.host(name), resource):.0%}"


def companions(moves: Iterable[Move]) -> Mapping[str, int]:
    """Count the moves off each host."""
    counted: dict[str, int] = {}
    for move in moves:
        counted[move.source] = counted.get(move.source, 0) + 1
    return counted
