"""How a step is begun: looked at again, written down, then asked for. What may not begin says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, HostState
from balancer.domain.plan import Action, Step
from balancer.domain.violation import Violation
from balancer.domain.vm import Vm
from balancer.errors import PlatformError, Prospect
from balancer.execution.acting_site import ActingSite
from balancer.execution.conditions import Testing, bmc_fails, reasons_against_power_off, reasons_against_testing
from balancer.execution.failing import setback_of
from balancer.execution.identity import prove_identity
from balancer.execution.limits import Limits
from balancer.execution.marking import Marking
from balancer.execution.migration import TIME_TO_ABORT_SECONDS, Migration, order_of
from balancer.execution.power_off import ShuttingDown
from balancer.execution.power_on import Waking, reasons_against_power_on
from balancer.execution.rechecks import why_not_move
from balancer.execution.testing import put_off
from balancer.execution.witnesses import Witnessed, witnesses_of
from balancer.execution.work import Work
from balancer.store.journal import JournalEntry
from balancer.store.reservations import Claim, Overbooked, Reservation

SECONDS_TO_SETTLE = 60.0  # between the end of a move and its being seen, by a balancer that was just started

Gate = Callable[[Cluster, Cluster], Sequence[Violation]]
"""Says which hard promises get worse between two states; the caller brings the policy's checkers."""


class Refused(Exception):
    """The world is not as the plan took it to be; an alarm wants a person."""

    def __init__(self, why: str, alarm: bool = False) -> None:
        super().__init__(why)
        self.alarm = alarm


class Waits(Exception):
    """The step may begin once something that is in flight has ended."""


class AllMovesWait(Waits):
    """No move at all may begin before one has ended."""


@dataclass(frozen=True)
class Begun:
    """A step under way, and the cluster with it."""

    work: Work
    cluster: Cluster


@dataclass(frozen=True)
class _Start:
    """Everything that beginning a step is decided by."""

    site: ActingSite
    plan_id: str
    step: Step
    cluster: Cluster
    gate: Gate
    limits: Limits
    reserved: frozenset[int]

    @property
    def host(self) -> str:
        return self.step.host or ""

    @property
    def now(self) -> datetime:
        return self.site.now


def start(
    site: ActingSite,
    plan_id: str,
    step: Step,
    cluster: Cluster,
    gate: Gate,
    limits: Limits,
    reserved: frozenset[int] = frozenset(),
) -> Begun:
    """Begin a step on a cluster as it was seen just now; raises Refused or Waits where it may not.

    reserved: the reservations that are counted in that look
    """
    if why_not := site.why_killed or limits.why_frozen(step.action):
        raise Refused(why_not)
    return _STARTS[step.action](_Start(site, plan_id, step, cluster, gate, limits, reserved))


def _start_move(at: _Start) -> Begun:
    _wait_for_a_slot(at.step, at.cluster, at.limits)
    why_not = why_not_move(at.step, at.cluster, at.site.store.journal.unsettled(), at.limits)
    if why_not:
        raise Refused(why_not)
    during = at.cluster.while_moving(at.step.move)
    _pass_the_gate(at, during)
    vm = at.cluster.vm(at.step.move.vm)
    _prepare(at, vm)
    _heed_the_kill_file(at)
    entry = _reserve_and_write_down(at, vm)
    work = Migration(at.site, entry, at.limits)
    work.request()
    return Begun(work, during)


def _prepare(at: _Start, vm: Vm) -> None:
    """Ask both ends what speaks against it. A guest that is refused is not tried there again for a while."""
    entry = JournalEntry(at.now, at.plan_id, at.step, vm.key)
    try:
        reasons = at.site.platform.preflight(order_of(entry, at.limits))
        prospect = Prospect.UNKNOWN
    except PlatformError as failed:
        reasons, prospect = (str(failed),), failed.prospect
    if reasons:
        why = "; ".join(reasons)
        at.site.store.failures.put_off(setback_of(at.site, entry, prospect, why, at.limits))
        raise Refused(f"in prepare: {why}")


def _heed_the_kill_file(at: _Start) -> None:
    """Look for it once more: both ends were asked meanwhile, and the next thing touches the guest."""
    if why_not := at.site.why_killed:
        raise Refused(why_not)


def _reserve_and_write_down(at: _Start, vm: Vm) -> JournalEntry:
    """Reserve what the guest needs now at its target, for as long as its move may take, and write the move down."""
    longest = at.limits.deadline_of_migration(at.step.seconds) + TIME_TO_ABORT_SECONDS + SECONDS_TO_SETTLE
    wanted = Reservation(
        vm_key=vm.key,
        vm=vm.name,
        source=at.step.move.source,
        target=at.step.move.target,
        memory_mib=vm.need(MEMORY),
        cpu_cores=vm.need(CPU),
        since=at.now,
        until=at.now + timedelta(seconds=longest),
    )
    try:
        return at.site.write_down(at.step, at.plan_id, vm.key, Claim(wanted, at.reserved))
    except Overbooked as other:
        raise Waits(str(other)) from None


