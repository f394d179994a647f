"""What a placement costs and which promises it breaks, worked out from nothing.

J = sum over hosts on, resources of curve * load^2 + soft_price * max(0, load - soft_limit)
  + sum over hosts on of on_cost  +  sum over units of place_cost
  + sum over soft groups of price * guests, or hosts, too many
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancer.solving.arrays import Arrays, Bools, Floats, Ints
from balancer.solving.families import Family


@dataclass(frozen=True, order=True)
class Score:
    """Placements compare by broken promises first, then by cost."""

    excess: float
    cost: float

    @property
    def breaks_nothing(self) -> bool:
        return self.excess <= 1e-9

    def beats(self, other: Score) -> bool:
        """Whether it is better by more than rounding."""
        if abs(self.excess - other.excess) > 1e-7:
            return self.excess < other.excess
        return self.cost < other.cost - 1e-9


@dataclass(frozen=True, eq=False)
class Solution:
    """The host of each unit, and which hosts are on."""

    at: Ints
    on: Bools

    @classmethod
    def today(cls, arrays: Arrays) -> Solution:
        return cls(arrays.home.copy(), arrays.on_today.copy())


def score(arrays: Arrays, solution: Solution) -> Score:
    """Return the exact cost and hard excess of a placement."""
    return Score(excess_of(arrays, solution), cost_of(arrays, solution))


def load_of(arrays: Arrays, at: Ints) -> Floats:
    """Return the load of each host and resource."""
    load = arrays.fixed.copy()
    np.add.at(load, at, arrays.need)
    return load


def load_cost(arrays: Arrays, load: Floats, hosts: int | slice | Ints = slice(None)) -> Floats:
    """Return what hosts that are on cost by their load, summed over resources; `load` may have leading axes."""
    cost = np.einsum("...r,...r->...", arrays.curve[hosts], load * load)
    if arrays.has_soft_limits:
        over = np.maximum(load - np.minimum(arrays.soft_limit[hosts], 1e300), 0.0)
        cost = cost + np.einsum("...r,...r->...", arrays.soft_price[hosts], over)
    return np.asarray(cost, dtype=np.float64)


def cost_of(arrays: Arrays, solution: Solution) -> float:
    on = solution.on
    hosts = float((load_cost(arrays, load_of(arrays, solution.at)) + arrays.on_cost)[on].sum())
    places = float(arrays.place_cost[np.arange(len(solution.at)), solution.at].sum())
    return hosts + places + _soft_groups(arrays, solution.at) + arrays.stuck_cost


def excess_of(arrays: Arrays, solution: Solution) -> float:
    stray = float(arrays.stray[solution.at == arrays.home].sum())
    must = float(((arrays.must == 1) & ~solution.on).sum() + ((arrays.must == -1) & solution.on).sum())
    crowds = sum(too_many(f, solution.at) for f in arrays.families if f.price is None)
    split = sum(len(set(solution.at[list(split)].tolist())) - 1 for split in arrays.splits)
    return capacity_excess(arrays, solution) + stray + must + crowds + split + arrays.stuck


def capacity_excess(arrays: Arrays, solution: Solution) -> float:
    """Return how far hosts that are on are over their limits, each as a share of the host."""
    over = load_of(arrays, solution.at) - arrays.limit
    over[~solution.on] = 0.0
    usable = np.where(arrays.usable > 0, arrays.usable, 1.0)
    return float((np.where(over > arrays.slack, over, 0.0) / usable).sum())


def count_in(family: Family, at: Ints) -> Ints:
    """Return how many members each domain holds."""
    counts = family.base.copy()
    domain = family.domain[at[family.units]]
    inside = domain >= 0
    np.add.at(counts, domain[inside], family.weights[inside])
    return counts


def too_many(family: Family, at: Ints) -> float:
    return float(np.maximum(count_in(family, at) - family.limit, 0).sum())


def _soft_groups(arrays: Arrays, at: Ints) -> float:
    crowds = sum(f.price * too_many(f, at) for f in arrays.families if f.price is not None)
    parted = 0.0
    for company in arrays.companies:
        members = company.base.copy()
        np.add.at(members, at[company.units], 1)
        parted += company.price * max(0, int((members > 0).sum()) - 1)
    return float(crowds + parted)
