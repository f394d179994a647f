"""Why a host is on, or asleep: every reason that holds, what cannot leave it, what would have to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from balancer.domain.cluster import Cluster
from balancer.domain.explanation import Explanation, Guest, Reason
from balancer.domain.host import CPU, MEMORY, Host, HostState
from balancer.domain.memory import Memory
from balancer.domain.plan import Action, Because
from balancer.domain.shapes import HostMust
from balancer.domain.units import count_of, memory_in_words
from balancer.planning.explaining import Case, options_of, reason, why_it_stays
from balancer.planning.kinds import why_stays
from balancer.planning.question import all_why_not_asleep, ask, may_wake
from balancer.policy.model import Policy
from balancer.solving import find_placement

SAME = 5e-6  # of J: what is printed with five digits looks the same
MOST_GUESTS = 24  # of one host whose places are looked at one by one

WAYS_OUT: dict[Because, str] = {
    Because.MAY_NOT_SLEEP: "write `may_sleep: true` for it in the site file, if nothing but guests depends on it",
    Because.WAKE_NOT_PROVEN: "prove it with `balancer power test`",
    Because.DID_NOT_RETURN: "mend it, or switch it off by hand; then `balancer power test`",
    Because.IN_DOUBT: "see `balancer hosts` for what is in doubt",
    Because.DOUBTS_ELSEWHERE: "see `balancer hosts` for what is in doubt",
    Because.DEFINES_SHUT_OFF_GUESTS: "define them elsewhere, or write `power: {accept_shut_off_guests: true}`",
    Because.CARRIES_IMMOVABLE: "they would have to be shut down, or made movable",
    Because.NOTHING_SAVED: "write `objectives: {least_power: {weight: 1.0}}`",
    Because.NEEDED_FOR_HEADROOM: "less load, more room on the others, or a higher `headroom`",
    Because.NEEDED_SOON: "the forecast of its guests changes by itself; see `demand: {horizon_minutes: ...}`",
    Because.SAVES_TOO_LITTLE: "give `least_power` more weight against `even_load` and `few_moves`",
    Because.KEPT_FOR_MAINTENANCE: "`balancer host undrain` ends that",
    Because.FROZEN: "it thaws when the window of the policy closes; see `balancer policy show`",
    Because.NEEDED_FOR_PROMISE: "relax that promise",
    Because.NOT_PUT_TO_SLEEP_BY_US: "list it under `power: {wake: [...]}`, or use `balancer power wake`",
}


def explain_host(case: Case, name: str) -> Explanation:
    """Say why a host is on or off, and what would have to change for it to sleep or wake."""
    host, end = case.cluster.host(name), case.later.host(name)
    if host.is_on and end.is_on:
        reasons = tuple(_with_way_out(each) for each in _why_on(case, host))
        headline = f"{name} stays on"
    elif end.is_on:
        reasons, headline = (reason(Because.IS_WOKEN, _because_of(case, name)),), f"{name} is woken by the plan"
    elif host.is_on:
        reasons, headline = (reason(Because.IS_PUT_TO_SLEEP, _because_of(case, name)),), f"{name} goes to sleep"
    else:
        reasons = tuple(_with_way_out(each) for each in _why_off(case, host))
        headline = f"{name} stays asleep"
    return Explanation(
        subject=f"host:{name}",
        headline=headline,
        facts=_facts(case.cluster, host),
        reasons=reasons,
        guests=tuple(_who_cannot_leave(case, name)) if host.is_on else (),
    )


def _with_way_out(given: Reason) -> Reason:
    return given.model_copy(update={"way_out": given.way_out or WAYS_OUT.get(given.because, "")})


def _because_of(case: Case, name: str) -> str:
    switching = {Action.POWER_ON, Action.POWER_OFF}
    return next((step.because for step in case.plan.steps if step.host == name and step.action in switching), "")


def _facts(cluster: Cluster, host: Host) -> dict[str, str]:
    facts = {"state": host.state.value, "carries": count_of(len(cluster.active_on(host.name)), "guest")}
    if host.is_on:
        facts["CPU"] = f"{cluster.used(host, CPU):.1f} of {host.usable(CPU):g} cores"
        used, usable = (memory_in_words(each) for each in (cluster.used(host, MEMORY), host.usable(MEMORY)))
        facts["memory"] = f"{used} of {usable}"
    if host.power is not None:
        facts["idle"] = f"{host.power.idle:.0f} W"
    return facts


# -- why it is on


def _why_on(case: Case, host: Host) -> Iterator[Reason]:
    """Yield each reason for which a host that is on does not sleep; what forbids it first, what it costs last."""
    forbidding = [reason(k.because, k.detail) for k in all_why_not_asleep(*_asked(case, host))]
    bound = [vm.name for vm in case.later.active_on(host.name) if why_stays(vm, case.policy.migration)]
    if bound:
        forbidding.append(reason(Because.CARRIES_IMMOVABLE, ", ".join(bound[:5])))
    forbidding += _promises_against(case, host)
    if case.policy.objectives.least_power.weight <= 0:
        forbidding.append(reason(Because.NOTHING_SAVED))
    if case.plan.refused:
        forbidding.append(reason(Because.TOO_MANY_DOUBTS, case.plan.refused))
    yield from forbidding
    if not forbidding:
        costs = _what_sleep_costs(case, host)
        yield from (each for each in case.kept(f"host:{host.name}") if each.because not in {*_COSTS, costs.because})
        yield costs


_COSTS = frozenset({Because.CARRIES_GUESTS, Because.SAVES_TOO_LITTLE})
"""What a plan says where it did not look closer; here the solver is asked."""


def _asked(case: Case, host: Host) -> tuple[Cluster, Host, Policy, Memory, datetime]:
    return case.cluster, host, case.policy, case.memory, case.plan.made_at


def _promises_against(case: Case, host: Host) -> Iterator[Reason]:
    """Yield promises that would be broken with it asleep, were its guests nowhere at all."""
    asleep = case.later.with_hosts(HostState.STANDBY, host.name)
    for promise, violation in case.broken(case.later, asleep):
        where = case.place_of(promise.promise) or None
        yield Reason(because=Because.NEEDED_FOR_PROMISE, detail=violation.detail, promise=promise.promise, place=where)


def _what_sleep_costs(case: Case, host: Host) -> Reason:
    """Ask the solver for the best placement in which the host is off, and compare."""
    question = ask(case.cluster, case.policy, case.memory, case.plan.made_at)
    asked = replace(question.problem, shapes=(*question.problem.shapes, HostMust(host.name, on=False)))
    decision = find_placement(asked)
    if host.name in decision.placement.on or decision.excess > decision.excess_now + 1e-9:
        short = next((kept.detail for kept in case.plan.kept if kept.subject == f"host:{host.name}"), "")
        return reason(Because.NEEDED_FOR_HEADROOM, short or "no placement was found in which its guests fit elsewhere")
    end = decision.placement.applied_to(case.cluster)
    change = case.change(end)
    moves = len(decision.placement.moves_from(case.cluster))
    if abs(change) < SAME:
        return reason(Because.SAVES_TOO_LITTLE, f"another placement with it asleep is as good, J {case.objective:.5f}")
    said = f"the best found with it asleep is J {case.objective + change:.5f} instead of {case.objective:.5f}"
    return reason(Because.SAVES_TOO_LITTLE, f"{said}, after {count_of(moves, 'move')}")


def _who_cannot_leave(case: Case, name: str) -> Iterator[Guest]:
    for vm in case.later.guests_of(name)[:MOST_GUESTS]:
        options, _ = options_of(case, vm)
        if not any(option.is_possible for option in options):
            kept = case.kept(f"vm:{vm.name}")
            yield Guest(vm=vm.name, reasons=kept or why_it_stays(case, vm, options))


# -- why it is off


def _why_off(case: Case, host: Host) -> Iterator[Reason]:
    if case.cluster.is_doubted(host):
        yield reason(Because.IN_DOUBT, case.cluster.doubts_about(f"host:{host.name}"))
    if host.drained:
        yield reason(Because.KEPT_FOR_MAINTENANCE)
        return
    if not may_wake(case.cluster, host, case.policy, case.memory):
        yield reason(Because.NOT_PUT_TO_SLEEP_BY_US)
        return
    awake = case.later.with_host(host.name, state=HostState.UP, cordoned=False)
    change = case.change(awake)
    yield reason(Because.NOT_NEEDED, f"on and empty it would add {change:.5f} to J")
