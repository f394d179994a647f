"""A host's load and its cost in a linear model: tangents of a convex cost, and more of them where the answer lies.

c >= curve * (2 t L - t^2 y)        for every tangent point t; L is the load, y whether the host is on
c >= slope * L + start * y          for every line of the lower convex envelope of a table
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pulp

from balancer.solving.arrays import Arrays, Floats
from balancer.solving.tables import Points, envelope

LEAST_WEIGHT = 1e-12  # of J: what costs less costs nothing, and cannot be divided by
FIRST_TANGENTS = np.linspace(0.1, 1.0, 10)  # shares of a host; the rounds add what is missing between them


@dataclass(frozen=True)
class HostLoad:
    """One resource of one host: its load as a share of what is usable, its cost, and whether the host is on."""

    host: int
    resource: int
    load: Any
    cost: Any
    on: Any
    weight: float  # cost of a full host


def shares_of(arrays: Arrays, amounts: Floats) -> Floats:
    """Return loads as shares of their hosts: models in cores and MiB side by side lose digits."""
    return np.asarray(amounts / np.where(arrays.usable > 0, arrays.usable, 1.0), dtype=np.float64)


def host_load(model: Any, arrays: Arrays, at: tuple[int, int], load: Any, on: Any) -> HostLoad:
    """Give a host's load its cost: a variable above its tangents, and what tables and soft headroom add to it."""
    host, resource = at
    usable = max(float(arrays.usable[at]), 0.0) or 1.0
    weight = float(arrays.curve[at]) * usable**2
    weight = weight if weight > LEAST_WEIGHT else 0.0
    cost = model.add_variable(f"cost_{host}_{resource}", 0) if weight > 0 else 0.0
    here = HostLoad(host, resource, load, cost, on, weight)
    for point in FIRST_TANGENTS:
        add_tangent(model, here, float(point))
    if arrays.tables:
        cost = cost + _table_cost(model, arrays, at, load, on)
    if arrays.soft_price[at] > 0:
        over = model.add_variable(f"over_{host}_{resource}", 0)
        model += over >= load - float(arrays.soft_limit[at]) / usable * on
        cost = cost + float(arrays.soft_price[at]) * usable * over
    return HostLoad(host, resource, load, cost, on, weight)


def _table_cost(model: Any, arrays: Arrays, at: tuple[int, int], load: Any, on: Any) -> Any:
    """Let a cost lie above the envelope of a host's table, between the least and the most that its load can be."""
    corners = envelope(table_points(arrays, at))
    size = max((abs(cost) for _, cost in corners), default=0.0)
    if size <= LEAST_WEIGHT:
        return 0.0
    cost = model.add_variable(f"table_{at[0]}_{at[1]}")
    if len(corners) == 1:
        model += cost >= corners[0][1] / size * on
    for (start, low), (end, high) in pairwise(corners):
        slope = (high - low) / (end - start)
        model += cost >= slope / size * load + (low - slope * start) / size * on
    return size * cost


def table_points(arrays: Arrays, at: tuple[int, int]) -> Points:
    """Return a host's table from its fixed load to the most that it can be, in shares of it; none where it has none."""
    tables = next((each for each in arrays.tables if each.resource == at[1]), None)
    if tables is None:
        return []
    usable = float(arrays.usable[at]) or 1.0
    points = tables.points_between(at[0], float(arrays.fixed[at]), float(arrays.highest[at]))
    return [(load / usable, cost) for load, cost in points]


def add_tangent(model: Any, here: HostLoad, point: float) -> None:
    """Let a host's cost lie above one more tangent."""
    if here.weight > 0:
        # Divided by the weight, so that every row is of the size of a share. Said as one list of terms: there are many
        # rows, and PuLP takes longer over each sum than the solver does over the row.
        terms = [(_cost_variable(here), 1 / here.weight), (here.load, -2 * point)]
        is_choice = isinstance(here.on, pulp.LpVariable)
        terms += [(here.on, point**2)] if is_choice else []
        model += pulp.LpAffineExpression(terms, 0.0 if is_choice else point**2 * here.on) >= 0


def _cost_variable(here: HostLoad) -> Any:
    return here.cost if isinstance(here.cost, pulp.LpVariable) else next(iter(here.cost))


def refine(model: Any, loads: list[HostLoad], near: float = 1e-4) -> int:
    """Add a tangent wherever the model thinks a load cheaper than it is; return how many."""
    added = 0
    for here in loads:
        on = float(pulp.value(here.on))
        if here.weight <= 0 or on < 1e-6:
            continue
        share = float(pulp.value(here.load)) / on
        believed = float(_cost_variable(here).varValue) / here.weight
        if on * share**2 - believed > near * near:
            add_tangent(model, here, share)
            added += 1
    return added
