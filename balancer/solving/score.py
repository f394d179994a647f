"""What a placement costs and which promises it breaks, worked out from nothing.

J = sum over hosts on, resources of curve * load^2 + table(load) + soft_price * max(0, load - soft_limit)
  + sum over hosts on of on_cost  +  sum over units of place_cost
  + sum over soft groups of price * guests, or hosts, too many
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancer.solving.arrays import Arrays, Bools, Floats, Ints
from balancer.solving.families import Company, Family

WORSE = 1e4  # guests: a placement that adds to a broken reserve never beats one that does not


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


def summed(amounts: Floats) -> Floats:
    """Add up the last axis, one after the other: faster kernels round as the machine likes, and ties fall apart."""
    total = np.zeros(amounts.shape[:-1])
    for resource in range(amounts.shape[-1]):
        total += amounts[..., resource]
    return total


def weighted(amounts: Floats, weights: Floats) -> Floats:
    """Return the weighted sum of each row, rounded alike on every machine."""
    total = np.zeros(len(amounts))
    for resource in range(len(weights)):
        total += weights[resource] * amounts[:, resource]
    return total


def load_cost(arrays: Arrays, load: Floats) -> Floats:
    """Return what hosts that are on cost by their load, summed over resources; `load` may have leading axes."""
    cost = summed(arrays.curve * (load * load))
    for tables in arrays.tables:
        cost = cost + tables.on_all(load[..., tables.resource])
    if arrays.has_soft_limits:
        over = np.maximum(load - np.minimum(arrays.soft_limit, 1e300), 0.0)
        cost = cost + summed(arrays.soft_price * over)
    return np.asarray(cost, dtype=np.float64)


def added_cost(arrays: Arrays, host: int, load: Floats, more: Floats, more_squared: Floats) -> Floats:
    """Return what a host at this load costs more with each row of `more` on it."""
    curve = arrays.curve[host]
    cost = weighted(more, 2.0 * curve * load) + weighted(more_squared, curve)
    for tables in arrays.tables:
        now = load[tables.resource]
        cost += tables.on_host(host, now + more[:, tables.resource]) - tables.on_host(host, now)
    if arrays.soft_price[host].any():
        limit, price = arrays.soft_limit[host], arrays.soft_price[host]
        for resource in np.flatnonzero(price).tolist():
            room = limit[resource] - load[resource]
            over = np.maximum(more[:, resource] - room, 0.0) - max(-room, 0.0)
            cost += price[resource] * over
    return np.asarray(cost, dtype=np.float64)


def cost_of_more(arrays: Arrays, hosts: Ints, load: Floats, more: Floats) -> Floats:
    """Return what hosts cost more, row by row: each at its load, with `more` on it."""
    cost = summed(arrays.curve[hosts] * more * (2.0 * load + more))
    for tables in arrays.tables:
        now = load[:, tables.resource]
        cost += tables.on_hosts(hosts, now + more[:, tables.resource]) - tables.on_hosts(hosts, now)
    if arrays.has_soft_limits:
        limit = np.minimum(arrays.soft_limit[hosts], 1e300)
        over = np.maximum(load + more - limit, 0.0) - np.maximum(load - limit, 0.0)
        cost += summed(arrays.soft_price[hosts] * over)
    return np.asarray(cost, dtype=np.float64)


def cost_of(arrays: Arrays, solution: Solution) -> float:
    on = solution.on
    hosts = float((load_cost(arrays, load_of(arrays, solution.at)) + arrays.on_cost)[on].sum())
    places = float(arrays.place_cost[np.arange(len(solution.at)), solution.at].sum())
    wishes = _soft_groups(arrays, solution.at) + _soft_hosts(arrays, solution)
    return hosts + places + wishes + arrays.stuck_cost


def excess_of(arrays: Arrays, solution: Solution) -> float:
    stray = float(arrays.stray[solution.at == arrays.home].sum())
    must = float(((arrays.must == 1) & ~solution.on).sum() + ((arrays.must == -1) & solution.on).sum())
    crowds = sum(f.scale * too_much(f, solution.at) for f in arrays.families if f.price is None)
    crowds += sum(hosts_too_many(c, solution.at) for c in arrays.companies if c.price is None)
    counts = sum(count.excess(solution.on) for count in arrays.counts if count.price is None)
    homeless = _homeless(arrays, solution)
    split = sum(len(set(solution.at[list(split)].tolist())) - 1 for split in arrays.splits)
    return capacity_excess(arrays, solution) + stray + must + crowds + counts + homeless + split + arrays.stuck


def _homeless(arrays: Arrays, solution: Solution) -> float:
    """Count guests without a place after a loss; a loss after which there are more than today is no way out."""
    count = 0.0
    for loss, today in zip(arrays.losses, arrays.homeless_today, strict=True):
        if loss.price is None:
            later = loss.homeless(solution.at, solution.on, load_of(arrays, solution.at))
            added = sum(max(0, more - today.get(lost, 0)) for lost, more in later.items())
            count += sum(later.values()) + WORSE * added
    return count


def capacity_excess(arrays: Arrays, solution: Solution) -> float:
    """Return how far hosts that are on are over their limits, each as a share of the host."""
    over = load_of(arrays, solution.at) - arrays.limit
    over[~solution.on] = 0.0
    usable = np.where(arrays.usable > 0, arrays.usable, 1.0)
    return float((np.where(over > arrays.slack, over, 0.0) / usable).sum())


def count_in(family: Family, at: Ints) -> Floats:
    """Return what counts in each domain."""
    counts = family.base.copy()
    domain = family.domain[at[family.units]]
    inside = domain >= 0
    np.add.at(counts, domain[inside], family.weights[inside])
    return counts


def too_much(family: Family, at: Ints) -> float:
    """Return what counts above the limit, over all domains."""
    over = count_in(family, at) - family.limit
    return float(np.where(over > family.roof - family.limit, over, 0.0).sum())


def members_on(company: Company, at: Ints) -> Ints:
    """Return the members on each host."""
    members = company.base.copy()
    np.add.at(members, at[company.units], 1)
    return members


def hosts_too_many(company: Company, at: Ints) -> int:
    return max(0, int((members_on(company, at) > 0).sum()) - company.limit)


def _soft_groups(arrays: Arrays, at: Ints) -> float:
    crowds = sum(f.price * too_much(f, at) for f in arrays.families if f.price is not None)
    parted = sum(c.price * hosts_too_many(c, at) for c in arrays.companies if c.price is not None)
    return float(crowds + parted)


def _soft_hosts(arrays: Arrays, solution: Solution) -> float:
    counts = sum(c.price * c.excess(solution.on) for c in arrays.counts if c.price is not None)
    for loss in arrays.losses:
        if loss.price is not None:
            homeless = loss.homeless(solution.at, solution.on, load_of(arrays, solution.at))
            counts += loss.price * sum(homeless.values())
    return float(counts)
