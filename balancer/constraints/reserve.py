"""Keep room for the guests of hosts that may be lost.

for any `host_failures` hosts that are lost: each of their guests finds a host that is on and has room for it
used[host, resource] <= share[resource] * usable[host, resource]      then, on what is left
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from balancer.constraints.base import Constraint
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, HostState, Resource
from balancer.domain.reach import reach_of
from balancer.domain.shapes import Losses, Shape
from balancer.domain.value import Name, Share
from balancer.domain.violation import Violation
from balancer.domain.vm import Movable, Vm

ROUNDING = 1e-9


class Reserve(Constraint):
    """Keep enough room awake that every guest of a lost host can be started again elsewhere, the largest too.

    For each loss a place is sought for each guest, largest first, on the host that it fills most; where one finds none
    the reserve counts as broken. Hosts that sleep, are drained or in doubt are no reserve. Guests that can run on their
    host alone need no place. It holds at rest: while guests are on their way they have places of their own.
    """

    example: ClassVar[str] = "{kind: reserve, host_failures: 1}"
    at_rest: ClassVar[bool] = True

    kind: Literal["reserve"]
    host_failures: Annotated[int, Field(strict=True, ge=1, le=3)] = Field(
        default=1, description="so many are lost at the same time; with 2 or 3 many combinations have to be proven"
    )
    across: Name = Field(default="host", description="what is lost: a `host`, or all that share a label such as `rack`")
    cpu: Share = Field(default=1.0, description="how full a host may get then: share of its usable cores")
    memory: Share = Field(default=1.0, description="share of its usable memory")
    match: dict[str, str] | None = Field(
        default=None,
        description="only guests that bear these labels are started again; absent: all",
        examples=[{"tier": "db"}],
    )

    @property
    def shares(self) -> tuple[tuple[Resource, float], ...]:
        return (CPU, self.cpu), (MEMORY, self.memory)

    def described(self) -> str:
        return f"reserve for {self.host_failures} {self.across}{'s' if self.host_failures > 1 else ''}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        names = frozenset(vm.name for vm in cluster.vms if self._is_started_again(vm))
        domains = tuple(frozenset(hosts) for hosts in self._domains(cluster.hosts).values())
        yield Losses(domains, self.host_failures, self.shares, names, self.price)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is the number of guests that would find no place."""
        wanted = [vm for vm in cluster.vms if self._is_started_again(vm)]
        reach = {vm.name: hosts for vm, hosts in reach_of(wanted, cluster.hosts, anew=True)}
        domains = self._domains(host for host in cluster.hosts if host.is_on)
        found = []
        for lost in combinations(sorted(domains), min(self.host_failures, len(domains))):
            hosts = {name for domain in lost for name in domains[domain]}
            homeless = self._without_place(cluster, hosts, wanted, reach)
            if homeless:
                detail = f"without {' and '.join(lost)} there is no room for {_listed(homeless)}"
                subject = "+".join(f"{self.across}:{domain}" for domain in lost)
                found.append(self.broken(subject, len(homeless), detail, largest=max(1, len(wanted))))
        return found

    def _without_place(
        self, cluster: Cluster, lost: set[str], wanted: Iterable[Vm], reach: Mapping[str, frozenset[str]]
    ) -> list[str]:
        """Place the guests of lost hosts, largest first, where they leave least room; return those that find none."""
        left = [h for h in cluster.hosts if h.takes_guests and h.name not in lost and not cluster.is_doubted(h)]
        room = {h.name: {r: share * h.usable(r) - cluster.used(h, r) for r, share in self.shares} for h in left}
        whole = {r: sum(host.usable(r) for host in cluster.hosts) or 1.0 for r, _ in self.shares}
        # One that is on its way to a host that is left starts there, where its place is kept already.
        homeless = [vm for vm in wanted if vm.host in lost and (vm.moving_to is None or vm.moving_to in lost)]
        homeless.sort(key=lambda vm: (-max(vm.need(r) / whole[r] for r in whole), vm.name))
        nowhere = []
        for vm in homeless:
            needs = {r: vm.need(r) for r in whole}
            fits = [
                host
                for host in left
                if host.name in reach[vm.name]
                and all(room[host.name][r] >= needs[r] - ROUNDING * max(1.0, host.usable(r)) for r in needs)
            ]
            if not fits:
                nowhere.append(vm.name)
                continue
            tightest = min(fits, key=lambda host: _least_left(room[host.name], needs, host))
            for r, need in needs.items():
                room[tightest.name][r] -= need
        return nowhere

    def _is_started_again(self, vm: Vm) -> bool:
        bears = self.match is None or self.match.items() <= vm.labels.items()
        # A disk that is on one host alone is lost with it, whether or not it could be copied before.
        return bears and vm.is_active and vm.movable is not Movable.NEVER and vm.storage == "shared"

    def _domains(self, hosts: Iterable[Host]) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for host in hosts:
            if host.state is not HostState.MAINTENANCE:
                # A host of which nobody said the rack fails alone: that another fails with it, nobody said either.
                found[host.label(self.across) or host.name].append(host.name)
        return found

    def remarks(self, cluster: Cluster) -> list[str]:
        domains = self._domains(cluster.hosts)
        if len(domains) <= self.host_failures:
            lost = f"when {self.host_failures} are lost, none is left"
            return [f"there are only {len(domains)} of `{self.across}`: {lost}"]
        return []


def _least_left(room: Mapping[Resource, float], needs: Mapping[Resource, float], host: Host) -> float:
    """Return the share of a host that would still be free with a guest, in its scarcest resource."""
    return min((room[r] - need) / max(host.usable(r), 1e-9) for r, need in needs.items())


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
