"""Keep some hosts on, or not too many.

number of these hosts that are on, and not being emptied >= at_least
number of these hosts that are on                        <= at_most
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from balancer.constraints.base import Constraint
from balancer.constraints.selectors import OnHosts
from balancer.domain.cluster import Cluster
from balancer.domain.shapes import HostsOn, Shape
from balancer.domain.value import Count
from balancer.domain.violation import Violation


class KeepOn(OnHosts, Constraint):
    """Keep a quorum, a storage cluster or a minimum of a rack awake, or cap how many of a group draw power."""

    example: ClassVar[str] = "{kind: keep_on, hosts_match: {ceph: mon}, at_least: 3}"

    kind: Literal["keep_on"]
    at_least: Count | None = Field(
        default=None, description="so many of them stay on; absent with no at_most: all", examples=[3]
    )
    at_most: Count | None = Field(default=None, description="no more of them are on", examples=[5])

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.at_most is not None and (self.at_least or 0) > self.at_most:
            raise ValueError(f"asks for at least {self.at_least} and at most {self.at_most}")
        return self

    def described(self) -> str:
        least = "all" if self.at_least is None else f"at least {self.at_least}"
        return f"keep_on {least if self.at_most is None else f'at most {self.at_most}'} of {self.said_hosts()}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        hosts = self.chosen_hosts(cluster)
        serving = self._serving(cluster, hosts)
        if serving:
            share = len(serving) / len(hosts)  # a wish is priced by all its hosts
            yield HostsOn(serving, self._least(serving), None, None if self.price is None else self.price * share)
        if hosts and self.at_most is not None:
            yield HostsOn(hosts, 0, self.at_most, self.price)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is the number of hosts too few, or too many."""
        hosts = self.chosen_hosts(cluster)
        serving = self._serving(cluster, hosts)
        on, there = (sum(cluster.host(name).is_on for name in names) for names in (hosts, serving))
        missing = max(0, self._least(serving) - there)
        extra = 0 if self.at_most is None else max(0, on - self.at_most)
        if missing + extra == 0:
            return []
        wanted = f"at least {self._least(serving)}" if missing else f"at most {self.at_most}"
        but = f", {on - there} of them to be emptied" if missing and on > there else ""
        detail = f"{on} of the {len(hosts)} hosts {self.said_hosts()} are on{but}, wanted are {wanted}"
        return [self.broken(f"group:{self.said_hosts()}", missing + extra, detail, largest=len(hosts))]

    @staticmethod
    def _serving(cluster: Cluster, hosts: frozenset[str]) -> frozenset[str]:
        """Return the hosts that can be counted on: one that is drained may be switched off by hand at any moment."""
        return frozenset(name for name in hosts if not cluster.host(name).is_being_emptied)

    def _least(self, hosts: frozenset[str]) -> int:
        if self.at_least is None:
            return len(hosts) if self.at_most is None else 0
        # A host that is gone for good cannot be kept on.
        return min(self.at_least, len(hosts))

    def remarks(self, cluster: Cluster) -> list[str]:
        few = len(self.chosen_hosts(cluster)) < (self.at_least or 0)
        short = [f"there are only {len(self.chosen_hosts(cluster))} such hosts"] if few else []
        return self.host_remarks(cluster) + short
