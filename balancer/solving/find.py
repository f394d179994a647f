"""Find a placement: ask the model what is possible, search, prove. Read this first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from balancer.domain.placement import Placement
from balancer.solving.arrays import Arrays, Bools
from balancer.solving.bound import is_proved, norm_gap
from balancer.solving.descent import Work, descend
from balancer.solving.lowering import arrays_of
from balancer.solving.problem import LEAST_SHAKES, Decision, Problem
from balancer.solving.score import Score, Solution, score
from balancer.solving.search import better, search, shake
from balancer.solving.squeeze import squeeze
from balancer.solving.state import State

if TYPE_CHECKING:
    from balancer.solving.aggregate import Flow
    from balancer.solving.exact import Exact

SQUEEZES = 10  # shakes that a packing gets before its hosts are given up
HEADROOMS = (1.0, 0.995, 0.99, 0.98, 0.965)  # the last host often fits only where the count leaves some room


def find_placement(problem: Problem) -> Decision:
    """Find the best placement within the budget, never worse than today's, and say how far from the best it can be."""
    from balancer.solving.aggregate import solve_flow

    arrays = arrays_of(problem)
    now = Solution.today(arrays)
    score_now = score(arrays, now)
    work = Work(problem.effort.iterations)
    flow = solve_flow(arrays, problem.effort, problem.seed)
    found, best = _searched(arrays, problem, flow, work, score_now)
    bound, nodes, cut_short = flow.bound, flow.nodes, flow.overran
    if _is_small(arrays, problem) and not is_proved(found, score_now, bound):
        found, best, bound, exact = _solved(arrays, problem, (found, best), score_now, flow)
        nodes, cut_short = nodes + exact.nodes, cut_short or exact.overran
        found, best = _polished(arrays, (found, best), work)
        if not is_proved(found, score_now, bound):
            best = shake(arrays, best, work, np.random.default_rng(problem.seed), problem.effort.restarts)
            found = score(arrays, best)
    return Decision(
        placement=_placement(problem, arrays, best),
        objective_now=score_now.cost,
        objective=found.cost,
        bound=bound,
        excess_now=score_now.excess,
        excess=found.excess,
        proved_optimal=is_proved(found, score_now, bound),
        gap=norm_gap(found, score_now, bound),
        nodes=nodes,
        iterations=work.done,
        cut_short=cut_short,
    )


def _is_small(arrays: Arrays, problem: Problem) -> bool:
    return int(arrays.allowed.sum()) + len(arrays.hosts) <= problem.effort.exact_binaries


def _solved(
    arrays: Arrays, problem: Problem, best: tuple[Score, Solution], score_now: Score, flow: Flow
) -> tuple[Score, Solution, float | None, Exact]:
    """Let the exact model improve on the search, and on the bound where it covers every legal placement."""
    from balancer.solving.exact import solve_exactly

    exact = solve_exactly(arrays, best[1], score_now, problem.effort, problem.seed)
    score_best, solution = better(best, (exact.score, exact.solution))
    # While mending, the exact model looks only at what mends most: its bound is none for the rest.
    bounds = [b for b in (flow.bound, exact.bound if score_now.breaks_nothing else None) if b is not None]
    return score_best, solution, max(bounds, default=None), exact


def _polished(arrays: Arrays, best: tuple[Score, Solution], work: Work) -> tuple[Score, Solution]:
    """Take what single moves and swaps still gain where the exact model ran out of nodes."""
    state = State(arrays, best[1])
    descend(state, work, state.on)
    polished = state.solution()
    return better(best, (score(arrays, polished), polished))


def _searched(arrays: Arrays, problem: Problem, flow: Flow, work: Work, score_now: Score) -> tuple[Score, Solution]:
    """Try what the model advises, with a little less room where its hosts cannot all be emptied; shake the best."""
    from balancer.solving.aggregate import ADVICE, solve_flow

    best, advised = (score_now, Solution.today(arrays)), flow.on
    mending = not score_now.breaks_nothing
    rng = np.random.default_rng(problem.seed)
    tried: set[bytes] = set()
    for headroom in HEADROOMS:
        if headroom < 1 or mending or advised is None:
            tighter = arrays.with_headroom(headroom)
            advised = solve_flow(tighter, problem.effort, problem.seed, mending, ADVICE).on
        wanted = _legal_wish(arrays, arrays.on_today if advised is None else advised)
        if wanted.tobytes() in tried:
            continue
        tried.add(wanted.tobytes())
        best, emptied = _tried(arrays, wanted, work, best, rng)
        if emptied:
            break
    if is_proved(best[0], score_now, flow.bound):
        return best
    shakes = problem.effort.shakes(*arrays.allowed.shape)
    # What is going to be solved outright needs a good start, not the best.
    shaken = shake(arrays, best[1], work, rng, min(shakes, LEAST_SHAKES) if _is_small(arrays, problem) else shakes)
    return better(best, (score(arrays, shaken), shaken))


def _tried(
    arrays: Arrays, wanted: Bools, work: Work, best: tuple[Score, Solution], rng: np.random.Generator
) -> tuple[tuple[Score, Solution], bool]:
    """Search with these hosts on, packing harder where it takes that; say whether all the others could be emptied."""
    solution, emptied = search(arrays, wanted, work)
    best = better(best, (score(arrays, solution), solution))
    if emptied:
        return best, True
    squeezed = squeeze(arrays, wanted, work, rng, SQUEEZES)
    if squeezed is None:
        return best, False
    return better(best, (score(arrays, squeezed), squeezed)), True


def _legal_wish(arrays: Arrays, wanted: Bools) -> Bools:
    """Keep to what hosts have to be, whatever the model says; wake no more of a group than may be on."""
    legal = np.asarray((wanted | (arrays.must == 1)) & (arrays.must != -1), dtype=bool)
    for count in (count for count in arrays.counts if count.price is None):
        woken = [host for host in count.hosts.tolist() if legal[host] and not arrays.on_today[host]]
        room = max(0, count.at_most - int(arrays.on_today[count.hosts].sum()))
        legal[woken[room:]] = False
    return legal


def _placement(problem: Problem, arrays: Arrays, solution: Solution) -> Placement:
    homes = dict(Placement.of(problem.cluster).homes)
    for unit, names in enumerate(arrays.units):
        homes.update(dict.fromkeys(names, arrays.hosts[solution.at[unit]]))
    on = frozenset(host for host, is_on in zip(arrays.hosts, solution.on, strict=True) if is_on)
    return Placement(homes, on)
