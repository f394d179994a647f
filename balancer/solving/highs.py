"""PuLP's HiGHS, read correctly, in a process that can be stopped.

What a run found and proved is asked of HiGHS itself, not of PuLP; the objective's constant, which PuLP leaves out, is
put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import pulp

from balancer.solving.engine import INFINITE, Answer, Model, Rows
from balancer.solving.workers import Overran, engine

HARD_SECONDS = 10.0
"""Nodes bound the work; but a single node can take for ever, and then the clock has the last word."""

GRACE_SECONDS = 5.0
"""How much longer HiGHS may take to stop by itself before its process is killed, and what it knew is lost."""


@dataclass(frozen=True)
class Outcome:
    """What a solver run proved and found.

    found:   whether the variables hold a placement that obeys every row
    bound:   no answer of the model costs less; None where nothing was proven
    duals:   of a relaxed model, by name of a row: what the objective rises by as its right side is raised by one
    overran: whether it had to be stopped from outside, so that nothing is known of it
    """

    found: bool
    objective: float
    bound: float | None
    nodes: int
    infeasible: bool
    overran: bool = False
    duals: Mapping[str, float] = field(default_factory=dict)


NOTHING = Outcome(found=False, objective=math.inf, bound=None, nodes=0, infeasible=False, overran=True)


def solve(
    model: Any,
    *,
    seed: int,
    nodes: int,
    start: Mapping[str, float] | None = None,
    gap: float = 1e-6,
) -> Outcome:
    """Run HiGHS on a PuLP model, bounded by nodes; `start` is a known answer, by the names of the integer variables."""
    solver = _ArrayHiGHS(seed, start=start, mip=True, gapRel=gap, gapAbs=1e-9, mip_max_nodes=max(1, nodes))
    solver.actualSolve(model)
    return solver.outcome


def solve_relaxed(model: Any, *, seed: int, sharpen: Callable[[], int], rounds: int) -> Outcome:
    """Run HiGHS on a PuLP model as if nothing had to be whole; sharpen the model at the answer, and go on from there.

    sharpen: adds rows to the model and says how many
    """
    solver = _ArrayHiGHS(seed, mip=False)
    solver.actualSolve(model)
    best = solver.outcome
    for _ in range(rounds):
        if not solver.outcome.found or not sharpen():
            break
        solver.go_on(model)
        # More rows only raise the bound, so what an earlier round proved stays proved.
        best = best if solver.outcome.overran else solver.outcome
    return best


class _ArrayHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS, fed with whole arrays; a first answer to start from, and more rows later, are welcome."""

    def __init__(self, seed: int, start: Mapping[str, float] | None = None, **options: Any) -> None:
        # With more threads than one, which answer comes first depends on the machine.
        super().__init__(msg=False, threads=1, parallel="off", random_seed=seed, timeLimit=HARD_SECONDS, **options)
        self._start = start
        self._variables: list[Any] = []
        self._rows = 0
        self.outcome = NOTHING

    def actualSolve(self, lp: Any) -> int:
        self._variables = lp.variables()
        for place, variable in enumerate(self._variables):
            variable.index = place
        self._rows = 0
        self._run(lp, "solve", self._whole(lp), self._options())
        return int(pulp.LpStatusNotSolved)  # PuLP's words are not used

    def go_on(self, lp: Any) -> None:
        """Take in what was added to the model, and go on from the last answer."""
        self._run(lp, "go_on", self._new_rows(lp))

    def _run(self, lp: Any, what: str, *words: Any) -> None:
        try:
            answer = engine().ask(what, *words, within_seconds=HARD_SECONDS + GRACE_SECONDS)
        except Overran:
            self.outcome = NOTHING
            return
        values = answer.values.tolist() or [None] * len(self._variables)
        for variable, value in zip(self._variables, values, strict=True):
            variable.varValue = value
        self.outcome = self._read(answer, float(lp.objective.constant))
        if not self.mip and answer.is_optimal:
            duals = zip((row.name for row in lp.constraints()), answer.row_duals.tolist(), strict=True)
            self.outcome = replace(self.outcome, duals={name: dual for name, dual in duals if name})

    def _options(self) -> dict[str, Any]:
        named = {"mip_rel_gap": self.gapRel, "mip_abs_gap": self.gapAbs, "threads": self.threads}
        limit = {"time_limit": float(self.timeLimit)}
        return {name: value for name, value in {**named, **limit, **self.optionsDict}.items() if value is not None}

    def _whole(self, lp: Any) -> Model:
        known, columns = self._start, self._variables
        return Model(
            costs=np.array([lp.objective.get(v, 0.0) for v in columns], dtype=np.float64),
            lower=np.array([-INFINITE if v.lowBound is None else v.lowBound for v in columns], dtype=np.float64),
            upper=np.array([INFINITE if v.upBound is None else v.upBound for v in columns], dtype=np.float64),
            whole=np.array([v.index for v in columns if self._is_whole(v)], dtype=np.int32),
            rows=self._new_rows(lp),
            start=None if known is None else {v.index: known[v.name] for v in columns if v.name in known},
        )

    def _is_whole(self, variable: Any) -> bool:
        return bool(self.mip) and variable.cat == pulp.LpInteger

    def _new_rows(self, lp: Any) -> Rows:
        """Return the rows that the solver has not seen."""
        new = list(islice(lp.constraints(), self._rows, None))
        self._rows += len(new)
        return Rows(
            lower=np.array([-INFINITE if (low := row.getLb()) is None else low for row in new], dtype=np.float64),
            upper=np.array([INFINITE if (high := row.getUb()) is None else high for row in new], dtype=np.float64),
            starts=np.cumsum([0, *map(len, new)], dtype=np.int32)[:-1],
            columns=np.array([variable.index for row in new for variable in row], dtype=np.int32),
            values=np.array([value for row in new for value in row.values()], dtype=np.float64),
        )

    def _read(self, answer: Answer, constant: float) -> Outcome:
        has_integers = any(self._is_whole(variable) for variable in self._variables)
        bound: float | None = None
        if has_integers and math.isfinite(answer.dual_bound):
            bound = answer.dual_bound + constant
        elif not has_integers and answer.is_optimal:
            bound = answer.objective + constant
        return Outcome(
            found=answer.is_feasible,
            objective=answer.objective + constant if answer.is_feasible else math.inf,
            bound=bound,
            nodes=answer.nodes if has_integers else 0,
            infeasible=answer.is_infeasible,
        )
