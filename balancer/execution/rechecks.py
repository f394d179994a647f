"""What is looked at again before a guest is moved: the world may have gone on since the plan was made."""

from __future__ import annotations

from collections.abc import Iterable

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.plan import Step
from balancer.domain.vm import Movable, Vm, VmState
from balancer.execution.limits import Limits
from balancer.store.journal import JournalEntry


def why_not_move(step: Step, cluster: Cluster, unsettled: Iterable[JournalEntry], limits: Limits) -> str:
    """Say why a guest may not be moved now as the plan wants it; empty where it may."""
    move = step.move
    if not cluster.has_vm(move.vm):
        return f"there is no guest {move.vm} any more"
    vm = cluster.vm(move.vm)
    reasons = (
        _too_many_doubts(cluster, limits),
        _another_guest(step, vm),
        _not_where_it_was(step, vm),
        _already_held(vm, unsettled),
        _not_in_the_state(step, vm),
        _in_doubt(step, vm, cluster),
        _target_refuses(step, vm, cluster),
    )
    return next(filter(None, reasons), "")


def _too_many_doubts(cluster: Cluster, limits: Limits) -> str:
    doubted = [host.name for host in cluster.hosts if cluster.is_doubted(host)]
    if len(doubted) <= limits.max_doubts * len(cluster.hosts):
        return ""
    details = "; ".join(cluster.doubts_about(f"host:{name}") for name in doubted)
    return f"{len(doubted)} of {len(cluster.hosts)} hosts are in doubt, so nothing is moved: {details}"


def _another_guest(step: Step, vm: Vm) -> str:
    if step.vm_id and vm.id and step.vm_id != vm.id:
        return f"{vm.name} is another guest now ({vm.id}, not {step.vm_id})"
    return ""


def _not_where_it_was(step: Step, vm: Vm) -> str:
    if vm.is_in_flight:
        return f"{vm.name} is on its way from {vm.host} to {vm.moving_to} already"
    if vm.host == step.target:
        return f"{vm.name} is on {vm.host} already"
    return f"{vm.name} is on {vm.host}, not on {step.source}" if vm.host != step.source else ""


def _already_held(vm: Vm, unsettled: Iterable[JournalEntry]) -> str:
    holding = next((entry for entry in unsettled if entry.concerns(vm.name, vm.id)), None)
    return f"an earlier step has not ended: {holding}" if holding else ""


def _not_in_the_state(step: Step, vm: Vm) -> str:
    goes_shut_off = step.kind == "cold" and not step.options.restart
    wanted = VmState.SHUT_OFF if goes_shut_off else VmState.RUNNING
    if vm.state is not wanted:
        return f"{vm.name} is {_said(vm.state)}, and the plan took it to be {_said(wanted)}"
    if vm.movable is Movable.NEVER or (vm.movable is Movable.COLD and step.kind != "cold"):
        return f"{vm.name} may not be moved so: {vm.why_not or f'it is movable: {vm.movable}'}"
    if vm.storage == "local" and not step.options.copies_storage:
        return f"its disk is on {vm.host} alone, and the plan copies none"
    return ""


def _said(state: VmState) -> str:
    return state.replace("_", " ")


def _in_doubt(step: Step, vm: Vm, cluster: Cluster) -> str:
    touched = {f"vm:{vm.name}", *(f"host:{host}" for host in step.hosts)}
    doubt = next((doubt for doubt in cluster.doubts if doubt.subject in touched), None)
    return f"{doubt.subject} is in doubt: {doubt.detail or doubt.kind}" if doubt else ""


def _target_refuses(step: Step, vm: Vm, cluster: Cluster) -> str:
    source, target = step.move.source, step.move.target
    if not cluster.has_host(target):
        return f"there is no host {target} any more"
    if cluster.host(source).state is HostState.UNREACHABLE:
        return f"{source} does not answer"
    host = cluster.host(target)
    if not host.takes_guests:
        said = "drained" if host.drained else "cordoned" if host.cordoned else host.state
        why = f"it is {said}" if host.shunned is None or host.drained or host.cordoned else host.shunned
        return f"{target} takes no guests: {why}"
    why_not = cluster.why_cannot_run(vm, host)
    return f"{vm.name} cannot run on {target}: {why_not}" if why_not else ""
