"""Large clusters in parts: which hosts go into one pod, and what of the problem is a pod's.

A pod is a cluster of its own, with hosts of each kind and about the same load as every other. What spans pods is
shared out: each gets what is in it today and its part of what is left, so that the pods together keep what they were
promised apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, Resource
from balancer.domain.shapes import (
    AllowedHosts,
    AtMost,
    CapacityShare,
    Cost,
    GroupLoad,
    HostMust,
    HostsOn,
    HostsTouched,
    Losses,
    MoveCost,
    Shape,
    Together,
)
from balancer.domain.vm import Vm
from balancer.solving.lowering import resources_of
from balancer.solving.problem import Problem

EXCHANGES_PER_POD = 4
POD_MATES = 20  # pods whose emptiest hosts are looked at together
WOKEN_AT_ONCE, WOKEN_AT_LEAST = 4, 8  # sleepers of each kind that are looked at: a fourth of the hosts in use, and some

Names = frozenset[str]


@dataclass(frozen=True)
class Pod:
    """Some hosts, and the guests that are on them."""

    hosts: Names
    vms: Names


def pods_of(problem: Problem, size: int) -> list[Pod]:
    """Deal hosts out: those that have to be in one pod first, then kind by kind, the fullest first, back and forth."""
    cluster = problem.cluster
    count = max(1, round(len(cluster.hosts) / size))
    dealt: list[list[str]] = [[] for _ in range(count)]
    clumps = _clumps(problem)
    for clump in sorted(clumps, key=lambda names: (-len(names), min(names))):
        min(dealt, key=len).extend(sorted(clump))
    clumped = {name for clump in clumps for name in clump}
    loose = sorted((h for h in cluster.hosts if h.name not in clumped), key=lambda h: _kind_and_load(cluster, h))
    for place, host in enumerate(loose):
        turn, there = divmod(place, count)
        dealt[count - 1 - there if turn % 2 else there].append(host.name)
    _level(cluster, dealt, {host.name for host in loose})
    return _with_their_guests(cluster, [frozenset(names) for names in dealt if names])


def _with_their_guests(cluster: Cluster, hosts: Sequence[Names]) -> list[Pod]:
    pod_of_host = {name: place for place, names in enumerate(hosts) for name in names}
    vms: list[set[str]] = [set() for _ in hosts]
    for vm in cluster.vms:
        if vm.host in pod_of_host:
            vms[pod_of_host[vm.host]].add(vm.name)
    return [Pod(names, frozenset(guests)) for names, guests in zip(hosts, vms, strict=True)]


def _kind_and_load(cluster: Cluster, host: Host) -> tuple[object, ...]:
    return (*_kind(host), -(cluster.utilisation(host, CPU) + cluster.utilisation(host, MEMORY)), host.name)


def _kind(host: Host) -> tuple[object, ...]:
    return host.is_on, host.cpu_model or "", host.labels.get("site", ""), host.usable(CPU), host.usable(MEMORY)


def _level(cluster: Cluster, dealt: list[list[str]], loose: set[str]) -> None:
    """Exchange hosts of one kind between the fullest pod and the emptiest, so that all pods are about equally full."""
    shares = {host.name: [min(cluster.utilisation(host, r), 2.0) for r in (CPU, MEMORY)] for host in cluster.hosts}
    kinds = _numbered_kinds(cluster.hosts, loose)
    share_of = [np.array([shares[name] for name in names]) for names in dealt]
    kind_of = [np.array([kinds[name] for name in names]) for names in dealt]
    sums = np.array([share.sum(axis=0) for share in share_of])
    for turn in range(EXCHANGES_PER_POD * len(dealt)):
        resource = turn % 2
        full, empty = int(sums[:, resource].argmax()), int(sums[:, resource].argmin())
        apart = sums[full] - sums[empty]
        left = apart - 2 * (share_of[full][:, None] - share_of[empty])
        may = (kind_of[full][:, None] == kind_of[empty]) & (kind_of[full] >= 0)[:, None]
        far = np.where(may, left[..., 0] ** 2 + left[..., 1] ** 2, np.inf)
        one, other = divmod(int(far.argmin()), far.shape[1])
        if far[one, other] >= float((apart**2).sum()) - 1e-9:
            continue
        change = share_of[empty][other] - share_of[full][one]
        dealt[full][one], dealt[empty][other] = dealt[empty][other], dealt[full][one]
        share_of[full][one] += change
        share_of[empty][other] -= change
        sums[full] += change
        sums[empty] -= change


def _numbered_kinds(hosts: Iterable[Host], loose: set[str]) -> dict[str, int]:
    """Return a number for each kind of host; -1 for hosts that stay in their pod."""
    numbers: dict[tuple[object, ...], int] = {}
    return {h.name: numbers.setdefault(_kind(h), len(numbers)) if h.name in loose else -1 for h in hosts}


def pods_between(cluster: Cluster, pods: Sequence[Pod], size: int) -> list[Pod]:
    """Make pods of the emptiest hosts of many: each pod has half a host too many that only the others can take over."""
    found: list[Names] = []
    for start in range(0, len(pods), POD_MATES):
        mates = pods[start : start + POD_MATES]
        if len(mates) > 1:
            found.append(
                frozenset(n for pod in mates for n in _emptiest(cluster, pod.hosts, max(2, size // len(mates))))
            )
    return _with_their_guests(cluster, found)


def _emptiest(cluster: Cluster, names: Names, count: int) -> list[str]:
    on = [host for host in (cluster.host(name) for name in sorted(names)) if host.is_on]
    fullness = {host.name: max(cluster.utilisation(host, CPU), cluster.utilisation(host, MEMORY)) for host in on}
    return sorted(fullness, key=lambda name: (fullness[name], name))[:count]


def pod_for_budget(cluster: Cluster, hosts: Sequence[str], gains: Sequence[float], size: int) -> Pod:
    """Return the hosts where a small budget gains most, and those that have most room for what they give away."""
    dear = [name for _, name in sorted((-gain, name) for gain, name in zip(gains, hosts, strict=True))][:size]
    others = frozenset(hosts).difference(dear)
    roomy = _emptiest(cluster, others, size // 4)
    return _with_their_guests(cluster, [frozenset([*dear, *roomy])])[0]


def pod_without_most_sleepers(problem: Problem, most: int) -> Pod | None:
    """Return the hosts that are on and as many of each kind of sleepers as might be woken; None where that is many.

    Of sleepers that are alike any is as good as another, and no cycle wakes more than a part of what is on.
    """
    cluster = problem.cluster
    in_use = [host.name for host in cluster.hosts if host.is_on or cluster.guests_of(host.name)]
    of_each = len(in_use) // WOKEN_AT_ONCE + WOKEN_AT_LEAST
    kinds: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for host in cluster.hosts:
        if host.name in problem.may_wake and not cluster.guests_of(host.name):
            kinds[(*_kind(host), host.power, *sorted(host.labels.items()))].append(host.name)
    chosen = frozenset([*in_use, *(name for names in kinds.values() for name in names[:of_each])])
    if len(chosen) > most or len(chosen) == len(cluster.hosts):
        return None
    return _with_their_guests(cluster, [chosen])[0]


def rest_of(cluster: Cluster, pods: Sequence[Pod]) -> Pod:
    """Return what is in none of these pods: it counts in what spans pods, and stays as it is."""
    hosts = frozenset(cluster.host_by_name).difference(*(pod.hosts for pod in pods))
    return Pod(hosts, frozenset(cluster.vm_names).difference(*(pod.vms for pod in pods)))


def _clumps(problem: Problem) -> list[Names]:
    """Find hosts that need each other: ends of a flight, of a split group, of a guest that is where it may not be."""
    cluster = problem.cluster
    leader = {host.name: host.name for host in cluster.hosts}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for names in _bound_together(problem):
        first = find(names[0])
        for other in names[1:]:
            leader[find(other)] = first
    members: dict[str, set[str]] = defaultdict(set)
    for host in leader:
        members[find(host)].add(host)
    return [frozenset(names) for names in members.values() if len(names) > 1]


def _bound_together(problem: Problem) -> Iterable[list[str]]:
    cluster = problem.cluster
    for vm in cluster.vms:
        if vm.is_in_flight:
            yield [vm.host, vm.at_the_end]
    for shape in problem.shapes:
        if isinstance(shape, Together) and shape.price is None:
            ends = {cluster.vm(name).host for name in shape.vms if cluster.has_vm(name)}
            if len(ends) > 1:
                yield sorted(ends)
        elif isinstance(shape, AllowedHosts) and shape.price is None and cluster.has_vm(shape.vm):
            home = cluster.vm(shape.vm).host
            elsewhere = [cluster.host(name) for name in sorted(shape.hosts) if cluster.has_host(name)]
            if home not in shape.hosts and elsewhere:
                yield [home, min(elsewhere, key=lambda host: cluster.utilisation(host, MEMORY)).name]


def parts_of_problem(problem: Problem, pods: Sequence[Pod]) -> list[Problem]:
    """Return each pod's part of a problem; its budget is the whole one, to be shared out by whoever asks."""
    shapes, costs, resources = _shapes_of_pods(problem, pods), _costs_of_pods(problem, pods), resources_of(problem)
    return [
        replace(
            problem,
            cluster=_part_of_cluster(problem.cluster, pod, resources),
            shapes=tuple(shapes[place]),
            costs=tuple(costs[place]),
            may_move=(problem.may_move & pod.vms) - _parted(shapes[place], pod),
            may_sleep=problem.may_sleep & pod.hosts,
            may_wake=problem.may_wake & pod.hosts,
        )
        for place, pod in enumerate(pods)
    ]


