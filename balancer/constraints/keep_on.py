"""Keep some hosts on, or not too many.

number of these hosts that are on, answer and are not being emptied >= at_least, or at_least_share of them
number of these hosts that are on                        <= at_most

With `across` it holds in each domain (each rack, each site) by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from balancer.constraints.base import Constraint
from balancer.constraints.selectors import OnHosts
from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.shapes import HostsOn, Shape
from balancer.domain.value import Count, Name, Share
from balancer.domain.violation import Unit, Violation

ROUNDING = 1e-9  # a third of three hosts is one host


class KeepOn(OnHosts, Constraint):
    """Keep a quorum, a storage cluster or a minimum of a rack awake, or cap how many of a group draw power."""

    example: ClassVar[str] = "{kind: keep_on, hosts_match: {ceph: mon}, at_least: 3}"
    unit: ClassVar[Unit] = Unit.HOSTS

    kind: Literal["keep_on"]
    at_least: Count | None = Field(
        default=None, description="so many of them stay on; absent with no at_most: all", examples=[3]
    )
    at_least_share: Share | None = Field(
        default=None, description="this share of them stays on, rounded up", examples=[0.5]
    )
    at_most: Count | None = Field(default=None, description="no more of them are on", examples=[5])
    across: Name | None = Field(
        default=None, description="a label of hosts: it holds among those of each value by itself", examples=["rack"]
    )

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.at_least is not None and self.at_least_share is not None:
            raise ValueError("asks for `at_least` and `at_least_share`; keep one of them")
        if self.at_most is not None and (self.at_least or 0) > self.at_most:
            raise ValueError(f"asks for at least {self.at_least} and at most {self.at_most}")
        return self

    @property
    def keeps_all(self) -> bool:
        """Whether each of its hosts stays on."""
        return self.at_least is None and self.at_least_share is None and self.at_most is None

    def described(self) -> str:
        least = "all" if self.at_least is None else f"at least {self.at_least}"
        if self.at_least_share is not None:
            least = f"at least {self.at_least_share:.0%}"
        where = f" in each {self.across}" if self.across else ""
        return f"keep_on {least if self.at_most is None else f'at most {self.at_most}'} of {self.said_hosts()}{where}"

    def lower(self, cluster: Cluster) -> Iterator[Shape]:
        for hosts in self._groups(cluster).values():
            serving = self._serving(cluster, hosts)
            if serving:
                share = len(serving) / len(hosts)  # a wish is priced by all its hosts
                price = None if self.price is None else self.price * share
                yield HostsOn(serving, self._least(hosts, serving), None, price)
            if self.at_most is not None:
                yield HostsOn(hosts, 0, self.at_most, self.price)

    def violations(self, cluster: Cluster) -> list[Violation]:
        """Excess is the number of hosts too few, or too many."""
        found = (self._violation(cluster, domain, hosts) for domain, hosts in self._groups(cluster).items())
        return [violation for violation in found if violation is not None]

    def _violation(self, cluster: Cluster, domain: str, hosts: frozenset[str]) -> Violation | None:
        serving = self._serving(cluster, hosts)
        on, there = (sum(cluster.host(name).is_on for name in names) for names in (hosts, serving))
        least = self._least(hosts, serving)
        missing = max(0, least - there)
        extra = 0 if self.at_most is None else max(0, on - self.at_most)
        if missing + extra == 0:
            return None
        wanted = f"at least {least}" if missing else f"at most {self.at_most}"
        but = f", {on - there} of them to be emptied or silent" if missing and on > there else ""
        here = f" in {self.across} {domain}" if self.across else ""
        detail = f"{on} of the {len(hosts)} hosts {self.said_hosts()}{here} are on{but}, wanted are {wanted}"
        subject = f"group:{self.said_hosts()}" + (f" in {domain}" if self.across else "")
        return self.broken(subject, missing + extra, detail, largest=len(hosts))

    def _groups(self, cluster: Cluster) -> dict[str, frozenset[str]]:
        """Return the hosts among which it holds, by their domain; a host without the label is in none."""
        chosen = self.chosen_hosts(cluster)
        if self.across is None:
            return {"": chosen} if chosen else {}
        across = self.across
        domains = sorted({label for name in chosen if (label := cluster.host(name).label(across)) is not None})
        return {
            domain: frozenset(name for name in chosen if cluster.host(name).label(across) == domain)
            for domain in domains
        }

    @staticmethod
    def _serving(cluster: Cluster, hosts: frozenset[str]) -> frozenset[str]:
        """Return the hosts that can be counted on.

        One that is drained may be switched off by hand at any moment; one that does not answer may have died long ago.
        """
        chosen = (cluster.host(name) for name in hosts)
        return frozenset(h.name for h in chosen if not h.is_being_emptied and h.state is not HostState.UNREACHABLE)

    def _least(self, hosts: frozenset[str], serving: frozenset[str]) -> int:
        """Return how many have to be on. A host that is gone for good cannot be kept on."""
        if self.at_least_share is not None:
            return min(math.ceil(self.at_least_share * len(hosts) - ROUNDING), len(serving))
        if self.at_least is None:
            return len(serving) if self.at_most is None else 0
        return min(self.at_least, len(serving))

    def remarks(self, cluster: Cluster) -> list[str]:
        few = len(self.chosen_hosts(cluster)) < (self.at_least or 0)
        if self.across and not self._groups(cluster):
            return [*self.host_remarks(cluster), f"no host has the label {self.across}"]
        short = [f"there are only {len(self.chosen_hosts(cluster))} such hosts"] if few else []
        return self.host_remarks(cluster) + short
