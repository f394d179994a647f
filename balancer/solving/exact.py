"""Solve a small cluster outright: start from the best known placement, sharpen the model at its own answers, prove.

The model takes each convex cost for its tangents, so its bound holds at once and its answers look too cheap; a tangent
at each answer's loads makes both meet.
"""

from __future__ import annotations

from dataclasses import dataclass

from balancer.solving import highs
from balancer.solving.arrays import Arrays
from balancer.solving.assignment import Assignment
from balancer.solving.bound import is_proved
from balancer.solving.convex import refine
from balancer.solving.problem import Effort
from balancer.solving.score import Score, Solution, score

LP_ROUNDS = 4


@dataclass(frozen=True)
class Exact:
    """The best placement found, its score, and what was proven; the bound is None where nothing was."""

    solution: Solution
    score: Score
    bound: float | None
    nodes: int
    overran: bool


def solve_exactly(arrays: Arrays, best: Solution, now: Score, effort: Effort, seed: int) -> Exact:
    """Look for a better placement than the best that is known, and for the proof that there is none."""
    model = Assignment(arrays, best)
    best_score, bound, nodes = score(arrays, best), None, 0
    if not best_score.breaks_nothing:
        model.minimise_excess()
        outcome = highs.solve(model.lp, seed=seed, nodes=effort.exact_nodes, start=model.start_from(best))
        nodes += outcome.nodes
        best, best_score = _better(arrays, model, outcome, best, best_score)
    model.keep_excess_below(max(0.0, best_score.excess - arrays.stuck - _split_excess(arrays, best)) + 1e-7)
    model.minimise_cost()
    highs.solve_relaxed(model.lp, seed=seed, sharpen=lambda: refine(model.lp, model.loads), rounds=LP_ROUNDS)
    for _ in range(effort.exact_rounds):
        outcome = highs.solve(
            model.lp, seed=seed, nodes=effort.exact_nodes - nodes, start=model.start_from(best), gap=1e-5
        )
        nodes += outcome.nodes
        bound = max((b for b in (bound, outcome.bound) if b is not None), default=None)
        best, best_score = _better(arrays, model, outcome, best, best_score)
        sharpened = outcome.found and refine(model.lp, model.loads, near=1e-5)
        if outcome.overran or not sharpened or nodes >= effort.exact_nodes or is_proved(best_score, now, bound):
            break
    return Exact(best, best_score, bound, nodes, outcome.overran)


def _better(
    arrays: Arrays, model: Assignment, outcome: highs.Outcome, best: Solution, best_score: Score
) -> tuple[Solution, Score]:
    if not outcome.found:
        return best, best_score
    found = model.solution()
    found_score = score(arrays, found)
    return (found, found_score) if found_score.beats(best_score) else (best, best_score)


def _split_excess(arrays: Arrays, solution: Solution) -> float:
    """The model leaves split groups as they are and does not count them."""
    return float(sum(len(set(solution.at[list(split)].tolist())) - 1 for split in arrays.splits))
