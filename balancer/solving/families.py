"""Groups of guests: only so much of them in one domain, or only so many hosts that carry them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from balancer.domain.cluster import Cluster
from balancer.domain.host import Resource
from balancer.domain.shapes import AtMost, GroupLoad, HostsTouched, Shape, Together
from balancer.domain.vm import Vm

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Family:
    """In each domain at most `limit` of these guests, counted by their weights; soft where `price` is not None.

    units, weights: which units have members in it, and what each counts
    domain: the domain of each host, -1 where none counts
    base:   what counts in each domain and does not move
    price:  of each unit of weight too much
    scale:  excess of one unit of weight too much
    whole:  the resource of which it counts all that is in use on its hosts; -1 where it counts some guests alone
    """

    units: Ints
    weights: Floats
    domain: Ints
    base: Floats
    limit: float
    price: float | None
    scale: float = 1.0
    whole: int = -1

    @property
    def roof(self) -> float:
        """The limit, and the rounding above it that is not taken for a fault."""
        return self.limit + 1e-9 * max(1.0, abs(self.limit))


@dataclass(frozen=True, eq=False)
class Company:
    """Guests that are to be on at most `limit` hosts; soft where `price` is not None, per host too many.

    base:  members on each host that do not move
    homes: members on each host today; a hard limit holds for the hosts of today and those of later taken together, so
           that it holds on the way in whatever order guests move
    """

    units: Ints
    base: Ints
    homes: Ints
    limit: int
    price: float | None


def families_of(
    shapes: Iterable[Shape],
    cluster: Cluster,
    resources: Sequence[Resource],
    place_of_host: Mapping[str, int],
    unit_of_vm: Mapping[str, int],
) -> tuple[Family, ...]:
    """Gather the `AtMost` shapes that speak of the same guests, so that a domain is found by its host; and loads."""
    alike: dict[tuple[frozenset[str], int, float | None], list[frozenset[str]]] = defaultdict(list)
    found: list[Family] = []
    for shape in shapes:
        if isinstance(shape, AtMost):
            alike[shape.vms, shape.limit, shape.price].append(shape.hosts)
        elif isinstance(shape, GroupLoad):
            found.append(_load_family(shape, cluster, resources, place_of_host, unit_of_vm))
    for (vms, limit, price), domains in alike.items():
        per_guest = None if price is None else price / max(1, len(vms) - limit)
        guests = [cluster.vm(name) for name in sorted(vms) if cluster.has_vm(name)]
        counted = [(vm, 1.0) for vm in guests]
        for disjoint in _disjoint(domains):
            domain = np.full(len(place_of_host), -1, dtype=np.int64)
            for place, hosts in enumerate(disjoint):
                domain[[place_of_host[h] for h in hosts if h in place_of_host]] = place
            units, weights, base = _counted(counted, domain, len(disjoint), False, place_of_host, unit_of_vm)
            found.append(Family(units, weights, domain, base, float(limit), per_guest))
    return tuple(found)


def _load_family(
    shape: GroupLoad,
    cluster: Cluster,
    resources: Sequence[Resource],
    place_of_host: Mapping[str, int],
    unit_of_vm: Mapping[str, int],
) -> Family:
    domain = np.full(len(place_of_host), -1, dtype=np.int64)
    domain[[place_of_host[h] for h in shape.hosts if h in place_of_host]] = 0
    names = sorted(shape.vms) if shape.vms is not None else [vm.name for vm in cluster.vms]
    guests = [cluster.vm(name) for name in names if cluster.has_vm(name)]
    counted = [(vm, vm.need(shape.resource)) for vm in guests]
    units, weights, base = _counted(counted, domain, 1, True, place_of_host, unit_of_vm)
    if shape.vms is None:
        hosts = [cluster.host(name) for name in sorted(shape.hosts) if cluster.has_host(name)]
        base = base + sum(cluster.fixed_load(host, shape.resource) for host in hosts if host.is_on)
    whole = shape.whole if shape.whole > 0 else 1.0
    price = None if shape.price is None else shape.price / whole
    counts_all = resources.index(shape.resource) if shape.vms is None else -1
    return Family(units, weights, domain, base, shape.limit, price, 1.0 / whole, counts_all)


def _counted(
    guests: Sequence[tuple[Vm, float]],
    domain: Ints,
    domains: int,
    at_both_ends: bool,
    place_of_host: Mapping[str, int],
    unit_of_vm: Mapping[str, int],
) -> tuple[Ints, Floats, Floats]:
    """Return the units with members, what each counts, and what counts in each domain and does not move."""
    of_unit: dict[int, float] = defaultdict(float)
    base = np.zeros(domains)
    for vm, weight in guests:
        if vm.name in unit_of_vm:
            of_unit[unit_of_vm[vm.name]] += weight
        else:
            inside = [int(domain[place_of_host[end]]) for end in {vm.host, vm.at_the_end}]
            # In flight within a domain it is one guest, but its load is there at both ends.
            for place in inside if at_both_ends else set(inside):
                base[place] += weight if place >= 0 else 0.0
    units = np.array(sorted(of_unit), dtype=np.int64)
    return units, np.array([of_unit[unit] for unit in units.tolist()], dtype=np.float64), base


def companies_of(
    shapes: Iterable[Shape], cluster: Cluster, place_of_host: Mapping[str, int], unit_of_vm: Mapping[str, int]
) -> tuple[Company, ...]:
    """Gather the shapes that count hosts: guests that like to be together, and those that are on few hosts."""
    found: list[Company] = []
    for shape in shapes:
        if isinstance(shape, HostsTouched):
            most = max(1, len(shape.vms) - shape.limit)
            price = None if shape.price is None else shape.price / most
            company = _company(shape.vms, shape.limit, price, True, cluster, place_of_host, unit_of_vm)
            found.append(company)
        elif isinstance(shape, Together) and shape.price is not None:
            price = shape.price / max(1, len(shape.vms) - 1)
            found.append(_company(shape.vms, 1, price, False, cluster, place_of_host, unit_of_vm))
    return tuple(found)


def _company(
    vms: frozenset[str],
    limit: int,
    price: float | None,
    at_both_ends: bool,
    cluster: Cluster,
    place_of_host: Mapping[str, int],
    unit_of_vm: Mapping[str, int],
) -> Company:
    guests = [cluster.vm(name) for name in sorted(vms) if cluster.has_vm(name)]
    base, homes = np.zeros((2, len(place_of_host)), dtype=np.int64)
    for vm in guests:
        if vm.name in unit_of_vm:
            homes[place_of_host[vm.host]] += 1
            continue
        for end in {vm.host, vm.at_the_end} if at_both_ends else {vm.at_the_end}:
            base[place_of_host[end]] += 1
    units = np.unique(np.array([unit_of_vm[vm.name] for vm in guests if vm.name in unit_of_vm], dtype=np.int64))
    return Company(units, base, homes, limit, price)


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
