"""Find a placement: as one, or in pods where the cluster is too large for that. Read this first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from balancer.domain.placement import Placement
from balancer.domain.shapes import AllowedHosts, GroupLoad, HostOn, HostsTouched, Losses, MoveCost
from balancer.solving.arrays import Arrays, Bools, Floats
from balancer.solving.bound import is_proved, norm_gap
from balancer.solving.lowering import arrays_of
from balancer.solving.problem import Decision, Problem
from balancer.solving.score import Score, Solution, score

if TYPE_CHECKING:
    from balancer.solving.pods import Pod
    from balancer.solving.priced import Prices

PODS_ABOVE = 200  # hosts
POD_HOSTS = 50  # twice as many take half as long again, and leave half as much undone
BUDGET_HOSTS, BUDGET_MOVES = 120, 60  # so many moves are a small budget, and are spent on so many hosts
POD_SECONDS = 600.0  # for all pods: effort bounds them, the clock has the last word
PRICED_PODS = 2  # whose prices bound all; pods are alike


def find_placement(problem: Problem) -> Decision:
    """Find the best placement within the budget, never worse than today's, and say how far from the best it can be."""
    if len(problem.cluster.hosts) > PODS_ABOVE:
        return _found_among_those_in_use(problem) or find_in_pods(problem)
    from balancer.solving.decide import decide

    arrays = arrays_of(problem)
    found = decide(arrays, problem.effort, problem.seed)
    return Decision(
        placement=_placement(problem, [arrays], [found.solution]),
        objective_now=found.now.cost,
        objective=found.score.cost,
        bound=found.bound,
        excess_now=found.now.excess,
        excess=found.score.excess,
        proved_optimal=found.is_proved,
        gap=norm_gap(found.score, found.now, found.bound),
        nodes=found.nodes,
        iterations=found.iterations,
        cut_short=found.cut_short,
    )


def _found_among_those_in_use(problem: Problem) -> Decision | None:
    """Decide as one where most hosts sleep; None where too many are on for that. The bound holds for all."""
    from balancer.solving.decide import decide
    from balancer.solving.pods import parts_of_problem, pod_without_most_sleepers, rest_of
    from balancer.solving.priced import parts_of, priced_bound

    pod = pod_without_most_sleepers(problem, PODS_ABOVE)
    if pod is None:
        return None
    arrays = [arrays_of(part) for part in parts_of_problem(problem, [pod, rest_of(problem.cluster, [pod])])]
    found = decide(arrays[0], problem.effort, problem.seed)
    left = score(arrays[1], Solution.today(arrays[1]))
    now, later = _sum([found.now, left]), _sum([found.score, left])
    parts = parts_of(arrays, _leave_costs(problem, arrays), _can_leave(problem, arrays))
    bound = None if found.prices is None else priced_bound(parts, found.prices, *_whole_budget(problem))
    return Decision(
        placement=_placement(problem, arrays[:1], [found.solution]),
        objective_now=now.cost,
        objective=later.cost,
        bound=bound,
        excess_now=now.excess,
        excess=later.excess,
        proved_optimal=is_proved(later, now, bound),
        gap=norm_gap(later, now, bound),
        nodes=found.nodes,
        iterations=found.iterations,
        cut_short=found.cut_short,
    )


def find_in_pods(problem: Problem) -> Decision:
    """Decide pod by pod, then once more between pods, with one bound for all."""
    from balancer.solving.pods import parts_of_problem, pods_of

    pods = pods_of(problem, POD_HOSTS)
    bound, arrays, prices = _bounded(problem, [arrays_of(part) for part in parts_of_problem(problem, pods)])
    if prices is not None and _has_small_budget(problem, arrays):
        return _found_for_budget(problem, arrays, bound, prices)
    first = _side_by_side(problem, arrays, prices)
    decided = [first, *_between(problem, pods, first)]
    now, later = first.now, first.later
    for more in decided[1:]:
        later = Score(later.excess + more.later.excess - more.now.excess, later.cost + more.later.cost - more.now.cost)
    return Decision(
        placement=decided[-1].placement,
        objective_now=now.cost,
        objective=later.cost,
        bound=bound,
        excess_now=now.excess,
        excess=later.excess,
        proved_optimal=is_proved(later, now, bound),
        gap=norm_gap(later, now, bound),
        nodes=sum(one.nodes for one in decided),
        iterations=sum(one.iterations for one in decided),
        cut_short=any(one.cut_short for one in decided),
    )


