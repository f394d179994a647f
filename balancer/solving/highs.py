"""PuLP's HiGHS, read correctly.

PuLP calls an answer optimal whenever the solver stopped with one, drops the objective's constant, knows no warm start
and trips over some of HiGHS's words for "stopped"; what is said here comes from HiGHS itself.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import highspy
import numpy as np
import pulp

HARD_SECONDS = 10.0
"""Nodes bound the work; but a single node can take for ever, and then the clock has the last word."""


@dataclass(frozen=True)
class Outcome:
    """What a solver run proved and found.

    found: whether the variables hold a placement that obeys every row
    bound: no answer of the model costs less; None where nothing was proven
    """

    found: bool
    objective: float
    bound: float | None
    nodes: int
    infeasible: bool


def solve(
    model: Any,
    *,
    seed: int,
    nodes: int,
    start: Mapping[str, float] | None = None,
    gap: float = 1e-6,
) -> Outcome:
    """Run HiGHS on a PuLP model, bounded by nodes; `start` is a known answer, by the names of the integer variables."""
    solver = _solver(seed, start=start, mip=True, gapRel=gap, gapAbs=1e-9, mip_max_nodes=max(1, nodes))
    solver.actualSolve(model)
    return solver.outcome(model, integer=True)


def solve_relaxed(model: Any, *, seed: int, sharpen: Callable[[], int], rounds: int) -> Outcome:
    """Run HiGHS on a PuLP model as if nothing had to be whole; sharpen the model at the answer, and go on from there.

    sharpen: adds rows to the model and says how many
    """
    solver = _solver(seed, mip=False)
    solver.actualSolve(model)
    outcome = solver.outcome(model, integer=False)
    for _ in range(rounds):
        if not outcome.found or not sharpen():
            break
        solver.go_on(model)
        outcome = solver.outcome(model, integer=False)
    return outcome


def _solver(seed: int, start: Mapping[str, float] | None = None, **options: Any) -> _WarmHiGHS:
    _hush()
    # With more threads than one, which answer comes first depends on the machine.
    fixed = {"msg": False, "threads": 1, "parallel": "off", "random_seed": seed, "timeLimit": HARD_SECONDS}
    return _WarmHiGHS(start, **fixed, **options)


@cache
def _hush() -> None:
    """Swallow the banner that the first HiGHS of a process prints before it can be told not to."""
    sys.stdout.flush()
    flush = ctypes.CDLL(None).fflush
    flush(None)
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            highspy.Highs()
            flush(None)
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _says_one_thing(highs: Any) -> bool:
    """Whether the values are those of the objective.

    HiGHS 1.16 may return the values that it was given to start from beside the objective of a better answer, where its
    presolve alone finds that one.
    """
    costs, values = highs.getLp().col_cost_, highs.getSolution().col_value
    if len(values) != len(costs):
        return True
    worth = math.fsum(cost * value for cost, value in zip(costs, values, strict=True))
    told = float(highs.getInfo().objective_function_value)
    return not math.isfinite(told) or abs(worth - told) <= 1e-6 * max(1.0, abs(told))


class _WarmHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS with a first answer to start from."""

    def __init__(self, start: Mapping[str, float] | None, **options: Any) -> None:
        super().__init__(**options)
        self._start = start
        self._variables: list[Any] = []
        self._rows = 0

    def buildSolverModel(self, lp: Any) -> None:
        """Hand the model over in whole arrays: PuLP does it value by value, and that takes longer than to solve it."""
        self._variables, infinite = lp.variables(), highspy.kHighsInf
        for place, variable in enumerate(self._variables):
            variable.index = place
        count, none = len(self._variables), np.zeros(0)
        costs = np.array([lp.objective.get(variable, 0.0) for variable in self._variables])
        lower = np.array([-infinite if v.lowBound is None else v.lowBound for v in self._variables], dtype=np.float64)
        upper = np.array([infinite if v.upBound is None else v.upBound for v in self._variables], dtype=np.float64)
        starts = np.zeros(count, dtype=np.int32)
        lp.solverModel.addCols(count, costs, lower, upper, 0, starts, none.astype(np.int32), none)
        whole = np.array([v.index for v in self._variables if self.mip and v.cat == pulp.LpInteger], dtype=np.int32)
        kinds = np.full(len(whole), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        lp.solverModel.changeColsIntegrality(len(whole), whole, kinds)
        self._rows = 0
        self._add_rows(lp)

    def _add_rows(self, lp: Any) -> None:
        """Hand over the rows that the solver has not seen."""
        new = list(islice(lp.constraints(), self._rows, None))
        self._rows += len(new)
        infinite = highspy.kHighsInf
        lower = np.array([-infinite if (low := row.getLb()) is None else low for row in new], dtype=np.float64)
        upper = np.array([infinite if (high := row.getUb()) is None else high for row in new], dtype=np.float64)
        starts = np.cumsum([0, *map(len, new)], dtype=np.int32)[:-1]
        columns = np.array([variable.index for row in new for variable in row], dtype=np.int32)
        values = np.array([value for row in new for value in row.values()], dtype=np.float64)
        lp.solverModel.addRows(len(new), lower, upper, len(values), starts, columns, values)

    def go_on(self, lp: Any) -> None:
        """Take in what was added to the model, and go on from the last answer."""
        self._add_rows(lp)
        lp.solverModel.run()
        self.findSolutionValues(lp)

    def callSolver(self, lp: Any) -> None:
        if self._start is not None:
            known = [(v.index, self._start[v.name]) for v in self._variables if v.name in self._start]
            lp.solverModel.setSolution(len(known), [i for i, _ in known], [value for _, value in known])
        lp.solverModel.run()
        if self._start is not None and not _says_one_thing(lp.solverModel):
            lp.solverModel.clearSolver()
            lp.solverModel.run()

    def findSolutionValues(self, lp: Any) -> tuple[int, int]:
        solution = lp.solverModel.getSolution()
        values = list(solution.col_value)
        for variable in self._variables:
            variable.varValue = values[variable.index] if values else None
        # PuLP's words are not used: `outcome` asks HiGHS.
        return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound

    def outcome(self, lp: Any, integer: bool) -> Outcome:
        """Say what the run proved, with the objective's constant that PuLP leaves out."""
        highs, status = lp.solverModel, lp.solverModel.getModelStatus()
        info = highs.getInfo()
        feasible = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
        constant = float(lp.objective.constant)
        has_integers = integer and any(variable.cat == pulp.LpInteger for variable in self._variables)
        bound: float | None = None
        if has_integers and math.isfinite(info.mip_dual_bound):
            bound = float(info.mip_dual_bound) + constant
        elif not has_integers and status == highspy.HighsModelStatus.kOptimal:
            bound = float(info.objective_function_value) + constant
        return Outcome(
            found=bool(feasible),
            objective=float(info.objective_function_value) + constant if feasible else math.inf,
            bound=bound,
            nodes=max(0, int(info.mip_node_count)) if has_integers else 0,
            infeasible=status == highspy.HighsModelStatus.kInfeasible,
        )
