"""Why each host that stays on stays on."""

from __future__ import annotations

from datetime import datetime

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host
from balancer.domain.memory import Memory
from balancer.domain.plan import Because, Kept
from balancer.planning.kinds import why_stays
from balancer.planning.question import may_wake, why_not_asleep
from balancer.policy.model import Policy


def why_hosts_stay_on(
    cluster: Cluster, later: Cluster, policy: Policy, memory: Memory, now: datetime
) -> tuple[Kept, ...]:
    """Return a reason for each host that is left on, and for each that is off and may not be woken."""
    reasons = [_why_on(cluster, later, host, policy, memory, now) for host in later.hosts if host.is_on]
    reasons += [
        Kept(
            subject=f"host:{host.name}",
            because=Because.KEPT_FOR_MAINTENANCE if host.drained else Because.NOT_PUT_TO_SLEEP_BY_US,
        )
        for host in later.hosts
        if not host.is_on and not cluster.host(host.name).is_on and not may_wake(cluster, host, policy, memory)
    ]
    return tuple(reasons)


def _why_on(cluster: Cluster, later: Cluster, host: Host, policy: Policy, memory: Memory, now: datetime) -> Kept:
    forbidden = why_not_asleep(cluster, cluster.host(host.name), policy, memory, now)
    if forbidden is not None:
        return forbidden
    subject = f"host:{host.name}"
    fixed = [vm.name for vm in later.guests_of(host.name) if why_stays(vm, policy.migration)]
    if fixed:
        return Kept(subject=subject, because=Because.CARRIES_IMMOVABLE, detail=", ".join(fixed[:5]))
    if policy.objectives.least_power.weight <= 0:
        return Kept(subject=subject, because=Because.SAVES_TOO_LITTLE, detail="the policy gives least_power no weight")
    short = _short_without(later, host, policy)
    if short:
        return Kept(subject=subject, because=Because.NEEDED_FOR_HEADROOM, detail=short)
    if not later.guests_of(host.name):
        return Kept(subject=subject, because=Because.SAVES_TOO_LITTLE)
    return Kept(subject=subject, because=Because.CARRIES_GUESTS, detail=f"{len(later.guests_of(host.name))} guests")


def _short_without(later: Cluster, host: Host, policy: Policy) -> str:
    on = [other for other in later.hosts if other.is_on and not other.is_being_emptied]
    others = [other for other in on if other.name != host.name]
    shares = [dict(policy.headroom.shares_on(other)) for other in others]
    for resource, _ in policy.headroom.shares:
        if any(resource not in share for share in shares):
            continue
        room = sum(
            share[resource] * other.usable(resource) - later.used(other, resource)
            for other, share in zip(others, shares, strict=True)
        )
        need = sum(vm.need(resource) for vm in later.guests_of(host.name))
        if need > room:
            return f"the others lack {'CPU' if resource == CPU else resource} for its guests"
    return ""
