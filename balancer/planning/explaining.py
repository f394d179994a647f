"""Why a guest is where it is, and where else it could be; why a plan does what it does.

Every answer is about the cluster as it will be once the plan is carried out: what one more move would change, whether
a promise forbids it, and by how much room is missing. The promises' own checkers are asked, never the solver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from balancer.constraints import Cap, Constraint, Headroom, Overcommit, Reach
from balancer.domain.cluster import Cluster
from balancer.domain.explanation import Bought, Explanation, Guest, Option, Reason
from balancer.domain.host import CPU, MEMORY, Host, HostState
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.outcome import outcome
from balancer.domain.placement import Move
from balancer.domain.plan import Because, Plan, Step
from balancer.domain.units import gib, memory_in_words
from balancer.domain.violation import Violation, worsened
from balancer.domain.vm import Vm
from balancer.planning.conflicts import placed
from balancer.planning.kinds import way_of, why_stays
from balancer.planning.question import is_broken, may_wake
from balancer.policy.model import Policy
from balancer.stability.budget import left_for_this_cycle

MOST_HOSTS = 64  # looked at as places for one guest; of more, those with the most room
NO_CHANGE = 1e-9  # of J: below this a difference is rounding
FULL = (Headroom, Cap, Overcommit)


@dataclass(frozen=True)
class Case:
    """What was seen, wanted and planned, about which somebody asks why."""

    cluster: Cluster
    policy: Policy
    plan: Plan
    memory: Memory = NOTHING_REMEMBERED
    place_of: Callable[[str], str] = field(default=lambda promise: "")

    @cached_property
    def later(self) -> Cluster:
        return outcome(self.plan, self.cluster)

    @cached_property
    def promises(self) -> tuple[Constraint, ...]:
        return self.policy.promises_on(self.cluster)

    @cached_property
    def objective(self) -> float:
        """J once the plan is carried out."""
        return self.policy.score(self.cluster, self.later)

    def change(self, other: Cluster) -> float:
        """Return by how much J is higher in another end than in the plan's."""
        return self.policy.score(self.cluster, other) - self.objective

    def kept(self, subject: str) -> tuple[Reason, ...]:
        """Return why the plan leaves something alone, as it says itself."""
        mine = [kept for kept in self.plan.kept if kept.subject == subject]
        return tuple(reason(kept.because, kept.detail) for kept in mine)

    def broken(self, before: Cluster, after: Cluster, at_rest: bool = True) -> Iterator[tuple[Constraint, Violation]]:
        """Return the promises that are broken, or broken further, in `after`, each with its worst place."""
        for promise in self.promises:
            if promise.hard and (at_rest or not promise.at_rest):
                worse = worsened(promise.violations(before), promise.violations(after))
                if worse:
                    yield promise, max(worse, key=lambda violation: violation.excess)

    def said(self, promise: Constraint, violation: Violation) -> Reason:
        """Turn a promise that would be broken into a reason."""
        if isinstance(promise, Reach):
            return reason(Because.CANNOT_RUN_THERE, violation.detail)
        because = Because.NO_ROOM_THERE if isinstance(promise, FULL) else Because.FORBIDDEN
        place = self.place_of(promise.promise) or None
        return Reason(because=because, detail=violation.detail, promise=promise.promise, place=place)


def reason(because: Because, detail: str = "", way_out: str = "") -> Reason:
    return Reason(because=because, detail=detail, way_out=way_out)


# -- guests


def explain_vm(case: Case, name: str) -> Explanation:
    """Say why a guest is moved or is not, and what speaks for and against each other host."""
    vm, end = case.cluster.vm(name), case.later.vm(name)
    options, left_out = options_of(case, end)
    step = next((step for step in case.plan.moves if step.vm == name), None)
    if step is not None:
        reasons: tuple[Reason, ...] = (reason(Because.IS_MOVED, step.because),)
        headline = f"{name} moves from {vm.host} to {step.target} ({step.id})"
    else:
        reasons = why_it_stays(case, vm, options)
        headline = f"{name} stays on {vm.host}"
    return Explanation(
        subject=f"vm:{name}",
        headline=headline,
        facts=_facts_of_vm(vm),
        reasons=reasons,
        options=options,
        not_looked_at=left_out,
    )


def _facts_of_vm(vm: Vm) -> dict[str, str]:
    facts = {"state": vm.state.value, "needs": f"{vm.need(CPU):.2f} cores, {memory_in_words(vm.need(MEMORY))}"}
    return facts | ({"labels": " ".join(f"{key}={value}" for key, value in vm.labels.items())} if vm.labels else {})


