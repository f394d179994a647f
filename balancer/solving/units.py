"""Which guests move, and which of them move as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.shapes import Together
from balancer.domain.vm import Vm
from balancer.solving.problem import Problem


@dataclass(frozen=True)
class Units:
    """Guests that move, grouped into what moves as one.

    members: guests of each unit, all on one host today
    splits:  units that a promise wants together and that are not; they move only to be brought together
    stuck:   hosts too many of groups that are split and have a member that cannot move
    """

    members: tuple[tuple[Vm, ...], ...]
    splits: tuple[tuple[int, ...], ...]
    stuck: float


def units_of(problem: Problem) -> Units:
    """Find what moves as one: a guest, or guests that are promised to share a host."""
    movable = {vm.name: vm for vm in problem.cluster.vms if vm.name in problem.may_move and can_move(problem, vm)}
    together = _joined(s.vms for s in problem.shapes if isinstance(s, Together) and s.price is None)
    groups = [[problem.cluster.vm(n) for n in sorted(group) if problem.cluster.has_vm(n)] for group in together]
    # Where one of them cannot move, none of the others may leave it.
    frozen = {vm.name for group in groups if any(v.name not in movable for v in group) for vm in group}
    stuck = sum(len(_ends(group)) - 1 for group in groups if group and group[0].name in frozen)
    members: list[tuple[Vm, ...]] = []
    splits: list[tuple[int, ...]] = []
    grouped: set[str] = set()
    for group in groups:
        if not group or group[0].name in frozen:
            continue
        grouped |= {vm.name for vm in group}
        if len({vm.host for vm in group}) == 1:
            members.append(tuple(group))
        else:
            splits.append(tuple(range(len(members), len(members) + len(group))))
            members.extend((vm,) for vm in group)
    members.extend((vm,) for vm in movable.values() if vm.name not in frozen | grouped)
    return Units(tuple(members), tuple(splits), float(stuck))


def can_move(problem: Problem, vm: Vm) -> bool:
    """Whether nothing in what was seen forbids to touch it: not in flight, not in doubt, its host not asleep."""
    cluster: Cluster = problem.cluster
    home = cluster.host(vm.host)
    return not vm.is_in_flight and not cluster.is_frozen(vm) and not cluster.is_doubted(home) and home.is_on


def _ends(group: Iterable[Vm]) -> set[str]:
    return {vm.moving_to or vm.host for vm in group}


def _joined(groups: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Merge groups that share a member."""
    joined: list[frozenset[str]] = []
    for group in groups:
        touching = [other for other in joined if other & group]
        joined = [other for other in joined if not other & group] + [group.union(*touching)]
    return joined
