"""Costs of loads that follow tables: exact in the score and the search, their lower convex envelopes in the models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from balancer.domain.shapes import LoadTable

Floats = npt.NDArray[np.float64]
Points = list[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Tables:
    """What the load of one resource costs on each host: straight lines between points, the last one goes on.

    load, cost: the points, H x K, loads rising; the first is no load, which costs nothing
    """

    resource: int
    load: Floats
    cost: Floats

    @cached_property
    def slope(self) -> Floats:
        """Of the lines between the points, H x (K - 1)."""
        return np.asarray(np.diff(self.cost) / np.diff(self.load), dtype=np.float64)

    def of(self, hosts: npt.NDArray[np.bool_]) -> Tables:
        """Return the same for some hosts alone."""
        return Tables(self.resource, self.load[hosts], self.cost[hosts])

    def on_host(self, host: int, load: Floats | float) -> Floats:
        """Return what any loads cost on one host."""
        return np.asarray(np.interp(load, self.load[host], self.cost[host]), dtype=np.float64)

    def on_all(self, load: Floats) -> Floats:
        """Return what loads cost, one a host on the last axis."""
        return self.on_hosts(np.arange(len(self.load)), load)

    def on_hosts(self, host: npt.NDArray[np.intp], load: Floats) -> Floats:
        """Return what loads cost, each on the host that stands at its place."""
        line = np.minimum((load[..., None] >= self.load[host, 1:]).sum(axis=-1), self.load.shape[1] - 2)
        start, low = self.load[host, line], self.cost[host, line]
        return np.asarray(low + self.slope[host, line] * (load - start), dtype=np.float64)

    def dearest(self, worth: Floats, curve: Floats, limit: Floats) -> Floats:
        """Return the load up to its limit at which each host gains most: worth * load - curve * load^2 - cost."""
        ends = np.append(self.load[:, 1:-1], np.full((len(self.load), 1), np.inf), axis=1)
        start, end = (np.minimum(part, limit[:, None]) for part in (self.load[:, :-1], ends))
        rise, bend = worth[:, None] - self.slope, 2.0 * curve[:, None]
        top = np.divide(rise, bend, out=np.where(rise > 0, np.inf, 0.0), where=bend > 0)
        best = np.clip(top, start, end)
        costs = self.cost[:, :-1] + self.slope * (best - self.load[:, :-1])
        gain = worth[:, None] * best - curve[:, None] * best * best - costs
        gain[self.load[:, :-1] > np.maximum(limit, 0.0)[:, None]] = -np.inf
        return np.asarray(best[np.arange(len(best)), gain.argmax(axis=1)], dtype=np.float64)

    def steepest_up_to(self, load: Floats) -> Floats:
        """Return the steepest line of each host that begins below a load."""
        return np.asarray(np.where(self.load[:, :-1] <= load[:, None], self.slope, 0.0).max(axis=1), dtype=np.float64)

    def points_between(self, host: int, low: float, high: float) -> Points:
        """Return one host's points from one load to another, both ends included."""
        inside = self.load[host][(self.load[host] > low) & (self.load[host] < high)]
        loads = [low, *inside.tolist(), *([high] if high > low else [])]
        return list(zip(loads, self.on_host(host, np.array(loads)).tolist(), strict=True))


def tables_of(tables: Iterable[LoadTable], places: dict[str, int], resource: int, most: float) -> Tables:
    """Lay the tables of one resource side by side, each going on to the most that a load can be; several add up."""
    found: dict[int, list[LoadTable]] = {}
    for table in tables:
        found.setdefault(places[table.host], []).append(table)
    known: dict[tuple[object, ...], Points] = {}  # hosts of a kind have the same tables: a thousand are laid out once
    rows = [_row_once(found.get(host, ()), most, known) for host in range(len(places))]
    width = max(len(row) for row in rows)
    filled = np.array([_filled(row, width) for row in rows], dtype=np.float64).reshape(len(rows), width, 2)
    return Tables(resource, filled[:, :, 0], filled[:, :, 1])


def _row_once(tables: Sequence[LoadTable], most: float, known: dict[tuple[object, ...], Points]) -> Points:
    alike = tuple(table.points for table in tables)
    if alike not in known:
        known[alike] = _row(tables, most)
    return known[alike]


def _row(tables: Sequence[LoadTable], most: float) -> Points:
    loads = sorted({0.0, *(load for table in tables for load, _ in table.points)})
    loads.append(max(most, loads[-1]) + 1.0)
    return [(load, sum(table.at(load) for table in tables)) for load in loads]


def _filled(points: Points, width: int) -> Points:
    """Let the last line go on in equal steps, so that all rows are of one width."""
    (start, low), (end, high) = points[-2:]
    further = range(1, width - len(points) + 1)
    return points + [(end + step * (end - start), high + step * (high - low)) for step in further]


def side_by_side(parts: Sequence[tuple[int, Sequence[Tables]]]) -> tuple[Tables, ...]:
    """Join the tables of several clusters, each given with its number of hosts."""
    joined: list[Tables] = []
    for resource in sorted({tables.resource for _, some in parts for tables in some}):
        rows: list[Points] = []
        for hosts, some in parts:
            own = next((tables for tables in some if tables.resource == resource), None)
            free = [[(0.0, 0.0), (1.0, 0.0)]] * hosts
            rows += free if own is None else [list(zip(*row, strict=True)) for row in _rows(own)]
        width = max(len(row) for row in rows)
        filled = np.array([_filled(row, width) for row in rows], dtype=np.float64)
        joined.append(Tables(resource, filled[:, :, 0], filled[:, :, 1]))
    return tuple(joined)


def _rows(tables: Tables) -> list[tuple[list[float], list[float]]]:
    return list(zip(tables.load.tolist(), tables.cost.tolist(), strict=True))


def envelope(points: Points) -> Points:
    """Return the corners of the highest convex line that lies nowhere above the points."""
    corners: Points = []
    for point in points:
        while len(corners) > 1 and _is_above(corners[-1], corners[-2], point):
            corners.pop()
        corners.append(point)
    return corners


def above_envelope(points: Points) -> list[float]:
    """Return how far each point is above the envelope of them all."""
    corners = np.array(envelope(points), dtype=np.float64).reshape(-1, 2)
    listed = np.array(points, dtype=np.float64).reshape(-1, 2)
    return list(listed[:, 1] - np.interp(listed[:, 0], corners[:, 0], corners[:, 1])) if points else []


def _is_above(middle: tuple[float, float], start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether a point lies on or above the line between two others."""
    return (middle[1] - start[1]) * (end[0] - start[0]) >= (end[1] - start[1]) * (middle[0] - start[0])