def options_of(case: Case, vm: Vm) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """Return each other host as a place for a guest, the best first, and the hosts that were not looked at."""
    others = [host for host in case.later.hosts if host.name != vm.host]
    others.sort(key=lambda host: max(case.later.utilisation(host, resource) for resource in (CPU, MEMORY)))
    found = [_option(case, vm, host) for host in others[:MOST_HOSTS]]
    found.sort(key=lambda option: (not option.is_possible, option.change if option.change is not None else 0.0))
    return tuple(found), tuple(host.name for host in others[MOST_HOSTS:])


def _option(case: Case, vm: Vm, host: Host) -> Option:
    before = case.later
    closed = list(_why_closed(case, host))
    if case.memory.came_from.get(vm.key) == host.name:
        closed.append(reason(Because.COOLING_DOWN, "it left that host a short while ago"))
    if not host.is_on:
        before = before.with_host(host.name, state=HostState.UP, cordoned=False)
    move = Move(vm.name, vm.host, host.name)
    after, on_the_way = before.after(move), before.while_moving(move)
    against = {p.promise: _on_the_way(case.said(p, v)) for p, v in case.broken(case.later, on_the_way, at_rest=False)}
    against |= {p.promise: case.said(p, v) for p, v in case.broken(case.later, after)}
    change = case.change(after)
    if bound := why_stays(vm, case.policy.migration):
        closed.insert(0, reason(Because.IMMOVABLE, bound))
    elif no_way := way_of(before, move, case.policy.migration, case.memory.paces) if host.is_on else "":
        closed += [reason(Because.NO_WAY_THERE, no_way)] if isinstance(no_way, str) else []
    elif not host.is_on and not against:
        closed = [each.model_copy(update={"detail": _woken(each, change)}) for each in closed]
    if closed or against:
        return Option(host=host.name, is_possible=False, change=change, reasons=(*closed, *against.values()))
    return Option(host=host.name, is_possible=True, change=change, reasons=(reason(_better_or_not(change)),))


def _on_the_way(given: Reason) -> Reason:
    """A guest in flight counts at both ends, which may be too much although there is room once it has arrived."""
    return given.model_copy(update={"detail": f"on the way there, {given.detail}"})


def _woken(closed: Reason, change: float) -> str:
    alone = f"woken for this guest alone it would change J by {change:+.5f}"
    return alone if not closed.detail else f"{closed.detail}; {alone}"


def _better_or_not(change: float) -> Because:
    return Because.WOULD_GAIN if change < -NO_CHANGE else Because.WOULD_COST


def _why_closed(case: Case, host: Host) -> Iterator[Reason]:
    if case.cluster.is_doubted(host):
        yield reason(Because.IN_DOUBT, case.cluster.doubts_about(f"host:{host.name}"))
    elif host.drained:
        yield reason(Because.KEPT_FOR_MAINTENANCE)
    elif not host.is_on and case.cluster.host(host.name).is_on:
        yield reason(Because.ASLEEP, "the plan puts it to sleep")
    elif not host.is_on:
        may = may_wake(case.cluster, case.cluster.host(host.name), case.policy, case.memory)
        yield reason(Because.ASLEEP, "" if may else "the balancer may not wake it")
    elif not host.takes_guests:
        closed = "it is cordoned" if host.cordoned else host.shunned or ""
        yield reason(Because.TAKES_NO_GUESTS, closed if host.state is HostState.UP else f"it is {host.state}")


def why_it_stays(case: Case, vm: Vm, options: Iterable[Option]) -> tuple[Reason, ...]:
    """Return the reasons that hold for a guest that the plan does not move."""
    kept = case.kept(f"vm:{vm.name}")
    if kept:
        return kept
    if case.plan.refused:
        return (reason(Because.TOO_MANY_DOUBTS, case.plan.refused),)
    if case.policy.moves_are_frozen:
        return (reason(Because.FROZEN, f"freeze: {case.policy.freeze}"),)
    listed = list(options)
    possible = [option for option in listed if option.is_possible]
    if not possible:
        return (_why_nowhere(listed),)
    best = min(possible, key=lambda option: option.change or 0.0)
    return (_why_not_there(case, vm, best),)


