"""What the solver may touch, and what is left alone for a reason, before anything is decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.plan import Because, Kept
from balancer.domain.shapes import AllowedHosts, Shape
from balancer.domain.units import count_of
from balancer.domain.violation import TOLERANCE, hard_excess
from balancer.domain.vm import Vm, VmState
from balancer.planning.kinds import Ways, why_stays
from balancer.policy.model import Policy
from balancer.solving import Effort, Problem
from balancer.stability.budget import Left, left_for_this_cycle


@dataclass(frozen=True)
class Question:
    """The problem that is put to the solver, and what is not put to it."""

    problem: Problem
    kept: tuple[Kept, ...]
    refused: str  # why nothing may be moved or put to sleep at all; empty otherwise
    left: Left  # of the budget
    ways: Ways  # how each guest would be moved


def ask(
    cluster: Cluster,
    policy: Policy,
    memory: Memory = NOTHING_REMEMBERED,
    now: datetime | None = None,
    mending: bool = False,
) -> Question:
    """Say what may be moved, put to sleep and woken. Doubt takes freedom away, and never that of waking.

    mending: what has to be, not what is wished for. Nothing sleeps, and what was touched a short while ago may be
             touched again, as far as the policy lets it.
    """
    refused = why_refused(cluster, policy)
    is_still = bool(refused) or policy.moves_are_frozen
    moment = now or cluster.taken_at
    rest = _Rest(policy, memory, moment, mending)
    ways = Ways(cluster, policy.migration, memory.paces)
    left = {vm.name: kept for vm in cluster.vms if (kept := _why_left(cluster, vm, rest, ways)) is not None}
    awake = {h.name: why_on for h in cluster.hosts if (why_on := why_not_asleep(cluster, h, policy, memory, moment))}
    budget = left_for_this_cycle(policy.budget, memory, mending and is_broken(cluster, policy))
    problem = Problem(
        cluster=cluster,
        shapes=(
            *policy.shapes(cluster),
            *_emptying(cluster),
            *_not_again(cluster, memory),
            *([] if mending else _not_back(cluster, memory)),
        ),
        costs=tuple(policy.objectives.lower(cluster)),
        may_move=frozenset() if is_still else frozenset(vm.name for vm in cluster.vms if vm.name not in left),
        may_sleep=frozenset()
        if refused or mending
        else frozenset(h.name for h in cluster.hosts if h.is_on) - awake.keys(),
        may_wake=frozenset(
            host.name
            for host in _first_to_wake(cluster, policy, memory)
            if mending or not _is_cooling(host, memory, moment)
        ),
        max_moves=budget.most_moves,
        max_mib=budget.most_mib,
        seed=policy.seed,
        effort=Effort(iterations=policy.effort.iterations, nodes=policy.effort.nodes),
    )
    return Question(problem, (*_frozen(cluster, policy), *left.values()), refused, budget, ways)


def _frozen(cluster: Cluster, policy: Policy) -> list[Kept]:
    """One word for all guests: a line for each would hide the rest."""
    if not policy.moves_are_frozen:
        return []
    return [Kept(subject=f"cluster:{cluster.cluster}", because=Because.FROZEN, detail=f"freeze: {policy.freeze}")]


def is_broken(cluster: Cluster, policy: Policy) -> bool:
    """Whether a hard promise does not hold."""
    return hard_excess(policy.violations(cluster)) > TOLERANCE


def why_refused(cluster: Cluster, policy: Policy) -> str:
    """Say why doubts forbid to move anything; empty where they do not."""
    doubted = [host.name for host in cluster.hosts if cluster.is_doubted(host)]
    if len(doubted) <= policy.max_doubts * len(cluster.hosts):
        return ""
    details = cluster.doubts_about(*(f"host:{name}" for name in doubted[:5])) or ", ".join(doubted[:5])
    share = f"{len(doubted)} of {len(cluster.hosts)} hosts are in doubt, max_doubts allows {policy.max_doubts:.0%}"
    return f"{share}; nothing is moved or put to sleep ({details})"


def _emptying(cluster: Cluster) -> list[Shape]:
    """Guests have to leave hosts that are being emptied."""
    names = frozenset(host.name for host in cluster.hosts)
    emptied = [host.name for host in cluster.hosts if host.is_being_emptied]
    return [AllowedHosts(vm.name, names - {host}) for host in emptied for vm in cluster.guests_of(host)]


def _not_again(cluster: Cluster, memory: Memory) -> list[Shape]:
    """A guest whose move to a host has just failed is not sent there again at once, whatever for."""
    names = frozenset(host.name for host in cluster.hosts)
    avoided = {vm.name: frozenset(memory.not_to.get(vm.key, ())) - {vm.host} for vm in cluster.vms}
    return [AllowedHosts(vm, names - hosts) for vm, hosts in avoided.items() if hosts & names]


def _not_back(cluster: Cluster, memory: Memory) -> list[Shape]:
    """A move that is undone so soon was for nothing: no wish takes a guest back to where it came from."""
    names = frozenset(host.name for host in cluster.hosts)
    came = {vm.name: (vm.host, memory.came_from.get(vm.key)) for vm in cluster.vms}
    return [AllowedHosts(vm, names - {back}) for vm, (here, back) in came.items() if back is not None and back != here]


@dataclass(frozen=True)
class _Rest:
    """Who is left in peace."""

    policy: Policy
    memory: Memory
    now: datetime
    mending: bool

    def why(self, vm: Vm, is_leaving: bool) -> str:
        """Say until when a guest is left in peace; an evacuation waits for no cool-down, but for one after failures."""
        left_by_others = self.memory.moved_by_others.get(vm.key)
        is_needed = is_leaving or (self.mending and self.policy.stability.mending_overrides_cooldown)
        if left_by_others is not None and left_by_others > self.now and not is_needed:
            return f"somebody else moved it; until {left_by_others:%H:%M}"
        until = self.memory.cooling_until.get(vm.key)
        if until is None or until <= self.now:
            return ""
        failures = self.memory.failures.get(vm.key, 0)
        if failures:
            return f"its move failed {count_of(failures, 'time')} in a row; tried again at {until:%H:%M}"
        return "" if is_needed else f"until {until:%H:%M}"


def _is_cooling(host: Host, memory: Memory, now: datetime) -> bool:
    until = memory.hosts_cooling_until.get(host.name)
    return until is not None and until > now


def _why_left(cluster: Cluster, vm: Vm, rest: _Rest, ways: Ways) -> Kept | None:
    subject = f"vm:{vm.name}"
    if vm.is_in_flight or vm.state is VmState.MIGRATING or vm.name in rest.memory.held_vms:
        return Kept(subject=subject, because=Because.IN_FLIGHT, detail=f"to {vm.moving_to}" if vm.moving_to else "")
    if cluster.is_frozen(vm) or vm.state is VmState.UNKNOWN or cluster.is_doubted(cluster.host(vm.host)):
        return Kept(
            subject=subject, because=Because.IN_DOUBT, detail=cluster.doubts_about(f"vm:{vm.name}", f"host:{vm.host}")
        )
    if why_not := why_stays(vm, rest.policy.migration):
        return Kept(subject=subject, because=Because.IMMOVABLE, detail=why_not)
    if no_way := ways.why_nowhere(vm):
        return Kept(subject=subject, because=Because.NO_WAY_THERE, detail=no_way)
    resting = rest.why(vm, cluster.host(vm.host).is_being_emptied)
    return Kept(subject=subject, because=Because.COOLING_DOWN, detail=resting) if resting else None


def why_not_asleep(cluster: Cluster, host: Host, policy: Policy, memory: Memory, now: datetime) -> Kept | None:
    """Say why a host that is on must not be put to sleep, whatever it would save."""
    return next(all_why_not_asleep(cluster, host, policy, memory, now), None)


def all_why_not_asleep(cluster: Cluster, host: Host, policy: Policy, memory: Memory, now: datetime) -> Iterator[Kept]:
    """Say each reason that forbids to put a host that is on to sleep, the most telling first."""
    subject = f"host:{host.name}"
    if not host.is_on:
        return
    if cluster.is_doubted(host):
        yield Kept(subject=subject, because=Because.IN_DOUBT, detail=cluster.doubts_about(subject))
    if host.state is HostState.MAINTENANCE and host.quarantined is not None and not host.drained:
        yield Kept(subject=subject, because=Because.DID_NOT_RETURN, detail=host.quarantined)
    elif host.drained or host.state is HostState.MAINTENANCE:
        yield Kept(subject=subject, because=Because.KEPT_FOR_MAINTENANCE, detail=_what_remains(cluster, host))
    if policy.power_is_frozen:
        yield Kept(subject=subject, because=Because.FROZEN, detail=f"freeze: {policy.freeze}")
    if host.may_sleep is False:
        yield Kept(subject=subject, because=Because.MAY_NOT_SLEEP)
    if cluster.doubted - {subject} or cluster.doubted_hosts - {host.name}:
        yield Kept(subject=subject, because=Because.DOUBTS_ELSEWHERE)
    blocked = host.sleep_blocked_by or _why_not_trusted(cluster, host, policy)
    if blocked:
        yield Kept(subject=subject, because=Because.WAKE_NOT_PROVEN, detail=blocked)
    if host.state is not HostState.UP or host.name in memory.held_hosts:
        yield Kept(subject=subject, because=Because.IN_FLIGHT, detail=f"it is {host.state}")
    if _is_cooling(host, memory, now):
        until = memory.hosts_cooling_until[host.name]
        yield Kept(subject=subject, because=Because.COOLING_DOWN, detail=f"stays on until {until:%H:%M}")
    slept, limit = memory.slept_today.get(host.name, 0), policy.power.cycles_per_day
    if limit is not None and slept >= limit:
        detail = f"put to sleep {count_of(slept, 'time')} within a day, power.cycles_per_day allows {limit}"
        yield Kept(subject=subject, because=Because.SLEPT_OFTEN_ENOUGH, detail=detail)
    shut_off = [v.name for v in cluster.guests_of(host.name) if not v.is_active and why_stays(v, policy.migration)]
    if shut_off and not policy.power.accept_shut_off_guests:
        yield Kept(subject=subject, because=Because.DEFINES_SHUT_OFF_GUESTS, detail=", ".join(shut_off[:5]))


def _what_remains(cluster: Cluster, host: Host) -> str:
    left = len(cluster.guests_of(host.name))
    return f"{count_of(left, 'guest')} on it" if left else "it is empty"


def _why_not_trusted(cluster: Cluster, host: Host, policy: Policy) -> str:
    """Say that the last proven wake is too long ago; a snapshot that tells of none is not held to it."""
    if host.wake_proven_at is None:
        return ""
    age_days = (cluster.taken_at - host.wake_proven_at).total_seconds() / 86400
    if age_days <= policy.power.trust_days:
        return ""
    return f"last on {host.wake_proven_at:%Y-%m-%d}, trusted for {policy.power.trust_days:g} days"


def _first_to_wake(cluster: Cluster, policy: Policy, memory: Memory) -> list[Host]:
    """Return the hosts that may be woken; one that has failed to wake is tried again only where no other is left."""
    may = [host for host in cluster.hosts if may_wake(cluster, host, policy, memory)]
    return [host for host in may if host.quarantined is None] or may


def may_wake(cluster: Cluster, host: Host, policy: Policy, memory: Memory) -> bool:
    """Whether the balancer may switch a host on: it put it to sleep itself, or the policy lists it.

    One that an operator wants empty is of no use: it takes no guest.
    """
    wanted = (host.asleep_by_us or host.name in policy.power.wake) and not host.drained
    return not host.is_on and wanted and not cluster.is_doubted(host) and host.name not in memory.held_hosts