def _has_small_budget(problem: Problem, arrays: Sequence[Arrays]) -> bool:
    """Whether the budget is spent on few hosts, whichever they are; not where something is to be mended first."""
    guests, mib = _whole_budget(problem)
    mean_mib = np.concatenate([pod.mib for pod in arrays]).mean() if any(len(pod.mib) for pod in arrays) else 1.0
    if min(guests, mib / max(mean_mib, 1.0)) > BUDGET_MOVES:
        return False
    return all(score(pod, Solution.today(pod)).breaks_nothing for pod in arrays)


def _found_for_budget(problem: Problem, arrays: Sequence[Arrays], bound: float | None, prices: Prices) -> Decision:
    """Decide the hosts where a small budget gains most as one; its model knows best what the budget is worth."""
    from balancer.solving.decide import decide
    from balancer.solving.pods import parts_of_problem, pod_for_budget, rest_of
    from balancer.solving.priced import gains_of_hosts, parts_of, priced_bound

    parts = parts_of(arrays, _leave_costs(problem, arrays), _can_leave(problem, arrays))
    hosts = [name for pod in arrays for name in pod.hosts]
    chosen = pod_for_budget(problem.cluster, hosts, gains_of_hosts(parts, prices).tolist(), BUDGET_HOSTS)
    pod = arrays_of(parts_of_problem(problem, [chosen, rest_of(problem.cluster, [chosen])])[0])
    found = decide(pod, problem.effort, problem.seed)
    known = [bound, None if found.prices is None else priced_bound(parts, found.prices, *_whole_budget(problem))]
    best_bound = max((one for one in known if one is not None), default=None)
    now = _sum([score(each, Solution.today(each)) for each in arrays])
    later = Score(now.excess + found.score.excess - found.now.excess, now.cost + found.score.cost - found.now.cost)
    return Decision(
        placement=_placement(problem, [pod], [found.solution]),
        objective_now=now.cost,
        objective=later.cost,
        bound=best_bound,
        excess_now=now.excess,
        excess=later.excess,
        proved_optimal=is_proved(later, now, best_bound),
        gap=norm_gap(later, now, best_bound),
        nodes=found.nodes,
        iterations=found.iterations,
        cut_short=found.cut_short,
    )


@dataclass(frozen=True)
class _Round:
    """What came out of all pods of a round; costs and excess of what they decided on."""

    placement: Placement
    now: Score
    later: Score
    nodes: int
    iterations: int
    cut_short: bool


def _side_by_side(problem: Problem, arrays: Sequence[Arrays], prices: Prices | None) -> _Round:
    """Decide pods in several processes; one that takes too long stays as it is."""
    from balancer.solving.decide import Found, decide
    from balancer.solving.workers import Job, side_by_side

    effort = replace(problem.effort, restarts=0, is_brief=True, exact_binaries=0)
    jobs = [Job(decide, (pod, effort, problem.seed, True, prices)) for pod in arrays]
    answers: dict[int, Found | None] = dict(side_by_side(jobs, POD_SECONDS))
    found = {place: answer for place, answer in answers.items() if answer is not None}
    today = [Solution.today(pod) for pod in arrays]
    solutions = [found[place].solution if place in found else stay for place, stay in enumerate(today)]
    return _Round(
        placement=_placement(problem, arrays, solutions),
        now=_sum([score(pod, solution) for pod, solution in zip(arrays, today, strict=True)]),
        later=_sum([score(pod, solution) for pod, solution in zip(arrays, solutions, strict=True)]),
        nodes=sum(one.nodes for one in found.values()),
        iterations=sum(one.iterations for one in found.values()),
        cut_short=len(found) < len(arrays) or any(one.cut_short for one in found.values()),
    )


def _between(problem: Problem, pods: Sequence[Pod], first: _Round) -> list[_Round]:
    """Switch off what each pod alone could not: a second round, on the emptiest hosts of many, from where they are now.

    Not while anything is broken, nor where a promise looks at more than where guests are in the end (places for what
    may be lost, hosts touched on the way): those are kept pod by pod.
    """
    from balancer.solving.pods import parts_of_problem, pods_between, rest_of

    if not any(isinstance(cost, HostOn) and cost.cost > 0 for cost in problem.costs):
        return []
    if not (first.now.breaks_nothing and first.later.breaks_nothing):
        return []
    if any(isinstance(shape, Losses | GroupLoad | HostsTouched) for shape in problem.shapes):
        return []
    later = first.placement.applied_to(problem.cluster)
    moved = {move.vm: problem.cluster.vm(move.vm) for move in first.placement.moves_from(problem.cluster)}
    mib = sum(vm.memory_mib for vm in moved.values())
    narrowed = replace(
        problem,
        cluster=later,
        # Who moves anyway may end up elsewhere at no further cost.
        costs=tuple(cost for cost in problem.costs if not (isinstance(cost, MoveCost) and cost.vm in moved)),
        may_sleep=problem.may_sleep & first.placement.on,
        may_wake=frozenset(),
        max_moves=None if problem.max_moves is None else max(0, problem.max_moves - len(moved)),
        max_mib=None if problem.max_mib is None else max(0.0, problem.max_mib - mib),
    )
    between = pods_between(later, pods, POD_HOSTS)
    if not between:
        return []
    parts = parts_of_problem(narrowed, [*between, rest_of(later, between)])[:-1]
    _, arrays, prices = _bounded(narrowed, [arrays_of(part) for part in parts])
    return [_side_by_side(narrowed, arrays, prices)]


