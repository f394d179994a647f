"""The least energy that load could have taken, with perfect knowledge and with moves and switching free.

    watts >= max over p, q >= 0 of  p * cores needed + q * MiB of all guests - sum over hosts of rent(host; p, q)
    rent(host; p, q) = max(0, max over points u of its table of  p * cores * u + q * MiB - (watts(u) - off watts))

and the off watts of all hosts on top. Guests may be cut in pieces and hosts too, so it is a bound for any host mix, and
the cheapest hosts run out as they do. Whatever the prices p and q: it is a bound; the greatest is found at a corner,
where two of the lines meet at which a host is just worth its watts.

It serves all that is needed: a run that lets guests starve may take less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from balancer.domain.host import Power

Doubles = npt.NDArray[np.float64]
MOST_LINES = 400  # of pairs of them each corner comes; beyond that every n-th line is left out, and it stays a bound
_PARALLEL = 1e-12
_AT_ONCE = 200_000  # corners times steps in one array


@dataclass(frozen=True)
class Bounded:
    """A host as the bound sees it: what guests may use of it, and its watts at points of that use."""

    cores: float
    memory_mib: float
    watts: tuple[float, ...]  # at even steps of `cores`
    off_watts: float

    @classmethod
    def of(cls, cores: float, memory_mib: float, power: Power) -> Bounded:
        return cls(cores, memory_mib, tuple(power.table), power.off_watts)


class Bound:
    """The bound for a set of hosts, by cores and MiB needed."""

    def __init__(self, hosts: Iterable[Bounded]) -> None:
        self._kinds: Sequence[tuple[Bounded, int]] = list(Counter(hosts).items())

    def watts(self, cores: Doubles, memory_mib: Doubles) -> Doubles:
        """Return the least watts at each step's need; what no hosts are there for is not counted."""
        cores = np.minimum(cores, sum(host.cores * count for host, count in self._kinds))
        memory_mib = np.minimum(memory_mib, sum(host.memory_mib * count for host, count in self._kinds))
        always = sum(host.off_watts * count for host, count in self._kinds)
        prices, rents = self._corners
        best = np.zeros(len(cores))
        size = max(1, _AT_ONCE // max(1, len(cores)))
        for begin in range(0, len(prices), size):
            part = slice(begin, begin + size)
            worth = prices[part, :1] * cores + prices[part, 1:] * memory_mib - rents[part, None]
            best = np.maximum(best, worth.max(axis=0, initial=0.0))
        return best + always

    @cached_property
    def _corners(self) -> tuple[Doubles, Doubles]:
        """Return the prices at which two points of tables are just worth their watts, and the rent of all hosts."""
        lines = np.array(_thinned([*_axes(), *self._worth(), *self._slopes()]))
        one, other = (lines[list(which)] for which in zip(*combinations(range(len(lines)), 2), strict=True))
        crossing = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
        scale = np.hypot(one[:, 0], one[:, 1]) * np.hypot(other[:, 0], other[:, 1])
        meet = np.abs(crossing) > _PARALLEL * scale
        one, other, crossing = one[meet], other[meet], crossing[meet]
        p = (one[:, 2] * other[:, 1] - one[:, 1] * other[:, 2]) / crossing
        q = (one[:, 0] * other[:, 2] - one[:, 2] * other[:, 0]) / crossing
        prices = np.unique(np.stack([p, q], axis=1)[(p >= 0) & (q >= 0)], axis=0)
        return prices, self._rents(prices)

    def _rents(self, prices: Doubles) -> Doubles:
        rents = np.zeros(len(prices))
        for host, count in self._kinds:
            points = np.array(
                [prices[:, 0] * cores + prices[:, 1] * mib - watts for cores, mib, watts in _points(host)]
            )
            rents += count * np.maximum(points.max(axis=0), 0.0)
        return rents

    def _worth(self) -> list[tuple[float, float, float]]:
        return [point for host, _ in self._kinds for point in _points(host)]

    def _slopes(self) -> list[tuple[float, float, float]]:
        """Return the prices of a core at which one point of a table becomes worth more than another."""
        found = []
        for host, _ in self._kinds:
            for (low, _, cheap), (high, _, dear) in combinations(_points(host), 2):
                found.append((high - low, 0.0, dear - cheap))
        return found


def _axes() -> list[tuple[float, float, float]]:
    return [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]


def _points(host: Bounded) -> list[tuple[float, float, float]]:
    """Return cores, MiB and watts above those of a host that is off, at each point of a host's table."""
    last = len(host.watts) - 1
    return [
        (host.cores * place / max(last, 1), host.memory_mib, watts - host.off_watts)
        for place, watts in enumerate(host.watts)
    ]


def _thinned(lines: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    once = list(dict.fromkeys(lines))
    return once[:: -(-len(once) // MOST_LINES)]
