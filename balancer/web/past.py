"""The past: cycles that are kept whole, decided again, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from balancer.actions import NotThere
from balancer.cycle import think
from balancer.domain.host import CPU, MEMORY
from balancer.domain.plan import Plan
from balancer.errors import Fault
from balancer.saved import SavedCycle
from balancer.store.journal import EntryState
from balancer.web.door import Door

_NUMBERS: Mapping[str, Callable[[SavedCycle], str]] = {
    "hosts on": lambda cycle: str(sum(host.is_on for host in cycle.snapshot.hosts)),
    "guests running": lambda cycle: str(sum(vm.is_active for vm in cycle.snapshot.vms)),
    "CPU deviation": lambda cycle: f"{cycle.snapshot.imbalance(CPU):.3f}",
    "memory deviation": lambda cycle: f"{cycle.snapshot.imbalance(MEMORY):.3f}",
    "draws": lambda cycle: f"{cycle.snapshot.watts():.0f} W",
    "doubts": lambda cycle: str(len(cycle.snapshot.doubts)),
    "steps wanted": lambda cycle: str(len(cycle.plan.steps)),
}


def saved(door: Door, plan_id: str) -> SavedCycle:
    """Return a whole cycle of the past."""
    found = door.chronicle.saved(plan_id)
    if found is None:
        raise NotThere([Fault(plan_id, "is no cycle that is kept whole", "only the last ones are")])
    return found


@dataclass(frozen=True)
class Replayed:
    """A cycle that was decided again; only_then and only_now are the steps of one of the two plans alone."""

    sentence: str
    plan: Plan
    only_then: tuple[str, ...]
    only_now: tuple[str, ...]
    same: bool


def replay(door: Door, plan_id: str) -> Replayed:
    """Decide a cycle again under its own policy, by this version of the balancer."""
    then = saved(door, plan_id)
    with door.thinking():
        cycle = think(then.snapshot, then.policy, then.memory)
    before, after = list(map(str, then.plan.steps)), list(map(str, cycle.plan.steps))
    known_then, known_now = set(before), set(after)
    only_then = tuple(step for step in before if step not in known_now)
    only_now = tuple(step for step in after if step not in known_then)
    return Replayed(cycle.sentence, cycle.plan, only_then, only_now, same=before == after)


@dataclass(frozen=True)
class Elsewhere:
    """A guest that is on another host than it was; `by_us`: the balancer's journal has a move of it in between."""

    guest: str
    was: str
    now: str
    by_us: bool


@dataclass(frozen=True)
class Between:
    """What changed from one cycle to another."""

    first: SavedCycle
    second: SavedCycle
    moved: Sequence[Elsewhere]
    came: Sequence[str]
    went: Sequence[str]
    switched: Sequence[tuple[str, str, str]]
    numbers: Sequence[tuple[str, str, str]]
    policy_changed: bool

    @property
    def is_all_the_same(self) -> bool:
        return not (self.moved or self.came or self.went or self.switched)


def between(door: Door, first_id: str, second_id: str) -> Between:
    """Compare two cycles: guests that are elsewhere, that came and went, hosts that were switched."""
    first, second = saved(door, first_id), saved(door, second_id)
    if first.snapshot.taken_at > second.snapshot.taken_at:
        first, second = second, first
    since, until = first.snapshot.taken_at, second.snapshot.taken_at
    ours = {entry.vm for entry in door.store.journal.between(since, until) if entry.state is EntryState.DONE}
    before = {vm.name: vm.host for vm in first.snapshot.vms}
    after = {vm.name: vm.host for vm in second.snapshot.vms}
    states = {host.name: str(host.state) for host in first.snapshot.hosts}
    return Between(
        first,
        second,
        moved=[
            Elsewhere(name, before[name], after[name], name in ours)
            for name in before
            if name in after and before[name] != after[name]
        ],
        came=[name for name in after if name not in before],
        went=[name for name in before if name not in after],
        switched=[
            (host.name, states[host.name], str(host.state))
            for host in second.snapshot.hosts
            if host.name in states and states[host.name] != host.state
        ],
        numbers=[(name, said(first), said(second)) for name, said in _NUMBERS.items()],
        policy_changed=first.plan.policy.digest != second.plan.policy.digest,
    )
