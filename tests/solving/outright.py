"""The best placement of a tiny cluster by trying them all, on plain clusters: knows neither arrays nor models."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, product

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Placement
from balancer.domain.shapes import (
    AllowedHosts,
    AtMost,
    CapacityShare,
    GroupLoad,
    HostMust,
    HostOn,
    HostsOn,
    HostsTouched,
    LoadCurve,
    LoadTable,
    Losses,
    MoveCost,
    Shape,
    Together,
)
from balancer.solving import Problem

ROUNDING = 1e-7


def best_outright(problem: Problem) -> tuple[float, float]:
    """Return the least excess, and the least J with it, of all legal placements."""
    excess, cost = min(
        ((round(excess_of(problem, later), 7), cost_of(problem, later)) for later in legal_clusters(problem)),
    )
    return excess, cost


def legal_clusters(problem: Problem) -> Iterator[Cluster]:
    """Yield the cluster as it would be with each legal placement."""
    now = problem.cluster
    movable = [vm for vm in now.vms if vm.name in problem.may_move and not vm.is_in_flight]
    choices = [h.name for h in now.hosts if h.name in (problem.may_sleep if h.is_on else problem.may_wake)]
    kept = {host.name for host in now.hosts if host.is_on and host.name not in choices}
    for homes in product([host.name for host in now.hosts], repeat=len(movable)):
        placed = dict(zip((vm.name for vm in movable), homes, strict=True))
        for some in chain.from_iterable(combinations(choices, n) for n in range(len(choices) + 1)):
            wanted = Placement(placed, frozenset(kept | set(some)))
            if is_legal(problem, wanted):
                yield wanted.applied_to(now)


def is_legal(problem: Problem, wanted: Placement) -> bool:
    """Whether a placement may be proposed: hosts, budget, and no promise broken that holds or that something joins."""
    now = problem.cluster
    moves = wanted.moves_from(now)
    if len(moves) > (problem.max_moves if problem.max_moves is not None else len(moves)):
        return False
    if problem.max_mib is not None and sum(now.vm(m.vm).memory_mib for m in moves) > problem.max_mib + 1e-6:
        return False
    if not all(_takes(problem, wanted, m.vm, m.target) for m in moves):
        return False
    later = wanted.applied_to(now)
    for host in now.hosts:
        slept, woken = host.is_on and host.name not in wanted.on, not host.is_on and host.name in wanted.on
        if (slept and (host.name not in problem.may_sleep or later.guests_of(host.name))) or (
            woken and host.name not in problem.may_wake
        ):
            return False
    return all(_keeps(shape, now, later) for shape in problem.shapes if getattr(shape, "price", None) is None)


def _takes(problem: Problem, wanted: Placement, vm: str, target: str) -> bool:
    host = problem.cluster.host(target)
    opens = host.takes_guests or (host.name in problem.may_wake and host.name in wanted.on)
    able = not problem.cluster.why_cannot_run(problem.cluster.vm(vm), host) and not problem.cluster.is_doubted(host)
    return vm in problem.may_move and opens and able


def _keeps(shape: Shape, now: Cluster, later: Cluster) -> bool:
    if isinstance(shape, HostsTouched):
        # It holds for the hosts of today and of later taken together, so in whatever order guests move.
        return len(_touched(shape, now) | _touched(shape, later)) <= max(shape.limit, len(_touched(shape, now)))
    if isinstance(shape, HostsOn) and shape.at_most is not None:
        ever = sum(now.host(name).is_on or later.host(name).is_on for name in shape.hosts)
        if ever > max(shape.at_most, sum(now.host(name).is_on for name in shape.hosts)):
            return False
    before, after = shape_excess(shape, now), shape_excess(shape, later)
    if after <= ROUNDING:
        return True
    return after <= before + ROUNDING and not _joined(shape, now, later)


def _joined(shape: Shape, now: Cluster, later: Cluster) -> bool:
    """Whether a guest came to where the shape is broken."""
    came = [vm for vm in later.vms if vm.host != now.vm(vm.name).host]
    if isinstance(shape, CapacityShare):
        return any(vm.host == shape.host and vm.need(shape.resource) > 0 for vm in came)
    if isinstance(shape, AtMost):
        return any(vm.name in shape.vms and vm.host in shape.hosts for vm in came)
    if isinstance(shape, AllowedHosts):
        return any(vm.name == shape.vm for vm in came)
    if isinstance(shape, GroupLoad):
        came = [vm for vm in came if vm.host in shape.hosts and vm.need(shape.resource) > 0]
        return any(shape.vms is None or vm.name in shape.vms for vm in came)
    return isinstance(shape, Together) and any(vm.name in shape.vms for vm in came)


def shape_excess(shape: Shape, cluster: Cluster) -> float:  # noqa: PLR0911 - one line a shape
    """Return how far a cluster breaks a shape."""
    if isinstance(shape, AllowedHosts):
        vm = cluster.vm(shape.vm)
        return float(not {vm.host, vm.moving_to or vm.host} <= shape.hosts)
    if isinstance(shape, CapacityShare):
        host = cluster.host(shape.host)
        over = cluster.utilisation(host, shape.resource) - shape.share
        return max(0.0, over) if host.is_on else 0.0
    if isinstance(shape, AtMost):
        inside = [vm for name in shape.vms if {(vm := cluster.vm(name)).host, vm.moving_to or vm.host} & shape.hosts]
        return float(max(0, len(inside) - shape.limit))
    if isinstance(shape, HostMust):
        return float(cluster.host(shape.host).is_on != shape.on)
    if isinstance(shape, GroupLoad):
        return max(0.0, _group_load(shape, cluster) - shape.limit) / shape.whole
    if isinstance(shape, HostsTouched):
        return float(max(0, len(_touched(shape, cluster)) - shape.limit))
    if isinstance(shape, HostsOn):
        on = sum(cluster.host(name).is_on for name in shape.hosts)
        most = len(shape.hosts) if shape.at_most is None else shape.at_most
        return float(max(0, shape.at_least - on, on - most))
    assert isinstance(shape, Together)
    return float(len({cluster.vm(name).at_the_end for name in shape.vms}) - 1)


def _group_load(shape: GroupLoad, cluster: Cluster) -> float:
    if shape.vms is None:
        hosts = [cluster.host(name) for name in shape.hosts]
        return sum(cluster.used(host, shape.resource) for host in hosts if host.is_on)
    guests = [cluster.vm(name) for name in shape.vms]
    return sum(len({vm.host, vm.at_the_end} & shape.hosts) * vm.need(shape.resource) for vm in guests)


def _touched(shape: HostsTouched, cluster: Cluster) -> set[str]:
    return {end for name in shape.vms for end in (cluster.vm(name).host, cluster.vm(name).at_the_end)}


def excess_of(problem: Problem, cluster: Cluster) -> float:
    """Return the sum of what is broken of the hard shapes."""
    return sum(shape_excess(s, cluster) for s in problem.shapes if getattr(s, "price", None) is None)


def cost_of(problem: Problem, later: Cluster) -> float:
    """Return J of a cluster that is reached from the problem's."""
    total = sum(_price(shape, later) for shape in problem.shapes)
    for cost in problem.costs:
        if isinstance(cost, MoveCost):
            total += cost.cost * (later.vm(cost.vm).host != problem.cluster.vm(cost.vm).host)
        elif isinstance(cost, HostOn):
            total += cost.cost * later.host(cost.host).is_on
        elif isinstance(cost, LoadTable) and later.host(cost.host).is_on:
            total += cost.at(later.used(later.host(cost.host), cost.resource))
        elif isinstance(cost, LoadCurve) and cost.factor and later.host(cost.host).is_on:
            total += cost.factor * later.utilisation(later.host(cost.host), cost.resource) ** 2
    return total


def _price(shape: Shape, later: Cluster) -> float:
    """Return what a wish costs: its price times the share of its largest possible excess."""
    if isinstance(shape, HostMust | Losses) or shape.price is None:
        return 0.0
    return shape.price * shape_excess(shape, later) / _largest_excess(shape)


def _largest_excess(
    shape: AllowedHosts | AtMost | CapacityShare | Together | GroupLoad | HostsTouched | HostsOn,
) -> float:
    if isinstance(shape, AtMost | HostsTouched):
        return len(shape.vms) - shape.limit
    if isinstance(shape, HostsOn):
        return len(shape.hosts)
    if isinstance(shape, Together):
        return len(shape.vms) - 1
    return 1 - shape.share if isinstance(shape, CapacityShare) else 1.0
