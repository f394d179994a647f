"""How much leaves each host and arrives at each, guests counted as if they could be cut: small, and nearly as sharp.

minimise   costs of loads and of hosts that are on + sum over units of move_cost * out
subject to load[h, r] = fixed * on[h] + sum over units of h of need * (1 - out) + arriving[h, r] <= limit * on[h]
           sum over hosts of arriving[h, r] = sum over units of need * out         for every resource
           out[v] >= 1 - on[home of v]        for every unit of a host that may sleep
           guests and memory that leave stay within the budget

Every legal placement is a point of it, so its dual bound bounds them all. A limit broken today starts at today's
load. Groups and host lists only say who cannot leave at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pulp

from balancer.solving import highs
from balancer.solving.arrays import Arrays, Bools, Floats, HostCount
from balancer.solving.convex import HostLoad, host_load, refine
from balancer.solving.families import Family
from balancer.solving.losses import Loss
from balancer.solving.priced import Prices, bound_near, parts_alone
from balancer.solving.problem import Effort
from balancer.solving.spare import need_room_for_losses

FAULT_PRICE = 1e3  # of a host's share over its limit, when the model mends: far above any J
LP_ROUNDS = 5
HALF_ON = 1e-6  # of a host: less is rounding
PROOF, ADVICE = 5e-5, 1e-3  # relative gaps at which a model may stop: one that only advises need not prove anything


@dataclass(frozen=True)
class Flow:
    """What the model advises, what it proves, and what things are worth in it; None where it found none of that."""

    on: Bools | None
    bound: float | None
    nodes: int
    overran: bool = False
    prices: Prices | None = None


def solve_flow(arrays: Arrays, effort: Effort, seed: int, mending: bool = False, gap: float = PROOF) -> Flow:
    """Find which hosts are worth keeping on. While mending, broken limits come first and nothing is proven."""
    model = _Model(arrays, mending)
    relaxed = outcome = highs.solve_relaxed(
        model.lp, seed=seed, sharpen=lambda: refine(model.lp, model.loads), rounds=LP_ROUNDS
    )
    if not model.is_whole() and not relaxed.overran:
        outcome = highs.solve(model.lp, seed=seed, nodes=effort.flow_nodes, gap=gap)
    on = model.hosts_on() if outcome.found else None
    # What had to be stopped proved nothing, but what came before it did.
    prices = _prices(arrays, relaxed.duals)
    proved = [o.bound + arrays.stuck_cost for o in (relaxed, outcome) if o.bound is not None]
    if prices is not None:
        worth = np.maximum(_worth_of_room(arrays, relaxed.duals), prices.resources)
        proved.append(bound_near(parts_alone(arrays), prices, worth, arrays.max_guests, arrays.max_mib))
    bound = None if mending else max(proved, default=None)
    return Flow(on, bound, outcome.nodes, outcome.overran, prices)


def advise(arrays: Arrays, seed: int) -> Flow:
    """Take the relaxed model for advice: it leaves one host or two half on, and those are taken for on."""
    model = _Model(arrays, mending=False)
    relaxed = highs.solve_relaxed(model.lp, seed=seed, sharpen=lambda: refine(model.lp, model.loads), rounds=LP_ROUNDS)
    on = model.hosts_on(least=HALF_ON) if relaxed.found else None
    bound = None if relaxed.bound is None else relaxed.bound + arrays.stuck_cost
    return Flow(on, bound, 0, relaxed.overran, _prices(arrays, relaxed.duals))


def _prices(arrays: Arrays, duals: Mapping[str, float]) -> Prices | None:
    """Read from the relaxed model what a unit of each resource, a guest and a MiB of the budget are worth."""
    if not duals:
        return None
    resources = range(len(arrays.resources))
    need, room = ([duals.get(f"{row}_{r}", 0.0) / _size(arrays, r) for r in resources] for row in ("conserved", "held"))
    budget = -duals.get("budget_guests", 0.0), -duals.get("budget_gib", 0.0) / 1024
    return Prices(np.array(need), np.maximum(room, 0.0), *(max(0.0, price) for price in budget))


def _worth_of_room(arrays: Arrays, duals: Mapping[str, float]) -> Floats:
    """Read from the relaxed model what a unit of room is worth on each host."""
    hosts, resources = range(len(arrays.hosts)), range(len(arrays.resources))
    worth = np.array([[duals.get(f"filled_{h}_{r}", 0.0) for r in resources] for h in hosts])
    return np.asarray(worth / np.where(arrays.usable > 0, arrays.usable, 1.0), dtype=np.float64)


def _size(arrays: Arrays, resource: int) -> float:
    """The unit in which the model counts a resource: a mean host."""
    return float(arrays.usable[:, resource].mean()) or 1.0


class _Model:
    """The aggregate-flow model in PuLP."""

    def __init__(self, arrays: Arrays, mending: bool) -> None:
        self.arrays, self.mending = arrays, mending
        self.lp: Any = pulp.LpProblem("flow", pulp.LpMinimize)
        self.loads: list[HostLoad] = []
        self.choices: dict[int, Any] = {}
        self.load_of: dict[tuple[int, int], Any] = {}  # in the resource's own unit
        self.on = [self._on(host) for host in range(len(arrays.hosts))]
        self.out = [self._out(unit) for unit in range(len(arrays.units))]
        self.cost: list[Any] = []
        self.lp.setObjective(pulp.LpAffineExpression())
        self._flows()
        self._hosts_empty_before_they_sleep()
        if not self.mending:
            self._enough_hosts_on()
        self._loads_of_host_groups()
        for place, count in enumerate(arrays.counts):
            self._host_count(place, count)
        for place, loss in enumerate(arrays.losses):
            self._loss(place, loss)
        self._budget()
        leaving = list(zip(self.out, _least_move_costs(arrays).tolist(), strict=True))
        places = pulp.LpAffineExpression(leaving) + float(_least_stay_cost(arrays).sum())
        on_cost = pulp.lpSum(float(c) * on for c, on in zip(arrays.on_cost, self.on, strict=True))
        self.lp.setObjective(pulp.lpSum(self.cost) + on_cost + places)

    def is_whole(self) -> bool:
        """Whether the last answer leaves no host half on: nothing that is whole is cheaper then."""
        chosen = [on.varValue for on in self.choices.values()]
        return all(value is None or min(value, 1 - value) < 1e-9 for value in chosen)

    def hosts_on(self, least: float = 0.5) -> Bools:
        """Return which hosts the answer keeps on, at least in such a part."""
        chosen = [pulp.value(on) for on in self.on]
        # A choice that nothing depends on never reaches the solver: such a host stays what it is.
        listed = zip(chosen, self.arrays.on_today, strict=True)
        return np.array([bool(today) if value is None else value > least for value, today in listed], dtype=bool)

    def _on(self, host: int) -> Any:
        """A choice where there is one, else what the host is today."""
        arrays = self.arrays
        today = bool(arrays.on_today[host])
        if not arrays.may_choose[host] or arrays.must[host] == (1 if today else -1):
            return int(today)
        if self.mending and arrays.must[host] != 0:
            return int(arrays.must[host] == 1)
        self.choices[host] = self.lp.add_variable(f"on_{host}", cat=pulp.LpBinary)
        return self.choices[host]

    def _out(self, unit: int) -> Any:
        elsewhere = self.arrays.allowed[unit].copy()
        elsewhere[self.arrays.home[unit]] = False
        return self.lp.add_variable(f"out_{unit}", 0, 1 if elsewhere.any() else 0)

    def _flows(self) -> None:
        arrays = self.arrays
        away = arrays.allowed.copy()
        away[np.arange(len(arrays.home)), arrays.home] = False
        takes = np.flatnonzero(away.any(axis=0)).tolist()
        at_home = [np.flatnonzero(np.equal(arrays.home, host)) for host in range(len(arrays.hosts))]
        for resource in range(len(arrays.resources)):
            size = _size(arrays, resource)
            arriving: list[Any] = []
            for host in range(len(arrays.hosts)):
                if isinstance(self.on[host], int) and not self.on[host]:
                    continue
                into = self.lp.add_variable(f"into_{host}_{resource}", 0) if host in takes else None
                arriving += [] if into is None else [into]
                self._load(host, resource, at_home[host], into, size)
            leaving = [(out, arrays.need[unit, resource] / size) for unit, out in enumerate(self.out)]
            gone = pulp.LpAffineExpression([(v, float(c)) for v, c in leaving if c > 0])
            self.lp += pulp.lpSum(arriving) == gone, f"conserved_{resource}"

    def _load(self, host: int, resource: int, at_home: Any, into: Any, size: float) -> None:
        """Tie a host's load to what stays and what arrives, in shares of the host, and keep it below its limit."""
        arrays, at = self.arrays, (host, resource)
        usable = float(arrays.usable[at]) or 1.0
        need = arrays.need[at_home, resource] / usable
        load = self.lp.add_variable(f"load_{host}_{resource}", 0)
        self.load_of[at] = usable * load
        stays = float(need.sum()) - pulp.LpAffineExpression(
            [(self.out[u], float(n)) for u, n in zip(at_home, need, strict=True)]
        )
        arrives = 0 if into is None else (size / usable) * into
        self.lp += (
            load == float(arrays.fixed[at]) / usable * self.on[host] + stays + arrives,
            f"filled_{host}_{resource}",
        )
        total = float(arrays.fixed[at] + arrays.need[:, resource].sum())
        limit, today = float(min(arrays.reachable[at], total)), float(arrays.load_today[at])
        if self.mending and today > limit + arrays.slack[at]:
            over = self.lp.add_variable(f"fault_{host}_{resource}", 0, (today - limit) / usable)
            self.lp += load <= limit / usable * self.on[host] + over
            self.cost.append(FAULT_PRICE * over)
        else:
            self.lp += load <= (max(limit, today) + float(arrays.slack[at])) / usable * self.on[host]
        priced = host_load(self.lp, arrays, at, load, self.on[host])
        self.loads.append(priced)
        self.cost.append(priced.cost)

    def _hosts_empty_before_they_sleep(self) -> None:
        for unit, home in enumerate(self.arrays.home):
            if int(home) in self.choices:
                ends = [(self.out[unit], 1.0), (self.choices[int(home)], 1.0)]
                self.lp += pulp.LpAffineExpression(ends) >= 1

    def _enough_hosts_on(self) -> None:
        """Say outright that the hosts that are on hold everybody: it follows, but only so the solver counts hosts."""
        arrays = self.arrays
        for resource in range(len(arrays.resources)):
            full = np.maximum(arrays.reachable[:, resource], arrays.load_today[:, resource])
            room = full + arrays.slack[:, resource] - arrays.fixed[:, resource]
            size = _size(arrays, resource)
            if self.choices and np.isfinite(room).all():
                held = pulp.lpSum(float(r) / size * on for r, on in zip(room, self.on, strict=True))
                self.lp += held >= float(arrays.need[:, resource].sum()) / size, f"held_{resource}"

    def _loads_of_host_groups(self) -> None:
        """Limits of all that is in use on a group of hosts; those of some guests alone are left to the search."""
        for place, (resource, group) in enumerate(_whole_loads(self.arrays)):
            hosts = np.flatnonzero(group.domain == 0).tolist()
            load = pulp.lpSum(self._load_in_units(host, resource) for host in hosts) * group.scale
            limit, today = group.limit * group.scale, float(self.arrays.load_today[hosts, resource].sum()) * group.scale
            if group.price is not None or (self.mending and today > limit):
                over = self.lp.add_variable(f"group_{place}", 0)
                self.lp += load <= limit + 1e-9 + over
                self.cost.append((FAULT_PRICE if group.price is None else group.price / group.scale) * over)
            else:
                self.lp += load <= max(limit, today) + 1e-9

    def _host_count(self, place: int, count: HostCount) -> None:
        on = pulp.lpSum(self.on[host] for host in count.hosts.tolist())
        excess = count.excess(self.arrays.on_today)
        if count.price is not None or (self.mending and excess):
            over = self.lp.add_variable(f"hosts_off_{place}", 0)
            self.cost.append((FAULT_PRICE if count.price is None else count.price) * over)
        else:
            over = float(excess)
        self.lp += on >= count.at_least - over
        self.lp += on <= count.at_most + over
        if count.price is None:
            today = int(self.arrays.on_today[count.hosts].sum())
            woken = [self.on[host] for host in count.hosts.tolist() if not self.arrays.on_today[host]]
            self.lp += pulp.lpSum(woken) <= max(0, count.at_most - today)

    def _loss(self, place: int, loss: Loss) -> None:
        """A reserve that is broken today binds nobody, and asks for hosts where faults are mended."""
        arrays, short = self.arrays, 0.0
        is_short = bool(arrays.homeless_today[place])
        if loss.price is not None or (is_short and not self.mending):
            return
        if is_short:
            short = self.lp.add_variable(f"short_{place}", 0)
            self.cost.append(FAULT_PRICE * short)
        need_room_for_losses(self.lp, f"{place}", arrays, loss, self.on, self._load_in_units, short)

    def _load_in_units(self, host: int, resource: int) -> Any:
        """A host's load in the resource's own unit; nothing where it is surely off."""
        return self.load_of.get((host, resource), 0.0)

    def _budget(self) -> None:
        arrays = self.arrays
        if np.isfinite(arrays.max_guests):
            guests = [(out, float(n)) for out, n in zip(self.out, arrays.guests, strict=True)]
            self.lp += pulp.LpAffineExpression(guests) <= float(arrays.max_guests), "budget_guests"
        if np.isfinite(arrays.max_mib):
            gib = [(out, float(mib) / 1024) for out, mib in zip(self.out, arrays.mib, strict=True)]
            self.lp += pulp.LpAffineExpression(gib) <= float(arrays.max_mib) / 1024, "budget_gib"


def _whole_loads(arrays: Arrays) -> list[tuple[int, Family]]:
    return [(family.whole, family) for family in arrays.families if family.whole >= 0]


def _least_move_costs(arrays: Arrays) -> Any:
    """What leaving costs each unit at least, beyond what staying does."""
    elsewhere = np.where(arrays.allowed, arrays.place_cost, np.inf)
    elsewhere[np.arange(len(arrays.home)), arrays.home] = np.inf
    least = elsewhere.min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least - _least_stay_cost(arrays), 0.0)


def _least_stay_cost(arrays: Arrays) -> Any:
    return arrays.place_cost[np.arange(len(arrays.home)), arrays.home]
