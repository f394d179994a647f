"""What the author of a policy should know about it on a cluster: what matches nothing, or cannot matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from balancer.constraints import Constraint, Reserve
from balancer.constraints.asked import remarks_on_asks
from balancer.constraints.selectors import unlisted
from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.shapes import (
    AllowedHosts,
    AtMost,
    CapacityShare,
    HostsOn,
    HostsTouched,
    Shape,
    Together,
)
from balancer.domain.units import count_of
from balancer.planning.kinds import bound_guests
from balancer.planning.question import ask
from balancer.policy.model import Policy
from balancer.solving import find_placement
from balancer.solving.feasible import facts_of, find_any, settled


@dataclass(frozen=True)
class Remark:
    """Something that its author likely did not mean. `about` is a promise, or the path of a section."""

    what: str
    promise: str = ""
    section: tuple[str, ...] = ()


def remarks(cluster: Cluster, policy: Policy) -> tuple[Remark, ...]:
    """Return everything that is suspicious about a policy on a cluster."""
    rest = settled(cluster)
    found = [Remark(what, promise.promise) for promise in policy.promises for what in promise.remarks(cluster)]
    found += [Remark(what, section=("believe_guests",)) for what in remarks_on_asks(cluster, policy.believe_guests)]
    found += [*_idle_objectives(cluster, policy), *_idle_wishes(rest, policy), *_implied(rest, policy)]
    return (*found, *_nothing_to_save(rest, policy))


# -- weights that cannot matter


def _idle_objectives(cluster: Cluster, policy: Policy) -> Iterator[Remark]:
    wishes = policy.objectives
    if not any(wish.weight for wish in wishes.wishes):
        what = "no objective has a weight: nothing is wished for, only promises are mended"
        yield Remark(what, section=("objectives",))
    awake = [host for host in cluster.hosts if host.is_on]
    asleep = [host for host in cluster.hosts if not host.is_on]
    if wishes.least_power.weight and not asleep and all(host.may_sleep is False for host in awake):
        what = "least_power cannot matter: no host may sleep (`may_sleep: true` in the site file)"
        yield Remark(what, section=("objectives", "least_power"))
    even, further = wishes.even_load, wishes.even_load.resources
    for what in unlisted(cluster, further if even.weight else ()):
        yield Remark(what, section=("objectives", "even_load", "resources"))
    for resource, weight in even.weights if even.weight else ():
        used = sum(cluster.used(host, resource) for host in cluster.hosts)
        has_any = sum(host.usable(resource) for host in cluster.hosts) > 0
        if weight and (used <= 0 or not has_any) and (has_any or resource not in further):
            why = "nobody uses any" if used <= 0 else "no host has any"
            inside = ("resources", resource) if resource in further else (resource,)
            yield Remark(f"evenness of {resource} cannot matter: {why}", section=("objectives", "even_load", *inside))
    power = wishes.least_power
    if power.weight and power.planned_load and not any(host.power and host.power.varies for host in cluster.hosts):
        what = "planned_load cannot matter: no host says what it draws under load (`power: {watts: [...]}`)"
        yield Remark(what, section=("objectives", "least_power", "planned_load"))


def _idle_wishes(cluster: Cluster, policy: Policy) -> Iterator[Remark]:
    choices = _choices(cluster, policy)
    for promise in policy.promises:
        if promise.hard:
            continue
        if not promise.weight:
            yield Remark("it is a wish without weight: write a `weight`, or leave it out", promise.promise)
            continue
        shapes = [shape for shape in promise.lower(cluster) if isinstance(shape, AllowedHosts)]
        if shapes and all(_makes_no_difference(shape, choices) for shape in shapes):
            yield Remark(
                "it cannot matter: other rules leave its guests no choice that it would change", promise.promise
            )


def _choices(cluster: Cluster, policy: Policy) -> Mapping[str, frozenset[str]]:
    """Return the hosts that promises and facts leave to each guest."""
    every = frozenset(cluster.host_by_name)
    found: dict[str, frozenset[str]] = defaultdict(lambda: every)
    hard = [shape for promise in policy.promises_on(cluster) if promise.hard for shape in promise.lower(cluster)]
    for shape in (*hard, *facts_of(cluster, bound_guests(cluster, policy.migration))):
        if isinstance(shape, AllowedHosts):
            found[shape.vm] &= shape.hosts
    return found


def _makes_no_difference(shape: AllowedHosts, choices: Mapping[str, frozenset[str]]) -> bool:
    left = choices[shape.vm]
    return left <= shape.hosts or left.isdisjoint(shape.hosts)


# -- promises that are said twice


def _implied(cluster: Cluster, policy: Policy) -> Iterator[Remark]:
    hard = [promise for promise in policy.promises if promise.hard]
    shapes = {id(promise): tuple(promise.lower(cluster)) for promise in hard}
    listed = [promise for promise in policy.constraints if promise.hard]
    dropped: set[int] = set()
    for promise in reversed(listed):
        others = [other for other in hard if other is not promise and id(other) not in dropped]
        stronger = next((other for other in others if _covers(shapes[id(other)], shapes[id(promise)])), None)
        if stronger is not None:
            dropped.add(id(promise))
            yield Remark(f"it says nothing new: `{stronger.promise}` asks for all of it already", promise.promise)


def _covers(stronger: Sequence[Shape], weaker: Sequence[Shape]) -> bool:
    return bool(weaker) and all(any(_implies(one, other) for one in stronger) for other in weaker)


def _implies(one: Shape, other: Shape) -> bool:  # noqa: PLR0911 - one line a shape
    """Whether keeping one shape keeps the other."""
    match one, other:
        case AllowedHosts(), AllowedHosts():
            return one.vm == other.vm and one.hosts <= other.hosts
        case CapacityShare(), CapacityShare():
            return (one.host, one.resource) == (other.host, other.resource) and one.share <= other.share
        case AtMost(), AtMost():
            return one.vms >= other.vms and one.hosts >= other.hosts and one.limit <= other.limit
        case Together(), Together():
            return one.vms >= other.vms
        case HostsTouched(), HostsTouched():
            return one.vms >= other.vms and one.limit <= other.limit
        case HostsOn(), HostsOn():
            least = not other.at_least or (one.hosts <= other.hosts and one.at_least >= other.at_least)
            return least and _caps(one, other)
    return False


def _caps(one: HostsOn, other: HostsOn) -> bool:
    if other.at_most is None:
        return True
    return one.at_most is not None and one.hosts >= other.hosts and one.at_most <= other.at_most


# -- what is left to save


def _nothing_to_save(cluster: Cluster, policy: Policy) -> Iterator[Remark]:
    """Warn of a reserve that needs every host that there is, where without it one could sleep."""
    if not policy.objectives.least_power.weight:
        return
    hosts = [host.name for host in cluster.hosts if host.state is not HostState.MAINTENANCE]
    facts = facts_of(cluster, bound_guests(cluster, policy.migration))
    one_asleep = HostsOn(frozenset(hosts), at_most=len(hosts) - 1)
    for reserve in policy.promises:
        if isinstance(reserve, Reserve) and reserve.hard and len(hosts) > 1:
            others = [other for other in policy.promises_on(cluster) if other is not reserve and other.hard]
            without, with_it = _lowered(others, cluster), _lowered([*others, reserve], cluster)
            could = [find_any(cluster, shapes, facts).is_possible for shapes in ([one_asleep, *without], with_it)]
            if False in could:  # no host could sleep anyway, or the reserve cannot be kept at all
                continue
            if find_any(cluster, [one_asleep, *with_it], facts).is_possible is False:
                yield Remark("it leaves nothing to save: at today's load it needs every host on", reserve.promise)


def _lowered(promises: Iterable[Constraint], cluster: Cluster) -> list[Shape]:
    return [shape for promise in promises for shape in promise.lower(cluster)]


def hosts_implied(cluster: Cluster, policy: Policy) -> str:
    """Say how many hosts the weights imply at today's load, budgets and holds aside."""
    problem = replace(ask(cluster, policy).problem, max_moves=None, max_mib=None)
    decision = find_placement(problem)
    now, then = sum(host.is_on for host in cluster.hosts), len(decision.placement.on)
    said = f"at today's load the weights ask for {then} of {count_of(len(cluster.hosts), 'host')} on"
    said += f", as now ({now})" if then == now else f" (now {now})"
    if not policy.objectives.least_power.weight:
        return f"{said}; least_power has no weight, so none is put to sleep to save power"
    return said
