"""HiGHS itself, fed with whole arrays and answering in plain values, so that it can run in a process of its own.

PuLP hands a model over value by value, calls an answer optimal whenever the solver stopped with one, knows no warm
start and trips over some of HiGHS's words for "stopped".
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
NO_INTS: Ints = np.zeros(0, dtype=np.int32)
INFINITE = float(highspy.kHighsInf)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a model, one after the other."""

    lower: Floats
    upper: Floats
    starts: Ints
    columns: Ints
    values: Floats


@dataclass(frozen=True, eq=False)
class Model:
    """A whole model. `start`: known values of some columns."""

    costs: Floats
    lower: Floats
    upper: Floats
    whole: Ints
    rows: Rows
    start: Mapping[int, float] | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a run left: values and duals (empty where there are none), and what HiGHS says, without the constant."""

    values: Floats
    row_duals: Floats
    is_feasible: bool
    is_optimal: bool
    is_infeasible: bool
    objective: float
    dual_bound: float
    nodes: int


class Engine:
    """One HiGHS at work on one model."""

    def __init__(self) -> None:
        self._highs: Any = None

    def solve(self, model: Model, options: Mapping[str, Any]) -> Answer:
        """Take a new model and solve it."""
        _hush()
        self._highs = highspy.Highs()
        for name, value in {"output_flag": False, **options}.items():
            self._highs.setOptionValue(name, value)
        count, nothing = len(model.costs), np.zeros(0)
        starts = np.zeros(count, dtype=np.int32)
        self._highs.addCols(count, model.costs, model.lower, model.upper, 0, starts, NO_INTS, nothing)
        kinds = np.full(len(model.whole), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        self._highs.changeColsIntegrality(len(model.whole), model.whole, kinds)
        self._add(model.rows)
        if model.start is not None:
            places = np.array(list(model.start), dtype=np.int32)
            self._highs.setSolution(len(places), places, np.array(list(model.start.values()), dtype=np.float64))
        self._highs.run()
        if model.start is not None and not _says_one_thing(self._highs):
            self._highs.clearSolver()
            self._highs.run()
        return self._answer()

    def go_on(self, rows: Rows) -> Answer:
        """Take more rows, and go on from the last answer."""
        self._add(rows)
        self._highs.run()
        return self._answer()

    def _add(self, rows: Rows) -> None:
        count = len(rows.lower)
        self._highs.addRows(count, rows.lower, rows.upper, len(rows.values), rows.starts, rows.columns, rows.values)

    def _answer(self) -> Answer:
        status, info = self._highs.getModelStatus(), self._highs.getInfo()
        return Answer(
            values=np.array(self._highs.getSolution().col_value, dtype=np.float64),
            row_duals=np.array(self._highs.getSolution().row_dual, dtype=np.float64),
            is_feasible=info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible),
            is_optimal=status == highspy.HighsModelStatus.kOptimal,
            is_infeasible=status == highspy.HighsModelStatus.kInfeasible,
            objective=float(info.objective_function_value),
            dual_bound=float(info.mip_dual_bound),
            nodes=max(0, int(info.mip_node_count)),
        )


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
