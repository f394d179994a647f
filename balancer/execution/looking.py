"""A look at the world with what the balancer remembers: cordons, sleepers, what is in flight, what is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.host import Host, HostState
from balancer.domain.placement import Move
from balancer.domain.plan import Action
from balancer.domain.vm import Vm, VmState
from balancer.execution.acting_site import ActingSite
from balancer.execution.work import power_state
from balancer.power.base import PowerState
from balancer.store.drains import Drain
from balancer.store.failures import Shunned
from balancer.store.glance import Glance
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.marks import HostMarks
from balancer.store.reservations import Reservation

_AT_THE_SAME_TIME = 16  # BMCs asked: a dead one takes many seconds to be given up
_WAKES = frozenset({Action.POWER_ON, Action.WAIT_READY})


def look(site: ActingSite) -> Cluster:
    """Look at all hosts and guests, and explain the silence of those hosts that the balancer knows the reason of."""
    return look_knowing(site, site.store.glance(site.now))


def look_knowing(site: ActingSite, known: Glance) -> Cluster:
    """Look with what was read from the store a moment ago; what is begun meanwhile is not in it."""
    seen = site.platform.observe()
    states = _explained(site, seen, known)
    remembered = (
        _remembered(site, host, known.marks.get(host.name, HostMarks(host.name)), states) for host in seen.hosts
    )
    explained = {f"host:{name}" for name in states}
    doubts = [d for d in seen.doubts if not (d.subject in explained and d.kind == "unreachable")]
    found = Cluster(
        taken_at=seen.taken_at,
        cluster=seen.cluster,
        hosts=tuple(_with_wishes(host, known.drains, known.shunned) for host in remembered),
        vms=tuple(_at_rest_on_a_sleeper(vm, states) for vm in seen.vms),
        links=seen.links,
        doubts=(*doubts, *_open_questions(known.unsettled)),
    )
    return _with_reservations(_with_journaled_moves(found, known.unsettled), known.reserved)


def _explained(site: ActingSite, seen: Cluster, known: Glance) -> dict[str, HostState]:
    """Return the true state of each silent host whose silence is explained; the others stay unreachable."""
    begun = {entry.step.host: entry.action for entry in known.unsettled if entry.state is EntryState.BEGUN}
    silent = [host.name for host in seen.hosts if host.state is HostState.UNREACHABLE]
    found: dict[str, HostState] = {}
    to_ask = []
    for name in silent:
        if begun.get(name) in _WAKES:
            found[name] = HostState.WAKING
        elif begun.get(name) is Action.POWER_OFF and not seen.active_on(name):
            found[name] = HostState.DRAINING
        elif name in site.switches:
            to_ask.append(name)
    found |= _seen_by_their_bmc(site, seen, known.marks, to_ask)
    return found | {
        name: HostState.MAINTENANCE
        for name in silent
        if name not in found and (_is_worked_on(seen, known.drains, name) or _did_not_return(seen, known.marks, name))
    }


def _did_not_return(seen: Cluster, marks: Mapping[str, HostMarks], name: str) -> bool:
    """Whether a host is silent because it failed to wake: empty when put to sleep, told by an alarm.

    Everything is known of it that matters to the others: no guest, no room. One broken server keeps no cluster awake.
    """
    known = marks.get(name)
    failed = known is not None and known.asleep_by_us and known.quarantine is not None
    return failed and not seen.active_on(name)


def _is_worked_on(seen: Cluster, drains: Mapping[str, Drain], name: str) -> bool:
    """Whether a host is silent because somebody works on it: it was drained, and seen empty before it went silent."""
    return name in drains and drains[name].empty_since is not None and not seen.active_on(name)


def _with_wishes(host: Host, drains: Mapping[str, Drain], shunned: Mapping[str, Shunned]) -> Host:
    """A host that an operator wants empty, or that moves keep failing to reach."""
    host = _drained(host) if host.name in drains else host
    if host.name not in shunned:
        return host
    shun = shunned[host.name]
    return host.model_copy(update={"shunned": f"{shun.why}; tried again at {shun.until:%H:%M}"})


def _drained(host: Host) -> Host:
    """A drained host takes no guests, and lets go of those that it has."""
    state = HostState.DRAINING if host.state is HostState.UP else host.state
    return host.model_copy(update={"drained": True, "cordoned": True, "state": state})


def _seen_by_their_bmc(
    site: ActingSite, seen: Cluster, marks: Mapping[str, HostMarks], names: list[str]
) -> dict[str, HostState]:
    if not names:
        return {}
    with ThreadPoolExecutor(min(len(names), _AT_THE_SAME_TIME)) as pool:
        states = dict(zip(names, pool.map(lambda name: power_state(site.switch_of(name)), names), strict=True))
    found = {}
    for name in (name for name, state in states.items() if state is PowerState.OFF):
        if name in marks and marks[name].asleep_by_us:
            found[name] = HostState.STANDBY
        elif not seen.active_on(name):  # with guests last seen there it went down under them: that stays a doubt
            found[name] = HostState.POWERED_OFF
    return found


def _remembered(site: ActingSite, host: Host, marks: HostMarks, states: Mapping[str, HostState]) -> Host:
    entry = site.entry_of(host.name)
    changes: dict[str, Any] = {
        "cordoned": host.cordoned or marks.cordon is not None,
        "wake_proven_at": marks.wake_proven_at,
        "quarantined": None if marks.quarantine is None else marks.quarantine.why,
        "asleep_by_us": states.get(host.name) is HostState.STANDBY,
    }
    if entry is not None:
        changes |= {"may_sleep": entry.may_sleep, "sleep_blocked_by": _sleep_blocked_by(site, marks)}
        changes["switchable"] = site.switch_of(host.name) is not None
    if host.name in states:
        changes |= {"state": states[host.name], "cpu_used_cores": 0.0, "memory_used_mib": 0.0}
    if marks.boot_seconds is not None:
        changes["boot_seconds_seen"] = marks.boot_seconds
    return host.model_copy(update=changes)


def _sleep_blocked_by(site: ActingSite, marks: HostMarks) -> str | None:
    """Say why a host that may sleep may not do so yet; None where nothing that is remembered speaks against it."""
    if site.switch_of(marks.host) is None:
        return "it has no BMC in the site file"
    if marks.quarantine is not None:
        return f"{marks.quarantine.why}; when that is mended: balancer power test {marks.host}"
    if marks.wake_proven_at is None:
        return f"it was never seen to wake: balancer power test {marks.host}"
    return None


def _at_rest_on_a_sleeper(vm: Vm, states: Mapping[str, HostState]) -> Vm:
    """A guest that was left defined on a host without power is certainly not running."""
    if states.get(vm.host) in {HostState.STANDBY, HostState.POWERED_OFF} and vm.moving_to is None:
        return vm.model_copy(update={"state": VmState.SHUT_OFF})
    return vm


def _open_questions(unsettled: Iterable[JournalEntry]) -> list[Doubt]:
    """A step whose end nobody saw freezes what it touches."""
    doubts = []
    for entry in unsettled:
        if entry.state is EntryState.UNKNOWN:
            subjects = [*([f"vm:{entry.vm}"] if entry.vm else []), *(f"host:{host}" for host in entry.hosts)]
            detail = f"{entry.step} was begun and its end was not seen: {entry.detail}"
            doubts += [Doubt(subject=subject, kind="unknown", detail=detail) for subject in subjects]
    return doubts


def _with_journaled_moves(cluster: Cluster, unsettled: Iterable[JournalEntry]) -> Cluster:
    """Count a guest at both ends from the moment that its move was written down."""
    begun = [entry for entry in unsettled if entry.step.is_move]
    moves = [entry.step.move for entry in begun]
    cluster = cluster.while_moving(*(move for move in moves if _is_at_its_source(cluster, move)))
    restarted = [entry for entry in begun if entry.step.options.restart]
    return cluster.model_copy(update={"vms": tuple(_as_if_it_ran(vm, restarted) for vm in cluster.vms)})


def _as_if_it_ran(vm: Vm, restarted: Iterable[JournalEntry]) -> Vm:
    """A guest that is shut down to be moved wants its room again in a moment, whoever carries that out or did."""
    if vm.is_active or not any(entry.concerns(vm.name, vm.id) for entry in restarted):
        return vm
    return vm.model_copy(update={"state": VmState.MIGRATING})


def _with_reservations(cluster: Cluster, reserved: Iterable[Reservation]) -> Cluster:
    """Count room that is reserved for a guest which cannot be seen at its target: whoever comes must find it free."""
    unseen = [each for each in reserved if cluster.has_host(each.target) and not _counts_at(cluster, each)]
    for each in unseen:
        kept = cluster.host(each.target).reserved
        more = {"memory_mib": kept.memory_mib + each.memory_mib, "cpu_cores": kept.cpu_cores + each.cpu_cores}
        cluster = cluster.with_host(each.target, reserved=kept.model_copy(update=more))
    return cluster


def _counts_at(cluster: Cluster, reservation: Reservation) -> bool:
    return any(vm.key == reservation.vm_key for vm in cluster.guests_of(reservation.target))


def _is_at_its_source(cluster: Cluster, move: Move) -> bool:
    """Whether a guest is where a move takes it from, and the platform does not show it on its way yet."""
    if not cluster.has_vm(move.vm) or not cluster.has_host(move.target):
        return False
    vm = cluster.vm(move.vm)
    return vm.host == move.source and not vm.is_in_flight
