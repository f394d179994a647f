"""A bound for clusters that no model can hold: given prices, each host is on its own.

Resources are bought and sold at a price p; a guest that leaves sells what it needs and pays for its move. Whatever the
prices are, no legal placement costs less than

    sum over hosts of min(off, on) + price of room * need of all guests - price of the budget * budget

off = sum over guests of the host of (move cost + p * need)        where it may sleep and all can leave
on  = cost of being on - price of room * room + max over q >= p of
      q * fixed - conjugate of the load cost at q + sum over guests of min(q * need, move cost + p * need)

q is what room is worth on that very host. Any q gives a bound, so it is sought roughly.

A guest that is larger than what a host carries at its best cannot be cut: wherever it is, its host is fuller than that.
g(L) = load cost - q L is least at some load; one guest of need n > that load costs g(n) - g(least) more, and several on
one host no less than each alone, because g is convex. Elsewhere q is p at best: a host where room is worth more is
fuller already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from balancer.solving.arrays import Arrays, Bools, Floats, Ints, every
from balancer.solving.score import weighted
from balancer.solving.tables import Tables, side_by_side

ROUNDS, HALVINGS = 2, 10  # of looking for what room is worth on each host
ALL_MIXED = 3  # resources up to which every mix of them is a direction; of more, those of one or two
STEPS = 0.02, 0.005  # by which prices are tried to be higher and lower
NEAR_STEPS, MOST_STEPS = (0.2, 0.05, 0.01, 0.002), 10  # the same where each try is cheap
NEARLY = 1e-6  # of a price: less is the solver's rounding


@dataclass(frozen=True, eq=False)
class Prices:
    """What a unit of each resource is worth, a unit of room on a host that is on, a guest and a MiB of the budget."""

    resources: Floats
    room: Floats
    guest: float = 0.0
    mib: float = 0.0

    @property
    def row(self) -> Floats:
        """All of them in one row."""
        return np.concatenate([self.resources, self.room, [self.guest, self.mib]])

    @classmethod
    def of_row(cls, row: Floats) -> Prices:
        resources = (len(row) - 2) // 2
        return cls(row[:resources], row[resources:-2], float(row[-2]), float(row[-1]))


@dataclass(frozen=True, eq=False)
class Parts:
    """Hosts and units of all pods side by side; the rest of the problem does not matter to a bound."""

    need: Floats
    home: Ints
    leave_cost: Floats
    can_leave: Bools
    guests: Ints
    mib: Floats
    fixed: Floats
    limit: Floats
    curve: Floats
    tables: tuple[Tables, ...]
    on_cost: Floats
    is_on: Bools
    may_be_on: Bools
    may_be_off: Bools
    constant: float
    load_today: Floats


def mean_prices(prices: Sequence[Prices]) -> Prices:
    """Return the mean: pods are alike, so their prices are."""
    return Prices.of_row(np.asarray(np.mean([price.row for price in prices], axis=0), dtype=np.float64))


def sharpened(parts: Parts, prices: Prices, max_guests: float, max_mib: float) -> Prices:
    """Turn each price a little up and down, and keep what raises the bound."""
    row, best = prices.row, priced_bound(parts, prices, max_guests, max_mib)
    for step in STEPS:
        for place in np.flatnonzero(row).tolist():
            for factor in (1.0 + step, 1.0 / (1.0 + step)):
                other = row.copy()
                other[place] *= factor
                bound = priced_bound(parts, Prices.of_row(other), max_guests, max_mib)
                if bound > best:
                    row, best = other, bound
                    break
    return Prices.of_row(row)


def bound_near(parts: Parts, prices: Prices, worth: Floats, max_guests: float, max_mib: float) -> float:
    """Return the best bound at prices near these; `worth` is what room is worth on each host at these.

    A model that cuts guests takes room on other hosts for dearer than it is: a guest that is whole leaves it to them.
    """
    is_dearer = worth > prices.resources * (1.0 + NEARLY)

    def bound_at(row: Floats) -> float:
        others = Prices.of_row(row)
        shifted = np.where(is_dearer, np.maximum(worth, others.resources), others.resources)
        return priced_bound(parts, others, max_guests, max_mib, shifted)

    row, best = prices.row, bound_at(prices.row)
    for step in NEAR_STEPS:
        for place in np.flatnonzero(row).tolist():
            for factor in (1.0 + step, 1.0 / (1.0 + step)):
                for _ in range(MOST_STEPS):
                    other = row.copy()
                    other[place] *= factor
                    if (bound := bound_at(other)) <= best:
                        break
                    row, best = other, bound
    return best


def parts_of(pods: Sequence[Arrays], leave_cost: Floats, can_leave: Bools) -> Parts:
    """Lay pods side by side. `leave_cost`, `can_leave`: of each unit, wherever it may go in the whole cluster."""
    starts = np.cumsum([0, *(len(pod.hosts) for pod in pods)])
    total = np.sum([pod.load_today.sum(axis=0) for pod in pods], axis=0)
    on_today, must = np.concatenate([pod.on_today for pod in pods]), np.concatenate([pod.must for pod in pods])
    load_today = np.concatenate([pod.load_today for pod in pods])
    limit = np.maximum(np.concatenate([pod.ceiling for pod in pods]), load_today)
    may_sleep = np.concatenate([pod.may_sleep for pod in pods]) & (must != 1)
    stay = [pod.place_cost[np.arange(len(pod.home)), pod.home].sum() for pod in pods]
    return Parts(
        need=np.concatenate([pod.need for pod in pods]),
        home=np.concatenate([pod.home + start for pod, start in zip(pods, starts[:-1], strict=True)]),
        leave_cost=leave_cost,
        can_leave=can_leave,
        guests=np.concatenate([pod.guests for pod in pods]),
        mib=np.concatenate([pod.mib for pod in pods]),
        fixed=np.concatenate([pod.fixed for pod in pods]),
        limit=np.minimum(limit, total),
        curve=np.concatenate([pod.curve for pod in pods]),
        tables=side_by_side([(len(pod.hosts), pod.tables) for pod in pods]),
        on_cost=np.concatenate([pod.on_cost for pod in pods]),
        is_on=on_today,
        may_be_on=on_today | np.concatenate([pod.may_wake for pod in pods]),
        may_be_off=~on_today | may_sleep,
        constant=float(sum(stay) + sum(pod.stuck_cost for pod in pods)),
        load_today=load_today,
    )


def priced_bound(parts: Parts, prices: Prices, max_guests: float, max_mib: float, worth: Floats | None = None) -> float:
    """Return what no legal placement is cheaper than; `worth`: what room is worth on each host, where that is known."""
    off, on = _costs_of_hosts(parts, prices, worth)
    best = np.minimum(np.where(parts.may_be_off, off, np.inf), np.where(parts.may_be_on, on, np.inf))
    spent = sum(p * most for p, most in ((prices.guest, max_guests), (prices.mib, max_mib)) if p > 0)
    return float(best.sum() + parts.need.sum(axis=0) @ prices.room - spent + parts.constant)


def gains_of_hosts(parts: Parts, prices: Prices) -> Floats:
    """Return what each host costs more today than it would at these prices."""
    off, on = _costs_of_hosts(parts, prices)
    best = np.minimum(np.where(parts.may_be_off, off, np.inf), np.where(parts.may_be_on, on, np.inf))
    today = parts.on_cost + weighted(parts.load_today**2 * parts.curve, np.ones(parts.curve.shape[1]))
    for tables in parts.tables:
        today = today + tables.on_all(parts.load_today[:, tables.resource])
    return np.asarray(today * parts.is_on - best, dtype=np.float64)


def worth_keeping_on(arrays: Arrays, prices: Prices, headroom: float) -> Bools:
    """Say which hosts stay on at these prices: all that pay for themselves, and then the best until all guests fit.

    headroom: how full, of its limit, each may get
    """
    off, on = _costs_of_hosts(parts_alone(arrays), prices)
    gain = np.where(arrays.may_choose, off - on, np.where(arrays.on_today, np.inf, -np.inf))
    room = np.minimum(arrays.reachable * headroom, arrays.need.sum(axis=0)) - arrays.fixed
    order = np.argsort(-gain, kind="stable")
    held = every(np.cumsum(room[order], axis=0) >= arrays.need.sum(axis=0))
    enough = int(held.argmax()) + 1 if held.any() else len(order)
    kept = np.zeros(len(order), dtype=bool)
    # Where load costs nothing, hosts pay by what they hold alone: the prices say which, not how many.
    pays = (gain > 0) & arrays.curve.any()
    kept[order[: max(enough, int(pays.sum()))]] = True
    return kept & (arrays.on_today | arrays.may_wake)


def parts_alone(arrays: Arrays) -> Parts:
    """Lay out a cluster that is whole by itself."""
    rows = np.arange(len(arrays.home))
    elsewhere = np.where(arrays.allowed, arrays.place_cost, np.inf)
    elsewhere[rows, arrays.home] = np.inf
    least = elsewhere.min(axis=1, initial=np.inf) - arrays.place_cost[rows, arrays.home]
    return parts_of([arrays], least, np.isfinite(least))


def _costs_of_hosts(parts: Parts, prices: Prices, worth: Floats | None = None) -> tuple[Floats, Floats]:
    """What each host costs at least when it is off, and when it is on."""
    sold = _sold(parts, prices)
    hosts = len(parts.on_cost)
    if worth is None:
        worth = _worth_of_room(parts, prices.resources, sold)
    sold = sold + _uncut_elsewhere(parts, prices.resources)
    off = np.bincount(parts.home, weights=sold, minlength=hosts) if len(sold) else np.zeros(hosts)
    room = np.where(prices.room > 0, parts.limit - parts.fixed, 0.0)
    return np.asarray(off, dtype=np.float64), parts.on_cost - weighted(room, prices.room) + _value(parts, worth, sold)


def _uncut_elsewhere(parts: Parts, prices: Floats) -> Floats:
    """What each unit costs at least, wherever it goes, because it cannot be cut."""
    least = np.full(len(parts.home), np.inf)
    for curve in np.unique(_plain_curves(parts), axis=0):
        best = np.divide(prices, 2.0 * curve, out=np.full(len(curve), np.inf), where=curve > 0)
        least = np.minimum(least, weighted(np.maximum(parts.need - np.maximum(best, 0.0), 0.0) ** 2, curve))
    return least if len(parts.curve) else np.zeros(len(parts.home))


def leaving(parts: Parts, prices: Prices) -> Bools:
    """Say which units would leave their hosts at these prices."""
    sold = _sold(parts, prices)
    worth = _worth_of_room(parts, prices.resources, sold)
    return np.asarray((worth[parts.home] * parts.need).sum(axis=1) > sold, dtype=bool)


def _sold(parts: Parts, prices: Prices) -> Floats:
    """What each unit costs that leaves its host; infinite where it cannot."""
    spent = prices.guest * parts.guests + prices.mib * parts.mib
    return np.where(parts.can_leave, weighted(parts.need, prices.resources) + parts.leave_cost + spent, np.inf)


def _plain_curves(parts: Parts) -> Floats:
    """Curves of the resources of which nothing else says what load costs: of those is known where they are least."""
    curves = parts.curve.copy()
    for tables in parts.tables:
        curves[:, tables.resource] = 0.0
    return curves


def _value(parts: Parts, worth: Floats, sold: Floats) -> Floats:
    """What a host that is on costs at least, if room on it is worth this much."""
    load = _best_load(parts, worth)
    conjugate = (worth * load - parts.curve * load * load).sum(axis=1)
    for tables in parts.tables:
        conjugate -= tables.on_all(load[:, tables.resource])
    uncut = np.maximum(parts.need - load[parts.home], 0.0) ** 2 * _plain_curves(parts)[parts.home]
    kept = np.minimum((worth[parts.home] * parts.need + uncut).sum(axis=1), sold)
    guests = np.bincount(parts.home, weights=kept, minlength=len(worth)) if len(kept) else np.zeros(len(worth))
    return np.asarray((worth * parts.fixed).sum(axis=1) - conjugate + guests, dtype=np.float64)


def _best_load(parts: Parts, worth: Floats) -> Floats:
    """The load at which a host gains most where room is worth this much."""
    steep = parts.curve > 0
    load = np.divide(worth, 2.0 * parts.curve, out=np.where(worth > 0, np.inf, 0.0), where=steep)
    load = np.clip(load, 0.0, parts.limit)
    for tables in parts.tables:
        at = (slice(None), tables.resource)
        load[at] = tables.dearest(worth[at], parts.curve[at], parts.limit[at])
    return np.asarray(load, dtype=np.float64)


def _worth_of_room(parts: Parts, prices: Floats, sold: Floats) -> Floats:
    """Find what room is worth on each host; where nothing is today it is worth its price."""
    worth = np.broadcast_to(prices, parts.fixed.shape).copy()
    loaded = np.asarray(parts.fixed.any(axis=1), dtype=np.bool_)
    loaded[parts.home] = True
    worth[loaded] = _worth_where_loaded(_of_hosts(parts, loaded), prices, sold)
    return worth


def _of_hosts(parts: Parts, kept: Bools) -> Parts:
    """Return some hosts alone, with all that is on any host."""
    return replace(
        parts,
        home=(np.cumsum(kept) - 1)[parts.home],
        fixed=parts.fixed[kept],
        limit=parts.limit[kept],
        curve=parts.curve[kept],
        tables=tuple(tables.of(kept) for tables in parts.tables),
        load_today=parts.load_today[kept],
    )


def _worth_where_loaded(parts: Parts, prices: Floats, sold: Floats) -> Floats:
    """Go one direction after the other, between a host's price and what room is worth on it today."""
    lowest = np.broadcast_to(prices, parts.fixed.shape)
    span = np.maximum(_steepness_today(parts) - lowest, 0.0)
    place = np.zeros(span.shape)  # of each worth, between 0 (its price) and 1 (its worth today)
    if not span.any():
        return lowest.copy()
    for step in _directions(span.shape[1]) * ROUNDS:
        least, most = _reach(place, -step), _reach(place, step)
        low, high = -least, most
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            slope = _slopes(parts, lowest + span * (place + middle[:, None] * step), sold)
            rising = weighted(slope * span, step) > 0
            low, high = np.where(rising, middle, low), np.where(rising, high, middle)
        place = np.clip(place + low[:, None] * step, 0.0, 1.0)
    return np.asarray(lowest + span * place, dtype=np.float64)


