"""What a cluster looks like when a plan has been carried out."""

from __future__ import annotations

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.plan import Action, Plan, Step


def outcome(plan: Plan, cluster: Cluster) -> Cluster:
    """Return the cluster after all steps of a plan; steps about guests or hosts that are gone are passed over."""
    # All at once: a large plan has hundreds of moves, and each next cluster costs the guests of the hosts it touches.
    later = cluster.after(*(step.move for step in plan.moves if _is_known(step, cluster)))
    for step in plan.steps:
        if step.host and later.has_host(step.host) and step.action in _STATE_AFTER:
            later = later.with_hosts(_STATE_AFTER[step.action], step.host)
    return later


def _is_known(step: Step, cluster: Cluster) -> bool:
    return cluster.has_vm(step.move.vm) and cluster.has_host(step.move.target)


_STATE_AFTER = {
    Action.POWER_ON: HostState.WAKING,
    Action.WAIT_READY: HostState.UP,
    Action.POWER_OFF: HostState.STANDBY,
}