def _part_of_cluster(cluster: Cluster, pod: Pod, resources: Iterable[Resource]) -> Cluster:
    hosts = tuple(cluster.host(name) for name in sorted(pod.hosts))
    vms = tuple(vm for h in hosts for vm in cluster.guests_of(h.name) if vm.name in pod.vms and vm.host == h.name)
    # What was seen has been validated; a part of it needs no second look.
    part = Cluster.model_construct(
        schema_=cluster.schema_,
        taken_at=cluster.taken_at,
        cluster=cluster.cluster,
        hosts=hosts,
        vms=tuple(sorted(vms, key=lambda vm: vm.name)),
        links=cluster.links,
        doubts=cluster.doubts,
    )
    part.__dict__["_fixed"] = cluster._fixed
    # Guests that arrive from another pod are load here too.
    part.__dict__["_used"] = {(host.name, r): cluster.used(host, r) for host in hosts for r in resources}
    part.__dict__["doubted"] = cluster.doubted
    return part


def _parted(shapes: Iterable[Shape], pod: Pod) -> Names:
    """Members of a group that has to be together and is not all here: none of them may go."""
    groups = (shape.vms for shape in shapes if isinstance(shape, Together) and shape.price is None)
    return frozenset(name for group in groups if not group <= pod.vms for name in group)