def _steepness_today(parts: Parts) -> Floats:
    """What one more unit of load costs about today."""
    steepness = 2.0 * parts.curve * parts.load_today
    for tables in parts.tables:
        steepness[:, tables.resource] += tables.steepest_up_to(parts.load_today[:, tables.resource])
    return np.asarray(steepness, dtype=np.float64)


def _directions(resources: int) -> list[Floats]:
    """Each resource by itself, then all together and one against another: one after the other alone gets stuck."""
    steps = [np.array(signs, dtype=np.float64) for signs in product((1, 0, -1), repeat=resources)]
    if resources > ALL_MIXED:
        steps = [step for step in steps if np.abs(step).sum() <= 2]
    first = {tuple(step): step for step in steps if step.any() and step[np.flatnonzero(step)[0]] > 0}
    return sorted(first.values(), key=lambda step: int(np.abs(step).sum()))


def _reach(place: Floats, step: Floats) -> Floats:
    """How far each host can go in a direction before a worth leaves its range."""
    left = np.where(step > 0, 1.0 - place, np.where(step < 0, place, np.inf))
    return np.asarray(left.min(axis=1), dtype=np.float64)


def _slopes(parts: Parts, worth: Floats, sold: Floats) -> Floats:
    """What one more unit of worth adds to each host's part of the bound, by resource."""
    slopes = parts.fixed - _best_load(parts, worth)
    if len(sold):
        stays = (worth[parts.home] * parts.need).sum(axis=1) < sold
        for resource in range(slopes.shape[1]):
            slopes[:, resource] += np.bincount(parts.home, parts.need[:, resource] * stays, minlength=len(worth))
    return np.asarray(slopes, dtype=np.float64)
