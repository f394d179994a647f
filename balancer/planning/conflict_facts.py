"""The facts that exclude each other, as few as it takes, in words and with numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, VCPUS, Resource
from balancer.domain.reach import reach_of
from balancer.domain.shapes import (
    AllowedHosts,
    AtMost,
    CapacityShare,
    GroupLoad,
    HostMust,
    HostsOn,
    HostsTouched,
    Losses,
    Shape,
    Together,
)
from balancer.domain.units import count_of, memory_in_words
from balancer.solving.feasible import find_any

MOST_SHAPES = 40  # more are told in sum: leaving out one after the other would take too many models


def what_excludes(cluster: Cluster, shapes: Sequence[Shape], facts: Sequence[Shape]) -> tuple[str, ...]:
    """Say what excludes each other, in as few facts as it takes where that can be found out."""
    needed = _needed(cluster, shapes, facts)
    return tuple(_said(cluster, needed, [fact for fact in facts if isinstance(fact, AllowedHosts)]))


def _needed(cluster: Cluster, shapes: Sequence[Shape], facts: Sequence[Shape]) -> list[Shape]:
    left = list(shapes)
    # A whole resource first: facts about one of them read better than a mixture that excludes each other as well.
    resources = list(dict.fromkeys(shape.resource for shape in shapes if isinstance(shape, CapacityShare)))
    for resource in resources if len(resources) > 1 else ():
        left = _without(cluster, left, facts, lambda s, r=resource: getattr(s, "resource", None) == r)  # type: ignore[misc]
    for shape in left if len(left) <= MOST_SHAPES else ():
        left = _without(cluster, left, facts, lambda s, one=shape: s is one)  # type: ignore[misc]
    return left


def _without(
    cluster: Cluster, shapes: list[Shape], facts: Sequence[Shape], is_out: Callable[[Shape], bool]
) -> list[Shape]:
    """Leave some shapes out where the others exclude each other without them."""
    fewer = [shape for shape in shapes if not is_out(shape)]
    return fewer if fewer and find_any(cluster, fewer, facts).is_possible is False else shapes


def _guests_in(shape: Shape) -> frozenset[str]:
    if isinstance(shape, AllowedHosts):
        return frozenset({shape.vm})
    return frozenset() if isinstance(shape, Losses) else getattr(shape, "vms", None) or frozenset()


def _said(cluster: Cluster, shapes: Sequence[Shape], facts: Sequence[AllowedHosts]) -> Iterator[str]:
    named = {name for shape in shapes for name in _guests_in(shape)}
    yield from _homes([shape for shape in shapes if isinstance(shape, AllowedHosts)])
    yield from _stuck(cluster, [fact for fact in facts if fact.vm in named])
    yield from _crowds([shape for shape in shapes if isinstance(shape, AtMost)])
    for shape in shapes:
        match shape:
            case Together():
                yield f"{listed(shape.vms)} share a host"
            case HostsTouched():
                yield f"{listed(shape.vms)} use at most {count_of(shape.limit, 'host')}"
            case HostsOn():
                yield from _counts(shape)
            case GroupLoad():
                yield _group(cluster, shape)
            case Losses():
                yield from _losses(cluster, shape)
            case HostMust():
                yield f"{shape.host} has to be {'on' if shape.on else 'off'}"
    yield from _capacities(cluster, [shape for shape in shapes if isinstance(shape, CapacityShare)], [*shapes, *facts])


def _homes(shapes: Sequence[AllowedHosts]) -> Iterator[str]:
    by_hosts: dict[frozenset[str], set[str]] = defaultdict(set)
    for shape in shapes:
        by_hosts[shape.hosts].add(shape.vm)
    for hosts, vms in by_hosts.items():
        yield f"{listed(vms)} may be on {listed(hosts) or 'no host'} alone"


def _stuck(cluster: Cluster, facts: Sequence[AllowedHosts]) -> Iterator[str]:
    by_home: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        if fact.hosts == {cluster.vm(fact.vm).host}:
            by_home[cluster.vm(fact.vm).host].add(fact.vm)
    for home, vms in by_home.items():
        yield f"{listed(vms)} cannot leave {home}"


def _crowds(shapes: Sequence[AtMost]) -> Iterator[str]:
    by_group: dict[tuple[frozenset[str], int], list[frozenset[str]]] = defaultdict(list)
    for shape in shapes:
        by_group[shape.vms, shape.limit].append(shape.hosts)
    for (vms, limit), domains in by_group.items():
        if all(len(hosts) == 1 for hosts in domains):
            where = f"one host of {listed(host for hosts in domains for host in hosts)}"
        else:
            where = ", as on ".join(f"{listed(hosts)} together" for hosts in sorted(domains, key=sorted)[:3])
        yield f"at most {limit} of {listed(vms)} may be on {where}"


def _counts(shape: HostsOn) -> Iterator[str]:
    if shape.at_least:
        yield f"at least {shape.at_least} of {listed(shape.hosts)} are on"
    if shape.at_most is not None:
        yield f"at most {shape.at_most} of {listed(shape.hosts)} are on"


def _group(cluster: Cluster, shape: GroupLoad) -> str:
    who = "everything" if shape.vms is None else listed(shape.vms)
    amount = said_amount(shape.resource, shape.limit)
    return f"{who} may take {amount} of {listed(shape.hosts)}"


def _losses(cluster: Cluster, shape: Losses) -> Iterator[str]:
    vms = [cluster.vm(name) for name in sorted(shape.vms) if cluster.has_vm(name)]
    alone = [vm.name for vm, hosts in reach_of(vms, cluster.hosts, anew=True) if len(hosts) < 2]
    if alone:
        yield f"{listed(alone)} could be started again on no other host"
        return
    for resource, share in shape.shares:
        need = sum(cluster.vm(name).need(resource) for name in shape.vms)
        rooms = sorted(sum(share * cluster.host(h).usable(resource) for h in hosts) for hosts in shape.domains)
        left = sum(rooms[: max(0, len(rooms) - shape.failures)])
        lost = "the largest is" if shape.failures == 1 else f"the {shape.failures} largest are"
        used = sum(cluster.used(host, resource) for host in cluster.hosts)
        if used > left or need > left:
            yield f"when {lost} lost, {said_amount(resource, left)} are left for {said_amount(resource, used)}"
            return
    lost = "one of" if shape.failures == 1 else f"any {shape.failures} of"
    verb = "is" if shape.failures == 1 else "are"
    yield f"when {lost} {len(shape.domains)} {verb} lost, not every guest finds room in what is left"


def _capacities(cluster: Cluster, shapes: Sequence[CapacityShare], others: Sequence[Shape]) -> Iterator[str]:
    by_resource: dict[Resource, list[CapacityShare]] = defaultdict(list)
    for shape in shapes:
        if cluster.has_host(shape.host):
            by_resource[shape.resource].append(shape)
    for resource, limits in by_resource.items():
        lowest: dict[str, float] = {}
        for limit in limits:
            lowest[limit.host] = min(limit.share, lowest.get(limit.host, limit.share))
        room = sum(share * cluster.host(host).usable(resource) for host, share in lowest.items())
        who = _who_needs(cluster, resource, lowest.keys(), others)
        yield f"{listed(lowest)} may be filled with {said_amount(resource, room)}, {who}"


def _who_needs(cluster: Cluster, resource: Resource, hosts: Iterable[str], others: Sequence[Shape]) -> str:
    """Say what has to go there: guests that may be nowhere else, or all that there is."""
    names = set(hosts)
    if names >= set(cluster.host_by_name):
        used = sum(cluster.used(host, resource) for host in cluster.hosts)
        return f"all guests and hypervisors need {said_amount(resource, used)}"
    every = frozenset(cluster.host_by_name)
    choices: dict[str, frozenset[str]] = defaultdict(lambda: every)
    for shape in others:
        if isinstance(shape, AllowedHosts):
            choices[shape.vm] &= shape.hosts
    bound = [name for name, hosts in choices.items() if hosts <= names and cluster.vm(name).need(resource) > 0]
    need = sum(cluster.vm(name).need(resource) for name in bound)
    if not bound:
        return "which is not enough for what has to be there"
    return f"{listed(bound)} need{'s' if len(bound) == 1 else ''} {said_amount(resource, need)}"


def said_amount(resource: Resource, amount: float) -> str:
    """Say an amount of a resource: `12.5 cores`, `60.8 GiB of memory`."""
    if resource == CPU:
        return f"{amount:.1f} cores"
    if resource == VCPUS:
        return f"{amount:.0f} vCPUs"
    return f"{memory_in_words(amount)} of memory" if resource == MEMORY else f"{amount:g} {resource}"


def listed(names: Iterable[str]) -> str:
    """Name things in order, a few of many."""
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
