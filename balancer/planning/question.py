"""What the solver may touch, and what is left alone for a reason, before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.plan import Because, Kept
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.units import MIB_PER_GIB
from balancer.domain.vm import Movable, Vm, VmState
from balancer.policy.model import Policy
from balancer.solving import Effort, Problem


@dataclass(frozen=True)
class Question:
    """The problem that is put to the solver, and what is not put to it."""

    problem: Problem
    kept: tuple[Kept, ...]
    refused: str  # why nothing may be moved or put to sleep at all; empty otherwise


def ask(cluster: Cluster, policy: Policy, memory: Memory = NOTHING_REMEMBERED, now: datetime | None = None) -> Question:
    """Say what may be moved, put to sleep and woken. Doubt takes freedom away, and never that of waking."""
    refused = why_refused(cluster, policy)
    is_still = bool(refused) or policy.moves_are_frozen
    moment = now or cluster.taken_at
    left = {vm.name: kept for vm in cluster.vms if (kept := _why_left(cluster, vm, memory, moment)) is not None}
    awake = {host.name: why_on for host in cluster.hosts if (why_on := why_not_asleep(cluster, host, policy, memory))}
    problem = Problem(
        cluster=cluster,
        shapes=(*policy.shapes(cluster), *_emptying(cluster)),
        costs=tuple(policy.objectives.lower(cluster)),
        may_move=frozenset() if is_still else frozenset(vm.name for vm in cluster.vms if vm.name not in left),
        may_sleep=frozenset() if refused else frozenset(h.name for h in cluster.hosts if h.is_on) - awake.keys(),
        may_wake=frozenset(host.name for host in cluster.hosts if may_wake(cluster, host, policy, memory)),
        max_moves=None if policy.budget.moves is None else max(0, policy.budget.moves - memory.moves_spent),
        max_mib=_mib_left(policy, memory),
        seed=policy.seed,
        effort=Effort(iterations=policy.effort.iterations, nodes=policy.effort.nodes),
    )
    return Question(problem, (*_frozen(cluster, policy), *left.values()), refused)


def _frozen(cluster: Cluster, policy: Policy) -> list[Kept]:
    """One word for all guests: a line for each would hide the rest."""
    if not policy.moves_are_frozen:
        return []
    return [Kept(subject=f"cluster:{cluster.cluster}", because=Because.FROZEN, detail=f"freeze: {policy.freeze}")]


def why_refused(cluster: Cluster, policy: Policy) -> str:
    """Say why doubts forbid to move anything; empty where they do not."""
    doubted = [host.name for host in cluster.hosts if cluster.is_doubted(host)]
    if len(doubted) <= policy.max_doubts * len(cluster.hosts):
        return ""
    details = cluster.doubts_about(*(f"host:{name}" for name in doubted[:5])) or ", ".join(doubted[:5])
    share = f"{len(doubted)} of {len(cluster.hosts)} hosts are in doubt, max_doubts allows {policy.max_doubts:.0%}"
    return f"{share}; nothing is moved or put to sleep ({details})"


def _mib_left(policy: Policy, memory: Memory) -> float | None:
    return None if policy.budget.gib is None else max(0.0, policy.budget.gib - memory.gib_spent) * MIB_PER_GIB


def _emptying(cluster: Cluster) -> list[Shape]:
    """Guests have to leave hosts that are being emptied."""
    names = frozenset(host.name for host in cluster.hosts)
    emptied = [host.name for host in cluster.hosts if host.is_being_emptied]
    return [AllowedHosts(vm.name, names - {host}) for host in emptied for vm in cluster.guests_of(host)]


def _why_left(cluster: Cluster, vm: Vm, memory: Memory, now: datetime) -> Kept | None:
    subject = f"vm:{vm.name}"
    if vm.is_in_flight or vm.state is VmState.MIGRATING or vm.name in memory.held_vms:
        return Kept(subject=subject, because=Because.IN_FLIGHT, detail=f"to {vm.moving_to}" if vm.moving_to else "")
    if cluster.is_frozen(vm) or vm.state is VmState.UNKNOWN or cluster.is_doubted(cluster.host(vm.host)):
        return Kept(
            subject=subject, because=Because.IN_DOUBT, detail=cluster.doubts_about(f"vm:{vm.name}", f"host:{vm.host}")
        )
    if vm.movable is Movable.NEVER or (vm.movable is Movable.COLD and vm.is_active):
        return Kept(subject=subject, because=Because.IMMOVABLE, detail=vm.why_not or f"movable: {vm.movable}")
    until = memory.cooling_until.get(vm.key)
    if until is not None and until > now:
        return Kept(subject=subject, because=Because.COOLING_DOWN, detail=f"until {until:%H:%M}")
    return None


def why_not_asleep(  # noqa: PLR0911 - one line a reason
    cluster: Cluster, host: Host, policy: Policy, memory: Memory
) -> Kept | None:
    """Say why a host that is on must not be put to sleep, whatever it would save."""
    subject = f"host:{host.name}"
    if not host.is_on:
        return None
    if cluster.is_doubted(host):
        return Kept(subject=subject, because=Because.IN_DOUBT, detail=cluster.doubts_about(subject))
    if policy.power_is_frozen:
        return Kept(subject=subject, because=Because.FROZEN, detail=f"freeze: {policy.freeze}")
    if host.may_sleep is False:
        return Kept(subject=subject, because=Because.MAY_NOT_SLEEP)
    if cluster.doubts or any(cluster.is_doubted(other) for other in cluster.hosts):
        return Kept(subject=subject, because=Because.DOUBTS_ELSEWHERE)
    blocked = host.sleep_blocked_by or _why_not_trusted(cluster, host, policy)
    if blocked:
        return Kept(subject=subject, because=Because.WAKE_NOT_PROVEN, detail=blocked)
    if host.state is not HostState.UP or host.name in memory.held_hosts:
        return Kept(subject=subject, because=Because.IN_FLIGHT, detail=f"it is {host.state}")
    shut_off = [vm.name for vm in cluster.guests_of(host.name) if not vm.is_active and vm.movable is Movable.NEVER]
    if shut_off and not policy.power.accept_shut_off_guests:
        return Kept(subject=subject, because=Because.DEFINES_SHUT_OFF_GUESTS, detail=", ".join(shut_off[:5]))
    return None


def _why_not_trusted(cluster: Cluster, host: Host, policy: Policy) -> str:
    """Say that the last proven wake is too long ago; a snapshot that tells of none is not held to it."""
    if host.wake_proven_at is None:
        return ""
    age_days = (cluster.taken_at - host.wake_proven_at).total_seconds() / 86400
    if age_days <= policy.power.trust_days:
        return ""
    return f"last on {host.wake_proven_at:%Y-%m-%d}, trusted for {policy.power.trust_days:g} days"


def may_wake(cluster: Cluster, host: Host, policy: Policy, memory: Memory) -> bool:
    """Whether the balancer may switch a host on: it put it to sleep itself, or the policy lists it."""
    wanted = host.asleep_by_us or host.name in policy.power.wake
    return not host.is_on and wanted and not cluster.is_doubted(host) and host.name not in memory.held_hosts