def _bounded(problem: Problem, arrays: Sequence[Arrays]) -> tuple[float | None, list[Arrays], Prices | None]:
    """Bound the whole by prices, and share the budget out by what each pod would move at those prices."""
    from balancer.solving.aggregate import advise
    from balancer.solving.pods import budgets
    from balancer.solving.priced import leaving, mean_prices, parts_of, priced_bound, sharpened

    costs, free = _leave_costs(problem, arrays), _can_leave(problem, arrays)
    starts = np.cumsum([0, *(len(pod.units) for pod in arrays)])
    cut = [slice(low, high) for low, high in pairwise(starts.tolist())]
    share = 1.0 / len(arrays)
    budget = _whole_budget(problem)
    some = [replace(pod, max_guests=budget[0] * share, max_mib=budget[1] * share) for pod in arrays[:PRICED_PODS]]
    known = [
        sharpened(parts_of([pod], costs[at], free[at]), prices, pod.max_guests, pod.max_mib)
        for pod, at in zip(some, cut, strict=False)
        if (prices := advise(pod, problem.seed).prices) is not None
    ]
    if not known:
        return None, list(arrays), None
    parts, prices = parts_of(arrays, costs, free), mean_prices(known)
    bound = priced_bound(parts, prices, *budget)
    if not np.isfinite(budget).any():
        return bound, list(arrays), prices
    goes = leaving(parts, prices)
    guests, mib = ([float(amounts[at][goes[at]].sum()) for at in cut] for amounts in (parts.guests, parts.mib))
    shares = zip(budgets(budget[0], guests, True), budgets(budget[1], mib, False), strict=True)
    shared = [replace(pod, max_guests=n, max_mib=m) for pod, (n, m) in zip(arrays, shares, strict=True)]
    return bound, shared, prices


def _whole_budget(problem: Problem) -> tuple[float, float]:
    limits = problem.max_moves, problem.max_mib
    guests, mib = (np.inf if limit is None else float(limit) for limit in limits)
    return guests, mib


def _leave_costs(problem: Problem, arrays: Sequence[Arrays]) -> Floats:
    """What each unit's move costs at least, beyond what staying does: elsewhere it may cost nothing besides."""
    of_vm: dict[str, float] = {}
    for cost in problem.costs:
        if isinstance(cost, MoveCost):
            of_vm[cost.vm] = of_vm.get(cost.vm, 0.0) + cost.cost
    moves = [sum(of_vm.get(name, 0.0) for name in names) for pod in arrays for names in pod.units]
    stays = np.concatenate([pod.place_cost[np.arange(len(pod.home)), pod.home] for pod in arrays])
    return np.asarray(np.array(moves) - stays, dtype=np.float64)


def _can_leave(problem: Problem, arrays: Sequence[Arrays]) -> Bools:
    """Whether any host at all is open to each unit, its own left out."""
    held = {
        shape.vm
        for shape in problem.shapes
        if isinstance(shape, AllowedHosts) and shape.price is None and len(shape.hosts) < 2
        if problem.cluster.has_vm(shape.vm) and shape.hosts <= {problem.cluster.vm(shape.vm).host}
    }
    return np.array([held.isdisjoint(names) for pod in arrays for names in pod.units], dtype=bool)


def _sum(scores: Sequence[Score]) -> Score:
    return Score(sum(one.excess for one in scores), sum(one.cost for one in scores))


def _placement(problem: Problem, arrays: Sequence[Arrays], solutions: Sequence[Solution]) -> Placement:
    homes = dict(Placement.of(problem.cluster).homes)
    on = {host.name for host in problem.cluster.hosts if host.is_on}.difference(*(pod.hosts for pod in arrays))
    for pod, solution in zip(arrays, solutions, strict=True):
        for names, host in zip(pod.units, solution.at.tolist(), strict=True):
            homes.update(dict.fromkeys(names, pod.hosts[host]))
        on |= {host for host, is_on in zip(pod.hosts, solution.on.tolist(), strict=True) if is_on}
    return Placement(homes, frozenset(on))
