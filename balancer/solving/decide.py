"""Decide on arrays: ask the model what is possible, search, prove."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancer.solving.aggregate import ADVICE, Flow, advise, solve_flow
from balancer.solving.arrays import Arrays, Bools
from balancer.solving.bound import is_proved
from balancer.solving.descent import descend
from balancer.solving.exact import solve_exactly
from balancer.solving.priced import Prices, worth_keeping_on
from balancer.solving.problem import LEAST_SHAKES, Effort
from balancer.solving.score import Score, Solution, score
from balancer.solving.search import better, search, shake
from balancer.solving.squeeze import squeeze
from balancer.solving.state import State
from balancer.solving.work import Work

SQUEEZES = 10  # shakes that a packing gets before its hosts are given up
HEADROOMS = (1.0, 0.995, 0.99, 0.98, 0.965)  # the last host often fits only where the count leaves some room


@dataclass(frozen=True, eq=False)
class Found:
    """The best placement found for some arrays, and what is known of it."""

    solution: Solution
    now: Score
    score: Score
    bound: float | None
    nodes: int
    iterations: int
    cut_short: bool
    prices: Prices | None

    @property
    def is_proved(self) -> bool:
        return is_proved(self.score, self.now, self.bound)


def decide(arrays: Arrays, effort: Effort, seed: int, is_pod: bool = False, prices: Prices | None = None) -> Found:
    """Find the best placement within the budget, never worse than today's, and say how far from the best it can be.

    is_pod: somebody else says how far the whole is from the best
    prices: those of the whole, which say which hosts of a pod stay on
    """
    now = score(arrays, Solution.today(arrays))
    work = Work(effort.iterations)
    if is_pod and not _needs_advice(arrays, now):
        flow = Flow(arrays.on_today, None, 0)
    elif is_pod and prices is not None and _prices_advise(arrays, now):
        return _priced_pod(arrays, effort, seed, prices, work, now)
    else:
        flow = advise(arrays, seed) if is_pod else solve_flow(arrays, effort, seed)
    best = _searched(arrays, effort, seed, flow, work, now)
    bound, nodes, cut_short = flow.bound, flow.nodes, flow.overran
    if _is_small(arrays, effort) and not is_proved(best[0], now, bound):
        exact = solve_exactly(arrays, best[1], now, effort, seed)
        best = better(best, (exact.score, exact.solution))
        # While mending, the exact model looks only at what mends most: its bound is none for the rest.
        bounds = [b for b in (bound, exact.bound if now.breaks_nothing else None) if b is not None]
        bound, nodes, cut_short = max(bounds, default=None), nodes + exact.nodes, cut_short or exact.overran
        best = _polished(arrays, best, work)
        if not is_proved(best[0], now, bound):
            best = _shaken(arrays, best, work, np.random.default_rng(seed), effort.restarts)
    return Found(best[1], now, best[0], bound, nodes, work.done, cut_short, flow.prices)


def _needs_advice(arrays: Arrays, now: Score) -> bool:
    """Whether it matters which hosts are on: evenness alone wakes one at most."""
    may_matter = arrays.on_cost.any() or arrays.may_wake.any() or arrays.counts or arrays.losses
    return bool(may_matter) or not now.breaks_nothing


def _prices_advise(arrays: Arrays, now: Score) -> bool:
    """Whether what hosts cost and hold says which of them stay on, and no promise that counts them."""
    loads = any(family.whole >= 0 for family in arrays.families)
    return now.breaks_nothing and not (arrays.counts or arrays.losses or loads or arrays.must.any())


def _priced_pod(arrays: Arrays, effort: Effort, seed: int, prices: Prices, work: Work, now: Score) -> Found:
    """Search on the hosts that are worth being on, and on a few more where the others cannot be emptied."""
    best, tried = (now, Solution.today(arrays)), set[bytes]()
    rng = np.random.default_rng(seed)
    for headroom in HEADROOMS:
        wanted = worth_keeping_on(arrays, prices, headroom)
        if wanted.tobytes() not in tried:
            tried.add(wanted.tobytes())
            best, emptied = _tried(arrays, wanted, work, best, rng, effort.is_brief)
            if emptied:
                break
    else:
        best = _polished(arrays, best, work)
    return Found(best[1], now, best[0], None, 0, work.done, False, prices)


def _is_small(arrays: Arrays, effort: Effort) -> bool:
    return int(arrays.allowed.sum()) + len(arrays.hosts) <= effort.exact_binaries


def _polished(arrays: Arrays, best: tuple[Score, Solution], work: Work) -> tuple[Score, Solution]:
    """Take what single moves and swaps still gain where the exact model ran out of nodes."""
    state = State(arrays, best[1])
    descend(state, work, state.on)
    polished = state.solution()
    return better(best, (score(arrays, polished), polished))


def _searched(arrays: Arrays, effort: Effort, seed: int, flow: Flow, work: Work, now: Score) -> tuple[Score, Solution]:
    """Try what the model advises, with a little less room where its hosts cannot all be emptied; shake the best."""
    best, advised = (now, Solution.today(arrays)), flow.on
    mending = not now.breaks_nothing
    rng = np.random.default_rng(seed)
    tried: set[bytes] = set()
    for headroom in HEADROOMS:
        if headroom < 1 or mending or advised is None:
            tighter = arrays.with_headroom(headroom)
            advised = solve_flow(tighter, effort, seed, mending, ADVICE).on
        wanted = _legal_wish(arrays, arrays.on_today if advised is None else advised)
        if wanted.tobytes() in tried:
            continue
        tried.add(wanted.tobytes())
        best, emptied = _tried(arrays, wanted, work, best, rng, effort.is_brief)
        if emptied:
            break
    if is_proved(best[0], now, flow.bound):
        return best
    # What is going to be solved outright needs a good start, not the best.
    shakes = LEAST_SHAKES if _is_small(arrays, effort) else effort.shakes(*arrays.allowed.shape)
    return _shaken(arrays, best, work, rng, min(shakes, effort.restarts))


def _shaken(
    arrays: Arrays, best: tuple[Score, Solution], work: Work, rng: np.random.Generator, shakes: int
) -> tuple[Score, Solution]:
    shaken = shake(arrays, best[1], work, rng, shakes)
    return better(best, (score(arrays, shaken), shaken))


def _tried(
    arrays: Arrays,
    wanted: Bools,
    work: Work,
    best: tuple[Score, Solution],
    rng: np.random.Generator,
    is_brief: bool,
) -> tuple[tuple[Score, Solution], bool]:
    """Search with these hosts on, packing harder where it takes that; say whether all the others could be emptied."""
    solution, emptied = search(arrays, wanted, work, is_brief=is_brief)
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
