"""How often hosts would have been short of what was expected for them, beside what was promised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table

from balancer.demand.diary import Doubles, Floats
from balancer.demand.forecast import HORIZONS, Forecast, Forecaster
from balancer.demand.sharing import sharing_of
from tests.bench.asking import diary_at, moment
from tests.bench.traces import Trace

GUESSED = {"planetlab": (10, 20, 40), "bitbrains": (10, 25)}
RISKS = (0.01, 0.001)
SHUFFLES = 12  # hosts are made up by chance, several times, so that the answer does not hang on one making
PRESENT_RULE_SLOTS = 6  # the half hour that a quantile is taken of without a risk


@dataclass
class Kept:
    """How often a host was tried, was short, and what share of its vCPUs was expected to be in use."""

    tries: int = 0
    short: int = 0
    expected: float = 0.0

    def add(self, happened: Doubles, expected: Doubles, size: Doubles) -> None:
        self.tries += len(happened)
        self.short += int((happened > expected + 1e-6).sum())
        self.expected += float((expected / size).sum())


Outcome = Mapping[tuple[int, str, str], Kept]


def calibration(trace: Trace, horizons: tuple[str, ...] = ("15m", "1h")) -> Outcome:
    """Make up hosts of some guests each and ask at many moments what they would need at most, and did."""
    found: dict[tuple[int, str, str], Kept] = defaultdict(Kept)
    chance = np.random.default_rng(1)
    guests = trace.cores.shape[1]
    hosts_of = {
        number: [np.argsort(chance.permutation(guests)) % max(guests // number, 1) for _ in range(SHUFFLES)]
        for number in GUESSED[trace.name]
    }
    for now in range(trace.tried_from, len(trace.cores) - 96, trace.stride):
        diary, there = diary_at(trace, now)
        vcpus = np.array([trace.vcpus[column] for column in there], dtype=np.float32)
        forecaster = Forecaster(diary, diary.keys, vcpus.astype(int).tolist(), moment(now))
        recent = np.nanquantile(np.nan_to_num(diary.cores[-PRESENT_RULE_SLOTS:]), 0.95, axis=0)
        for horizon in horizons:
            forecast = forecaster.at(horizon)
            p95 = forecaster.quantiles(forecast, (0.95,))[0]
            happened = trace.cores[now + HORIZONS[horizon], there]
            known = ~(np.isnan(happened) | np.isnan(forecast.mean))
            for number, shuffles in hosts_of.items():
                for places in shuffles:
                    _try(found, (number, horizon), forecast, places[there], happened, known, vcpus, (recent, p95))
    return found


def _try(
    found: dict[tuple[int, str, str], Kept],
    which: tuple[int, str],
    forecast: Forecast,
    places: npt.NDArray[np.intp],
    happened: Floats,
    known: npt.NDArray[np.bool_],
    vcpus: Floats,
    sums: tuple[Floats, Floats],
) -> None:
    hosts = int(places.max()) + 1

    def on_hosts(values: Floats) -> Doubles:
        return np.bincount(places[known], values[known].astype(float), hosts).astype(float)

    size = on_hosts(vcpus)
    full = size > 0
    needed, size = on_hosts(happened)[full], size[full]
    for name, values in zip(("sum of p95, last half hour", "sum of p95, forecast"), sums, strict=True):
        found[(*which, name)].add(needed, on_hosts(values)[full], size)
    used = np.flatnonzero(full)
    dense = np.searchsorted(used, places[known])
    for risk in RISKS:
        sharing = sharing_of(forecast.errors[:, known], forecast.sigma[known], dense, 1.0, risk)
        expected = on_hosts(forecast.mean + sharing.allowance(forecast.sigma))[full] + sharing.swing
        found[(*which, f"risk {risk:.1%}")].add(needed, expected, size)


def table_of(trace: Trace, found: Outcome) -> Table:
    """Return how often hosts were short, and how full of expected load they were, by size of host."""
    table = Table(box=box.MARKDOWN, title=f"{trace.name}: hosts that were short of what was expected for them")
    for name in ("guests a host", "horizon", "expected by", "short", "room of all vCPUs", "tries"):
        table.add_column(name, justify="left" if name == "expected by" else "right", no_wrap=True)
    for (number, horizon, name), kept in found.items():
        table.add_row(
            str(number),
            horizon,
            name,
            f"{kept.short / kept.tries:.2%}",
            f"{kept.expected / kept.tries:.3f}",
            str(kept.tries),
        )
    return table
