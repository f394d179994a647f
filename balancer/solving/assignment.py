"""Who goes where, guest by guest: every promise and wish in it, for clusters that are small enough.

minimise   J, or while mending first the sum of what is broken
subject to sum over hosts of x[v, h] = 1,  x[v, h] <= on[h]                          for every unit
           load[h, r] = fixed * on[h] + sum over units of need * x <= limit * on[h]  for every host and resource
           members within a domain <= limit                                         for every group

A limit that is broken today may stay as broken as it is, and takes nothing while it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pulp

from balancer.solving.arrays import Arrays, HostCount
from balancer.solving.convex import HostLoad, host_load, table_points
from balancer.solving.families import Company, Family
from balancer.solving.losses import Loss
from balancer.solving.score import Solution, count_in
from balancer.solving.spare import need_room_for_losses
from balancer.solving.tables import above_envelope

LEAST_GAP = 1e-9  # of J: a table that is so nearly convex is taken for convex


class Assignment:
    """The exact model in PuLP. Units that only move to be brought together stay where `start` has them."""

    def __init__(self, arrays: Arrays, start: Solution) -> None:
        self.arrays = arrays
        self.today = Solution.today(arrays)
        self.lp: Any = pulp.LpProblem("assignment", pulp.LpMinimize)
        self.lp.setObjective(pulp.LpAffineExpression())
        self.loads: list[HostLoad] = []
        self.cost: list[Any] = [arrays.stuck_cost]
        self.excess: list[Any] = []
        self.on = [self._on(host) for host in range(len(arrays.hosts))]
        self.at = [self._places(unit, start) for unit in range(len(arrays.units))]
        self.on_host = [
            [(unit, x[host]) for unit, x in enumerate(self.at) if host in x] for host in range(len(arrays.hosts))
        ]
        for host in range(len(arrays.hosts)):
            for resource in range(len(arrays.resources)):
                self._load(host, resource)
        for place, family in enumerate(arrays.families):
            self._family(place, family)
        for place, company in enumerate(arrays.companies):
            self._company(place, company)
        for place, count in enumerate(arrays.counts):
            self._host_count(place, count)
        for place, loss in enumerate(arrays.losses):
            if loss.price is None:
                self._loss(place, loss)
        self._budget()

    # -- answers

    def solution(self) -> Solution:
        """Return the placement that the last run found."""
        at = [max(x, key=lambda host: float(pulp.value(x[host]))) for x in self.at]
        on = [float(pulp.value(on)) > 0.5 for on in self.on]
        return Solution(np.array(at, dtype=np.int64), np.array(on, dtype=bool))

    def start_from(self, solution: Solution) -> dict[str, float]:
        """Say a placement in the names of the model's questions."""
        start = {x.name: float(solution.at[u] == host) for u, row in enumerate(self.at) for host, x in row.items()}
        names = ((on, host) for host, on in enumerate(self.on) if not isinstance(on, int))
        return start | {on.name: float(solution.on[host]) for on, host in names}

    def minimise_excess(self) -> None:
        self.lp.setObjective(pulp.lpSum(self.excess))

    def keep_excess_below(self, excess: float) -> None:
        if self.excess:
            self.lp += pulp.lpSum(self.excess) <= excess

    def minimise_cost(self) -> None:
        self.lp.setObjective(pulp.lpSum(self.cost))

    # -- the model

    def _on(self, host: int) -> Any:
        arrays, today = self.arrays, bool(self.arrays.on_today[host])
        free = arrays.may_choose[host] and arrays.must[host] != (1 if today else -1)
        on = self.lp.add_variable(f"on_{host}", cat=pulp.LpBinary) if free else int(today)
        self.cost.append(float(arrays.on_cost[host]) * on)
        if arrays.must[host]:
            self.excess.append(on if arrays.must[host] == -1 else 1 - on)
        return on

    def _places(self, unit: int, start: Solution) -> dict[int, Any]:
        """Ask for each host whether the unit is there."""
        arrays, home = self.arrays, int(self.arrays.home[unit])
        hosts = {home, *np.flatnonzero(arrays.allowed[unit]).tolist()}
        if arrays.held[unit]:
            hosts = {int(start.at[unit])}
        hosts = {host for host in hosts if not isinstance(self.on[host], int) or self.on[host]}
        x = {host: self.lp.add_variable(f"x_{unit}_{host}", cat=pulp.LpBinary) for host in sorted(hosts)}
        self.lp += pulp.lpSum(x.values()) == 1
        for host, here in x.items():
            if not isinstance(self.on[host], int):
                self.lp += here <= self.on[host]
            if arrays.place_cost[unit, host]:
                self.cost.append(float(arrays.place_cost[unit, host]) * here)
        if arrays.stray[unit] and home in x:
            self.excess.append(float(arrays.stray[unit]) * x[home])
        return x

    def _load(self, host: int, resource: int) -> None:
        arrays, at, on = self.arrays, (host, resource), self.on[host]
        if isinstance(on, int) and not on:
            return
        usable = float(arrays.usable[at]) or 1.0
        needs = [(x, float(arrays.need[unit, resource]) / usable) for unit, x in self.on_host[host]]
        load = self.lp.add_variable(f"load_{host}_{resource}", 0)
        self.lp += load == float(arrays.fixed[at]) / usable * on + pulp.LpAffineExpression([n for n in needs if n[1]])
        limit, today = float(arrays.limit[at]), float(arrays.load_today[at])
        if np.isfinite(limit):
            over, reach = 0.0, float(arrays.reachable[at])
            if arrays.on_today[host] and today > limit + float(arrays.slack[at]):
                takers = [x for u, x in self.on_host[host] if arrays.home[u] != host and arrays.need[u, resource]]
                over = self._fault(f"{host}_{resource}", (today - limit) / usable, takers)
                reach = limit
            self.lp += load <= (reach + 0.5 * float(arrays.slack[at])) / usable * on + over
        priced = host_load(self.lp, arrays, at, load, on)
        self.loads.append(priced)
        self.cost.append(priced.cost)
        if arrays.tables:
            self._table(at, load, on)

    def _table(self, at: tuple[int, int], load: Any, on: Any) -> None:
        """Say what the envelope of a table leaves out, where the table is not convex: on which line the load is."""
        points = table_points(self.arrays, at)
        gaps = above_envelope(points)
        if max(gaps, default=0.0) <= LEAST_GAP:
            return
        name = f"{at[0]}_{at[1]}"
        parts = [self.lp.add_variable(f"point_{name}_{place}", 0) for place in range(len(points))]
        lines = [self.lp.add_variable(f"line_{name}_{place}", cat=pulp.LpBinary) for place in range(len(points) - 1)]
        self.lp += pulp.lpSum(parts) == on
        self.lp += pulp.lpSum(lines) == on
        self.lp += pulp.lpSum(share * part for (share, _), part in zip(points, parts, strict=True)) == load
        for place, part in enumerate(parts):
            self.lp += part <= pulp.lpSum(lines[max(0, place - 1) : place + 1])
        size = max(gaps)
        beyond = self.lp.add_variable(f"beyond_{name}", 0)
        self.lp += beyond == pulp.lpSum(gap / size * part for gap, part in zip(gaps, parts, strict=True))
        self.cost.append(size * beyond)

    def _fault(self, name: str, most: float, takers: Iterable[Any] = (), scale: float = 1.0) -> Any:
        """Let a limit stay as broken as it is today; nothing new comes as long as it is."""
        over = self.lp.add_variable(f"fault_{name}", 0, most)
        broken = self.lp.add_variable(f"broken_{name}", cat=pulp.LpBinary)
        self.lp += over <= most * broken
        for x in takers:
            self.lp += x + broken <= 1
        self.excess.append(scale * over)
        return over

    def _family(self, place: int, family: Family) -> None:
        weights = dict(zip(family.units.tolist(), family.weights.tolist(), strict=True))
        today = count_in(family, self.today.at)
        for domain, base in enumerate(family.base.tolist()):
            hosts = set(np.flatnonzero(family.domain == domain).tolist())
            inside = [(unit, host, x) for unit in weights for host, x in self.at[unit].items() if host in hosts]
            members = base + pulp.lpSum(weights[unit] * x for unit, _, x in inside)
            if family.price is not None:
                over = self.lp.add_variable(f"crowd_{place}_{domain}", 0)
                self.lp += over >= members - family.limit
                self.cost.append(family.price * over)
                continue
            over = 0.0
            if today[domain] > family.roof:
                takers = [x for unit, host, x in inside if self.arrays.home[unit] != host and weights[unit] > 0]
                most = float(today[domain] - family.limit)
                over = self._fault(f"group_{place}_{domain}", most, takers, family.scale)
            if inside:
                self.lp += members <= family.roof + over

    def _company(self, place: int, company: Company) -> None:
        """Each host beyond the limit that carries one of them costs, or is not allowed."""
        used: list[Any] = []
        further: list[Any] = []
        for host, base in enumerate(company.base.tolist()):
            members = [self.at[unit][host] for unit in company.units.tolist() if host in self.at[unit]]
            if base:
                used.append(1)
            elif members:
                carries = self.lp.add_variable(f"carries_{place}_{host}", 0, 1)
                used.append(carries)
                further += [] if company.homes[host] else [carries]
                for x in members:
                    self.lp += carries >= x
        if company.price is not None:
            if used:
                over = self.lp.add_variable(f"hosts_{place}", 0)
                self.lp += over >= pulp.lpSum(used) - company.limit
                self.cost.append(company.price * over)
            return
        today = int(((company.base > 0) | (company.homes > 0)).sum())
        over = self._fault(f"hosts_{place}", float(today - company.limit)) if today > company.limit else 0.0
        if used:
            self.lp += pulp.lpSum(used) <= company.limit + over
        if further:
            self.lp += pulp.lpSum(further) <= max(0, company.limit - today)

    def _host_count(self, place: int, count: HostCount) -> None:
        on = pulp.lpSum(self.on[host] for host in count.hosts.tolist())
        excess = count.excess(self.today.on)
        if count.price is not None:
            over = self.lp.add_variable(f"hosts_off_{place}", 0)
            self.lp += over >= count.at_least - on
            self.lp += over >= on - count.at_most
            self.cost.append(count.price * over)
            return
        over = self._fault(f"hosts_off_{place}", float(excess)) if excess else 0.0
        self.lp += on >= count.at_least - over
        self.lp += on <= count.at_most + over
        today = int(self.today.on[count.hosts].sum())
        woken = [self.on[host] for host in count.hosts.tolist() if not self.today.on[host]]
        self.lp += pulp.lpSum(woken) <= max(0, count.at_most - today)

    def _loss(self, place: int, loss: Loss) -> None:
        """Room in sum for the guests of each domain that may be lost; whether they can be packed, the score says."""
        if not self.arrays.homeless_today[place]:
            need_room_for_losses(self.lp, f"{place}", self.arrays, loss, self.on, self._load_in_units)

    def _load_in_units(self, host: int, resource: int) -> Any:
        arrays = self.arrays
        needs = [(x, float(arrays.need[unit, resource])) for unit, x in self.on_host[host]]
        fixed = float(arrays.fixed[host, resource]) * self.on[host]
        return fixed + pulp.LpAffineExpression([need for need in needs if need[1]])

    def _budget(self) -> None:
        arrays = self.arrays
        away = [(unit, x) for unit, row in enumerate(self.at) for host, x in row.items() if host != arrays.home[unit]]
        if np.isfinite(arrays.max_guests) and away:
            self.lp += pulp.lpSum(float(arrays.guests[unit]) * x for unit, x in away) <= float(arrays.max_guests)
        if np.isfinite(arrays.max_mib) and away:
            self.lp += pulp.lpSum(float(arrays.mib[unit]) / 1024 * x for unit, x in away) <= arrays.max_mib / 1024