def _costs_of_pods(problem: Problem, pods: Sequence[Pod]) -> list[list[Cost]]:
    of_host, of_vm = _places(pods)
    found: list[list[Cost]] = [[] for _ in pods]
    for cost in problem.costs:
        place = of_vm.get(cost.vm) if isinstance(cost, MoveCost) else of_host.get(cost.host)
        if place is not None:
            found[place].append(cost)
    return found


def _places(pods: Sequence[Pod]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    of_host = {name: place for place, pod in enumerate(pods) for name in pod.hosts}
    return of_host, {name: place for place, pod in enumerate(pods) for name in pod.vms}


def _shapes_of_pods(problem: Problem, pods: Sequence[Pod]) -> list[list[Shape]]:
    of_host, of_vm = _places(pods)
    found: list[list[Shape]] = [[] for _ in pods]
    parted: dict[Names, dict[int, Names]] = {}  # groups, by pod: the same group speaks of each host
    for shape in problem.shapes:
        if isinstance(shape, AllowedHosts):
            if shape.vm in of_vm:
                found[of_vm[shape.vm]].append(shape)
        elif isinstance(shape, CapacityShare | HostMust):
            if shape.host in of_host:
                found[of_host[shape.host]].append(shape)
        elif isinstance(shape, AtMost) and len(shape.hosts) == 1:
            place = of_host.get(min(shape.hosts), -1)
            if shape.vms not in parted:
                parted[shape.vms] = _by_place(shape.vms, of_vm)
            members = parted[shape.vms].get(place, frozenset())
            if len(members) > shape.limit:
                found[place].append(_crowd(shape, members, shape.hosts, shape.limit))
        else:
            for place, part in _shared_out(shape, problem.cluster, pods, of_host, of_vm):
                found[place].append(part)
    return found


def _shared_out(
    shape: AtMost | Together | GroupLoad | HostsTouched | HostsOn | Losses,
    cluster: Cluster,
    pods: Sequence[Pod],
    of_host: Mapping[str, int],
    of_vm: Mapping[str, int],
) -> Iterable[tuple[int, Shape]]:
    if isinstance(shape, HostsOn):
        return _hosts_on(shape, cluster, _by_place(shape.hosts, of_host))
    if isinstance(shape, Losses):
        return _losses(shape, pods)
    members = _by_place(shape.vms, of_vm) if shape.vms is not None else {}
    if isinstance(shape, Together):
        return [(place, replace(shape, vms=shape.vms)) for place, names in members.items() if len(names) > 1]
    if isinstance(shape, HostsTouched):
        return _hosts_touched(shape, cluster, members)
    hosts = _by_place(shape.hosts, of_host)
    return (
        _crowds(shape, cluster, members, hosts) if isinstance(shape, AtMost) else _loads(shape, cluster, members, hosts)
    )


def _by_place(names: Iterable[str], of: Mapping[str, int]) -> dict[int, Names]:
    found: dict[int, set[str]] = defaultdict(set)
    for name in names:
        if name in of:
            found[of[name]].add(name)
    return {place: frozenset(found[place]) for place in sorted(found)}


def _crowds(
    shape: AtMost, cluster: Cluster, members: Mapping[int, Names], hosts: Mapping[int, Names]
) -> list[tuple[int, Shape]]:
    places = [place for place in hosts if place in members]
    inside = [sum(bool(_ends(cluster.vm(name)) & hosts[place]) for name in members[place]) for place in places]
    limits = share_out(shape.limit, inside, [len(members[place]) for place in places])
    return [
        (place, _crowd(shape, members[place], hosts[place], limit)) for place, limit in zip(places, limits, strict=True)
    ]


def _crowd(shape: AtMost, members: Names, hosts: Names, limit: int) -> AtMost:
    """Return a pod's part; each guest too many costs in it what it costs in the whole."""
    per_guest = None if shape.price is None else shape.price / max(1, len(shape.vms) - shape.limit)
    price = None if per_guest is None else per_guest * max(1, len(members) - limit)
    return AtMost(members, hosts, limit, price)


def _loads(
    shape: GroupLoad, cluster: Cluster, members: Mapping[int, Names], hosts: Mapping[int, Names]
) -> list[tuple[int, Shape]]:
    places = [place for place in hosts if shape.vms is None or place in members]
    loads = [_load(shape, cluster, members.get(place, frozenset()), hosts[place]) for place in places]
    limits = _amounts(shape.limit, loads)
    return [
        (place, replace(shape, vms=None if shape.vms is None else members[place], hosts=hosts[place], limit=limit))
        for place, limit in zip(places, limits, strict=True)
    ]


def _load(shape: GroupLoad, cluster: Cluster, members: Names, hosts: Names) -> float:
    if shape.vms is None:
        return sum(
            cluster.used(cluster.host(name), shape.resource) for name in sorted(hosts) if cluster.host(name).is_on
        )
    vms = [cluster.vm(name) for name in sorted(members)]
    return sum(len(_ends(vm) & hosts) * vm.need(shape.resource) for vm in vms)


def _hosts_touched(shape: HostsTouched, cluster: Cluster, members: Mapping[int, Names]) -> list[tuple[int, Shape]]:
    touched = [len({end for name in members[place] for end in _ends(cluster.vm(name))}) for place in members]
    limits = share_out(shape.limit, touched, [len(names) for names in members.values()])
    per_host = None if shape.price is None else shape.price / max(1, len(shape.vms) - shape.limit)
    return [
        (
            place,
            HostsTouched(names, limit, None if per_host is None else per_host * max(1, len(names) - limit)),
        )
        for (place, names), limit in zip(members.items(), limits, strict=True)
    ]


def _hosts_on(shape: HostsOn, cluster: Cluster, hosts: Mapping[int, Names]) -> list[tuple[int, Shape]]:
    on = [sum(cluster.host(name).is_on for name in names) for names in hosts.values()]
    sizes = [len(names) for names in hosts.values()]
    least = share_out(shape.at_least, on, sizes)
    most = sizes if shape.at_most is None else share_out(shape.at_most, on, sizes)
    per_host = None if shape.price is None else shape.price / max(1, len(shape.hosts))
    return [
        (place, HostsOn(names, low, high, None if per_host is None else per_host * len(names)))
        for (place, names), low, high in zip(hosts.items(), least, most, strict=True)
    ]


def _losses(shape: Losses, pods: Sequence[Pod]) -> list[tuple[int, Shape]]:
    """Each pod finds room for what it may lose: then the whole does, whatever is lost where."""
    found: list[tuple[int, Shape]] = []
    for place, pod in enumerate(pods):
        domains = tuple(domain & pod.hosts for domain in shape.domains if domain & pod.hosts)
        vms = shape.vms & pod.vms
        price = None if shape.price is None else shape.price * len(vms) / max(1, len(shape.vms))
        if domains and vms:
            found.append((place, replace(shape, domains=domains, vms=vms, price=price)))
    return found


def _ends(vm: Vm) -> set[str]:
    return {vm.host, vm.at_the_end}


def share_out(limit: int, today: Sequence[int], most: Sequence[int]) -> list[int]:
    """Share a count out: each gets what it has today and as even a part of what is left, or is too much, as fits."""
    shares, left = list(today), limit - sum(today)
    step = 1 if left > 0 else -1
    while left:
        open_places = [p for p, share in enumerate(shares) if (share < most[p] if step > 0 else share > 0)]
        for place in open_places[: abs(left)]:
            shares[place] += step
            left -= step
        if not open_places:
            break
    return shares


def _amounts(limit: float, today: Sequence[float]) -> list[float]:
    """Share an amount out by what is there today, evenly where nothing is."""
    total = sum(today)
    if total <= 0:
        return [limit / max(1, len(today))] * len(today)
    if total > limit:
        return [amount * limit / total for amount in today]
    spare = (limit - total) / len(today)
    return [amount + spare for amount in today]


def budgets(total: float, wanted: Sequence[float], whole: bool) -> list[float]:
    """Share a budget out by what each pod would like to move."""
    if not np.isfinite(total):
        return [total] * len(wanted)
    asked = np.maximum(np.array(wanted, dtype=np.float64), 1e-9)
    shares = total * asked / asked.sum()
    if not whole:
        return [float(share) for share in shares]
    down = np.floor(shares)
    for place in np.argsort(-(shares - down), kind="stable")[: round(total - down.sum())].tolist():
        down[place] += 1
    return [float(share) for share in down]