def _why_nowhere(options: Sequence[Option]) -> Reason:
    by_room = [o.host for o in options if {r.because for r in o.reasons} == {Because.NO_ROOM_THERE}]
    others = [o.host for o in options if o.host not in by_room]
    said = _by_reason(option for option in options if option.host in others)
    if not by_room:
        return reason(Because.NO_HOST_ALLOWED, said or "there is no other")
    return reason(Because.NO_ROOM_ELSEWHERE, said)


def _by_reason(options: Iterable[Option]) -> str:
    """Say for hosts why each is out of the question, each reason once: `h2, h3 (is asleep); h4 (db-apart)`."""
    hosts: dict[str, list[str]] = defaultdict(list)
    for option in options:
        first = next(each for each in option.reasons if each.because is not Because.NO_ROOM_THERE)
        hosts[first.promise or first.because.sentence].append(option.host)
    return "; ".join(f"{_few(names)} ({why})" for why, names in hosts.items())


def _why_not_there(case: Case, vm: Vm, best: Option) -> Reason:
    gain = -(best.change or 0.0)
    if gain <= NO_CHANGE:
        said = f"the next best, {best.host}, would add {-gain:.5f} to J" if gain < -NO_CHANGE else ""
        return reason(Because.WELL_PLACED, said or f"{best.host} would be as good")
    said = f"on {best.host} J would fall by {gain:.5f}"
    spent = _why_spent(case, vm)
    if spent:
        return reason(Because.BUDGET_SPENT, f"{said}; {spent}")
    if gain <= case.policy.stability.minimum_gain:
        least = case.policy.stability.minimum_gain
        return reason(Because.GAIN_TOO_SMALL, f"{said}, the policy asks for more than {least:g}")
    waiting = [kept for kept in case.plan.kept if kept.subject in {f"host:{vm.host}", f"cluster:{case.plan.cluster}"}]
    for kept in (kept for kept in waiting if kept.because in _HOLDING):
        return reason(kept.because, kept.detail)
    return reason(Because.SEARCH_ENDED, said)


_HOLDING = frozenset({Because.NOT_LASTING_YET, Because.GAIN_TOO_SMALL, Because.BUDGET_SPENT})
"""What holds all guests of a host, or of the cluster, back."""


def _why_spent(case: Case, vm: Vm) -> str:
    moved = {step.vm for step in case.plan.moves if step.vm and case.cluster.has_vm(step.vm)}
    mib = sum(case.cluster.vm(name).memory_mib for name in moved)
    left = left_for_this_cycle(case.policy.budget, case.memory, is_broken(case.cluster, case.policy))
    return left.why_spent(len(moved), mib, vm.memory_mib)


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


# -- plans


def explain_plan(case: Case, headline: str, gap: str) -> Explanation:
    """Say what each move buys and costs, what is left alone and why, and how far from the best the plan is."""
    summary = case.plan.summary
    kept: dict[str, list[Reason]] = defaultdict(list)
    for each in case.plan.kept:
        kept[each.subject].append(reason(each.because, each.detail))
    return Explanation(
        subject=f"plan:{case.plan.id}",
        headline=headline,
        facts={
            "J": f"{summary.objective_before:.5f} → {summary.objective_after:.5f}",
            "distance to the best": gap,
        },
        reasons=(reason(Because.TOO_MANY_DOUBTS, case.plan.refused),) if case.plan.refused else (),
        moves=tuple(_bought(case, step) for step in case.plan.moves if case.later.has_vm(step.move.vm)),
        kept=tuple(Guest(vm=subject, reasons=tuple(reasons)) for subject, reasons in kept.items()),
        conflicts=placed(case.plan.conflicts, case.place_of),
    )


def _bought(case: Case, step: Step) -> Bought:
    return Bought(
        step=step.id,
        vm=step.move.vm,
        source=step.move.source,
        target=step.move.target,
        gain=_gain_of(case, step),
        seconds=step.seconds,
        downtime_ms=step.downtime_ms,
        gib=round(gib(step.memory_mib), 3),
        because=step.because,
    )


def _gain_of(case: Case, step: Step) -> float:
    """Return what J would be higher by, had the guest stayed; its host would then have to be on."""
    undone = case.later
    source = case.cluster.host(step.move.source)
    if not undone.host(source.name).is_on:
        reading = {"cpu_used_cores": source.cpu_used_cores, "memory_used_mib": source.memory_used_mib}
        undone = undone.with_host(source.name, state=source.state, **reading)
    return case.change(undone.after(Move(step.move.vm, step.move.target, step.move.source)))
