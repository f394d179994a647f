"""Groups of guests of which only so many may be within one domain, or which like to share a host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from balancer.domain.cluster import Cluster
from balancer.domain.shapes import AtMost, Shape, Together
from balancer.domain.vm import Vm

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Family:
    """At most `limit` of these guests in each domain; soft where `price` is not None, per guest too many.

    units, weights: which units have members in it, and how many
    domain: the domain of each host, -1 where none counts
    base:   members in each domain that do not move
    """

    units: Ints
    weights: Ints
    domain: Ints
    base: Ints
    limit: int
    price: float | None


@dataclass(frozen=True, eq=False)
class Company:
    """Guests that like to share a host; each host beyond the first costs `price`. `base` members do not move."""

    units: Ints
    base: Ints
    price: float


def families_of(
    shapes: Iterable[Shape], cluster: Cluster, place_of_host: Mapping[str, int], unit_of_vm: Mapping[str, int]
) -> tuple[Family, ...]:
    """Gather the `AtMost` shapes that speak of the same guests, so that a domain is found by its host."""
    alike: dict[tuple[frozenset[str], int, float | None], list[frozenset[str]]] = defaultdict(list)
    for shape in shapes:
        if isinstance(shape, AtMost):
            alike[shape.vms, shape.limit, shape.price].append(shape.hosts)
    found: list[Family] = []
    for (vms, limit, price), domains in alike.items():
        per_guest = None if price is None else price / max(1, len(vms) - limit)
        for disjoint in _disjoint(domains):
            domain = np.full(len(place_of_host), -1, dtype=np.int64)
            for place, hosts in enumerate(disjoint):
                domain[[place_of_host[h] for h in hosts if h in place_of_host]] = place
            guests = [cluster.vm(name) for name in sorted(vms) if cluster.has_vm(name)]
            units, weights = _units(guests, unit_of_vm)
            base = np.zeros(len(disjoint), dtype=np.int64)
            for vm in guests:
                if vm.name not in unit_of_vm:
                    ends = {int(domain[place_of_host[h]]) for h in (vm.host, vm.moving_to or vm.host)} - {-1}
                    base[list(ends)] += 1
            found.append(Family(units, weights, domain, base, limit, per_guest))
    return tuple(found)


def companies_of(
    shapes: Iterable[Shape], cluster: Cluster, place_of_host: Mapping[str, int], unit_of_vm: Mapping[str, int]
) -> tuple[Company, ...]:
    """Gather the soft `Together` shapes."""
    found: list[Company] = []
    for shape in shapes:
        if isinstance(shape, Together) and shape.price is not None:
            guests = [cluster.vm(name) for name in sorted(shape.vms) if cluster.has_vm(name)]
            units, _ = _units(guests, unit_of_vm)
            base = np.zeros(len(place_of_host), dtype=np.int64)
            for vm in guests:
                if vm.name not in unit_of_vm:
                    base[place_of_host[vm.moving_to or vm.host]] += 1
            found.append(Company(units, base, shape.price / max(1, len(shape.vms) - 1)))
    return tuple(found)


def _units(guests: Sequence[Vm], unit_of_vm: Mapping[str, int]) -> tuple[Ints, Ints]:
    members = [unit_of_vm[vm.name] for vm in guests if vm.name in unit_of_vm]
    units, weights = np.unique(np.array(members, dtype=np.int64), return_counts=True)
    return units, weights.astype(np.int64)


def _disjoint(domains: Iterable[frozenset[str]]) -> list[list[frozenset[str]]]:
    """Split sets of hosts into lists within which no host occurs twice."""
    lists: list[list[frozenset[str]]] = []
    taken: list[set[str]] = []
    for hosts in domains:
        place = next((i for i, used in enumerate(taken) if not used & hosts), len(lists))
        if place == len(lists):
            lists.append([])
            taken.append(set())
        lists[place].append(hosts)
        taken[place] |= hosts
    return lists