def _wait_for_a_slot(step: Step, cluster: Cluster, limits: Limits) -> None:
    in_flight = [cluster.vm(name) for name in cluster.in_flight]
    if len(in_flight) >= limits.concurrent:
        raise AllMovesWait(f"{len(in_flight)} guests are on their way already")
    for host in step.hosts:
        touching = sum(host in {vm.host, vm.moving_to} for vm in in_flight)
        if touching >= limits.concurrent_per_host:
            raise Waits(f"{touching} guests are on their way to or from {host} already")
    _wait_for_the_line(step, cluster, in_flight, limits)


def _wait_for_the_line(step: Step, cluster: Cluster, in_flight: Sequence[Vm], limits: Limits) -> None:
    """Let no more guests than it bears cross the line between the same two sites."""
    sites = _sites(cluster, step.move.source, step.move.target)
    if len(sites) < 2:
        return
    crossing = sum(_sites(cluster, vm.host, vm.moving_to or vm.host) == sites for vm in in_flight)
    if crossing >= limits.concurrent_between_sites:
        raise Waits(f"{crossing} guests are on their way between {' and '.join(sorted(sites))} already")


def _sites(cluster: Cluster, *hosts: str) -> frozenset[str]:
    """Return the sites that hosts stand at, by their label `site`."""
    found = (cluster.host(name).label("site") for name in hosts if cluster.has_host(name))
    return frozenset(site for site in found if site is not None)


def _pass_the_gate(at: _Start, during: Cluster, at_rest: bool = False) -> None:
    """Refuse what would break a promise; while anything is in flight its end may make room, so then it waits.

    at_rest: promises that may be broken while guests are on their way count as well
    """
    broken = [violation for violation in at.gate(at.cluster, during) if at_rest or not violation.at_rest_only]
    if not broken:
        return
    words = f"it would break a promise: {broken[0]}"
    if any(vm.is_in_flight for vm in at.cluster.vms):
        raise Waits(words)
    raise Refused(words)


def _start_power_off(at: _Start) -> Begun:
    asleep = at.cluster.with_hosts(HostState.STANDBY, at.host) if at.cluster.has_host(at.host) else at.cluster
    _pass_the_gate(at, asleep, at_rest=True)
    testing = Testing.BY_ITSELF if at.step.test else None
    reasons = reasons_against_power_off(at.site, at.host, at.cluster, at.limits, testing)
    switch = at.site.switch_of(at.host)
    if reasons or switch is None:
        if at.step.test:
            put_off(at.site, at.host, "; ".join(reasons))
        raise Refused(f"{at.host} keeps its power: {'; '.join(reasons)}")
    prove_identity(at.site, at.host)
    # A test never cuts the power: the proof of whose BMC it is may be older than the last change of cables.
    limits = replace(at.limits, hard_off_allowed=False) if at.step.test else at.limits
    witnesses = witnesses_of(at.site, at.host) if at.step.test else frozenset()
    work = ShuttingDown(at.site, at.site.write_down(at.step, at.plan_id), switch, limits)
    return _begun(Witnessed(at.site, work, switch, witnesses) if at.step.test else work, asleep)


def _start_power_on(at: _Start) -> Begun:
    reasons = reasons_against_power_on(at.site, at.host, at.limits)
    if reasons:
        raise Refused("; ".join(reasons))
    return _start_waiting(at)


def _start_waiting(at: _Start) -> Begun:
    switch = at.site.switch_of(at.host)
    witnesses = witnesses_of(at.site, at.host) if at.step.test else frozenset()
    work = Waking(at.site, at.site.write_down(at.step, at.plan_id), at.host)
    return _begun(Witnessed(at.site, work, switch, witnesses) if at.step.test and switch else work, at.cluster)


def _begun(work: ShuttingDown | Waking | Witnessed, cluster: Cluster) -> Begun:
    work.request()
    return Begun(work, cluster)


def _start_cordon(at: _Start) -> Begun:
    if at.step.test and at.step.action is Action.CORDON:
        _refuse_a_test_in_vain(at)
    work = Marking(at.site, at.site.write_down(at.step, at.plan_id), at.host)
    work.request()
    known = at.cluster.has_host(at.host)
    closed = at.step.action is Action.CORDON
    return Begun(work, at.cluster.with_host(at.host, cordoned=closed) if known else at.cluster)


def _refuse_a_test_in_vain(at: _Start) -> None:
    """Ask a BMC and look for all else that would refuse a power test, before the host is emptied for it."""
    reasons = reasons_against_testing(at.site, at.host, at.cluster, at.limits)
    if not reasons:
        return
    why, is_failed = "; ".join(reasons), bmc_fails(at.site, at.host, at.cluster, at.limits)
    if is_failed:
        at.site.store.marks.quarantine(at.host, f"its power test failed: {why}", at.now)
    put_off(at.site, at.host, why)
    raise Refused(why, alarm=is_failed)


_STARTS: dict[Action, Callable[[_Start], Begun]] = {
    Action.MOVE: _start_move,
    Action.POWER_ON: _start_power_on,
    Action.WAIT_READY: _start_waiting,
    Action.CORDON: _start_cordon,
    Action.UNCORDON: _start_cordon,
    Action.POWER_OFF: _start_power_off,
}
