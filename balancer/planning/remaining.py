"""What stays on a host that is to be emptied, and exactly why: asked of the checkers, guest by guest, host by host."""

from __future__ import annotations

from collections.abc import Iterable

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.placement import Move
from balancer.domain.plan import Because, Kept
from balancer.domain.violation import Violation, worsened
from balancer.domain.vm import Vm
from balancer.planning.drafting import Draft
from balancer.policy.model import Policy

HEADROOM = "headroom"
MOST_HOSTS = 4  # that are named in one reason


def what_remains(draft: Draft, policy: Policy, known: Iterable[Kept] = ()) -> tuple[Kept, ...]:
    """Return a reason for each guest that a plan leaves on a host that is being emptied; `known` were found before."""
    reasons = {kept.subject: kept for kept in known}
    staying = [
        vm
        for host in draft.later.hosts
        if host.is_being_emptied
        for vm in draft.later.guests_of(host.name)
        if vm.host == host.name
    ]
    return tuple(reasons.get(f"vm:{vm.name}") or _why(draft, vm, policy) for vm in staying)


def _why(draft: Draft, vm: Vm, policy: Policy) -> Kept:
    if draft.question.refused:
        return _kept(vm, Because.IN_DOUBT, draft.question.refused)
    if policy.moves_are_frozen:
        return _kept(vm, Because.FROZEN, f"freeze: {policy.freeze}")
    others = [host for host in draft.later.hosts if host.takes_guests and host.name != vm.host]
    if not others:
        return _kept(vm, Because.NO_HOST_ALLOWED, "no other host takes guests now")
    against = {host.name: _against(draft.later, vm, host, policy) for host in others}
    if all(against.values()):
        found = {name: words for name, words in against.items() if words is not None}
        only_room = all(is_room for _, is_room in found.values())
        because = Because.NO_ROOM_ELSEWHERE if only_room else Because.NO_HOST_ALLOWED
        return _kept(vm, because, _listed({name: words for name, (words, _) in found.items()}))
    moved = {item.move.vm for item in draft.schedule.timed}
    mib = sum(draft.cluster.vm(name).memory_mib for name in moved)
    spent = draft.question.left.why_spent(len(moved), mib, vm.memory_mib)
    if spent:
        return _kept(vm, Because.BUDGET_SPENT, spent)
    return _kept(vm, Because.NO_SAFE_ORDER, "the next cycle tries again")


def _against(later: Cluster, vm: Vm, host: Host, policy: Policy) -> tuple[str, bool] | None:
    """Say what speaks against a host as the new home of a guest, and whether it is room alone; None where nothing."""
    unfit = later.why_cannot_run(vm, host)
    if unfit:
        return unfit, False
    if later.is_doubted(host):
        return "it is in doubt", False
    move = Move(vm.name, vm.host, host.name)
    before = policy.violations(later)
    at_rest = worsened(before, policy.violations(later.after(move)))
    telling: Violation | None = next((v for v in at_rest if v.promise != HEADROOM), next(iter(at_rest), None))
    if telling is not None:
        return str(telling), telling.promise == HEADROOM
    # A guest that is pinned breaks its promise by moving, whatever the target: only the state in flight shows that.
    in_flight = worsened(before, policy.violations(later.while_moving(move), in_transit=True))
    pinning = next((v for v in in_flight if not v.at_rest_only), None)
    return (f"{pinning.promise}: it has to stay where it is", False) if pinning is not None else None


def _listed(against: dict[str, str]) -> str:
    """Name hosts with what speaks against each; what speaks against all is said once."""
    said = set(against.values())
    if len(said) == 1:
        return said.pop()
    named = [f"{name}: {words}" for name, words in list(against.items())[:MOST_HOSTS]]
    more = len(against) - MOST_HOSTS
    return "; ".join([*named, *([f"and {more} more hosts"] if more > 0 else [])])


def _kept(vm: Vm, because: Because, detail: str) -> Kept:
    return Kept(subject=f"vm:{vm.name}", because=because, detail=detail)
