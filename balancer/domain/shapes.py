"""The few shapes that promises and wishes are lowered to. Models and search know these, never a constraint.

A shape with `price` None is hard. A soft one costs `price` per unit of excess, given as a share of its largest possible
excess. A hard limit that is broken today starts at today's excess: a plan may ease it and may not add to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from balancer.domain.host import Resource


@dataclass(frozen=True)
class AllowedHosts:
    """A guest may be on these hosts alone."""

    vm: str
    hosts: frozenset[str]
    price: float | None = None


@dataclass(frozen=True)
class CapacityShare:
    """What is used on a host may be at most this share of what is usable."""

    host: str
    resource: Resource
    share: float
    price: float | None = None


@dataclass(frozen=True)
class AtMost:
    """At most `limit` of these guests may be within one domain, a set of hosts (one host, a rack, a site)."""

    vms: frozenset[str]
    hosts: frozenset[str]
    limit: int
    price: float | None = None


@dataclass(frozen=True)
class Together:
    """These guests share one host."""

    vms: frozenset[str]
    price: float | None = None


@dataclass(frozen=True)
class GroupLoad:
    """What these guests need on these hosts may be at most `limit`; `vms` None means everything that is in use there.

    `whole` is the amount that counts as an excess of 1: what all these hosts together have.
    """

    vms: frozenset[str] | None
    hosts: frozenset[str]
    resource: Resource
    limit: float
    whole: float
    price: float | None = None


@dataclass(frozen=True)
class HostsTouched:
    """These guests are on at most `limit` hosts."""

    vms: frozenset[str]
    limit: int
    price: float | None = None


@dataclass(frozen=True)
class HostsOn:
    """At least, or at most, so many of these hosts are on."""

    hosts: frozenset[str]
    at_least: int = 0
    at_most: int | None = None
    price: float | None = None


@dataclass(frozen=True)
class Losses:
    """When any `failures` of these domains (hosts, racks) are lost, what is left has a place for each of their guests.

    shares: how full a host may get then, of each resource
    vms:    the guests that have to be started again; a lost guest that is not named needs no place
    """

    domains: tuple[frozenset[str], ...]
    failures: int
    shares: tuple[tuple[Resource, float], ...]
    vms: frozenset[str]
    price: float | None = None


@dataclass(frozen=True)
class HostMust:
    """A host has to be on, or off."""

    host: str
    on: bool


@dataclass(frozen=True)
class LoadCurve:
    """Being loaded costs: `factor` * (used / usable)^2 on a host that is on; convex, 0 when empty."""

    host: str
    resource: Resource
    factor: float


@dataclass(frozen=True)
class LoadTable:
    """Being loaded costs what a table says on a host that is on: straight lines between points, the last one goes on.

    points: load in the resource's own unit, and its cost; at least two, loads rising from 0, where it costs 0
    """

    host: str
    resource: Resource
    points: tuple[tuple[float, float], ...]

    def at(self, load: float) -> float:
        """Return what a load costs."""
        lines = list(pairwise(self.points))
        (start, low), (end, high) = next((line for line in lines if load < line[1][0]), lines[-1])
        return low + (load - start) * (high - low) / (end - start)


@dataclass(frozen=True)
class HostOn:
    """A host that is on costs this much, empty or not."""

    host: str
    cost: float


@dataclass(frozen=True)
class MoveCost:
    """A guest that ends up on another host than today's costs this much."""

    vm: str
    cost: float


Shape = AllowedHosts | CapacityShare | AtMost | Together | GroupLoad | HostsTouched | HostsOn | Losses | HostMust
Cost = LoadCurve | LoadTable | HostOn | MoveCost
