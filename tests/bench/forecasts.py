"""`python -m tests.bench.forecasts --traces PATH` measures forecasts on recorded guests: see docs/demand.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console
from rich.table import Table

from balancer.demand.diary import SLOTS, SLOTS_A_DAY, Diary, Floats, slot_of
from balancer.demand.expecting import expected
from balancer.demand.forecast import HORIZONS, Forecaster
from balancer.demand.methods import levels
from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.vm import Vm
from balancer.history.base import no_readings
from balancer.policy import Policy
from tests.bench import calibration
from tests.bench.asking import BEGIN, diary_at, moment
from tests.bench.traces import Trace, traces_in

SHARES = (0.5, 0.9, 0.95, 0.99)
OURS = "balancer"
LAST_DAY = SLOTS_A_DAY


@dataclass
class Loss:
    """Pinball loss by share, in thousandths of a vCPU, and how often the need was not above the quantile."""

    total: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SHARES)))
    covered: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SHARES)))
    tries: int = 0

    def add(self, happened: Floats, quantiles: Sequence[Floats], vcpus: npt.NDArray[np.float64]) -> None:
        known = ~np.isnan(happened)
        for place, (share, quantile) in enumerate(zip(SHARES, quantiles, strict=True)):
            over = (happened - quantile)[known] / vcpus[known]
            self.total[place] += np.maximum(share * over, (share - 1) * over).sum()
            self.covered[place] += (over <= 1e-7).sum()
        self.tries += int(known.sum())

    @property
    def by_share(self) -> npt.NDArray[np.float64]:
        return 1000 * self.total / self.tries

    @property
    def mean(self) -> float:
        return float(self.by_share.mean())


def losses(trace: Trace) -> Mapping[tuple[str, str], Loss]:
    """Forecast each guest from each moment that is tried, by every method, and add up the losses by horizon."""
    found: dict[tuple[str, str], Loss] = defaultdict(Loss)
    vcpus = np.array(trace.vcpus, dtype=float)
    longest = max(HORIZONS.values())
    for now in range(trace.tried_from, len(trace.cores) - longest, trace.stride):
        diary, there = diary_at(trace, now)
        forecaster = Forecaster(diary, diary.keys, [trace.vcpus[column] for column in there], moment(now))
        for horizon, ahead in HORIZONS.items():
            happened = trace.cores[now + ahead, there]
            forecast = forecaster.at(horizon)
            ours = forecaster.quantiles(forecast, SHARES)
            happened = np.where(np.isnan(ours[0]), np.nan, happened)
            found[OURS, horizon].add(happened, ours, vcpus[there])
            for name, quantiles in baselines(trace.cores[: now + 1, there], ahead):
                found[name, horizon].add(happened, quantiles, vcpus[there])
    return found


def baselines(cores: Floats, ahead: int) -> Iterator[tuple[str, list[Floats]]]:
    """Yield simple methods, each with the quantiles of the errors that it made itself in the last day."""
    recent = cores[-2 * SLOTS_A_DAY - ahead :]
    known = levels(recent)
    for name, level in (("naive", known["as now"]), ("ewma", known["hour"])):
        errors = recent[ahead:] - level[:-ahead]
        yield name, _with_errors(level[-1], errors[-LAST_DAY:])
    if len(cores) > LAST_DAY:
        point = cores[len(cores) - 1 + ahead - LAST_DAY]
        point = np.where(np.isnan(point), known["as now"][-1], point)
        errors = (cores[LAST_DAY:] - cores[:-LAST_DAY])[-LAST_DAY:]
        yield "seasonal naive", _with_errors(point, errors)


def _with_errors(point: Floats, errors: Floats) -> list[Floats]:
    quantiles = np.nan_to_num(np.nanquantile(np.where(np.isnan(errors).all(0), 0.0, errors), SHARES, axis=0))
    return [np.maximum(point + error, 0.0) for error in quantiles]


def table_of(trace: Trace, found: Mapping[tuple[str, str], Loss]) -> Table:
    """Return pinball losses by method and horizon; the least is bold."""
    table = Table(box=box.MARKDOWN, title=f"{trace.name}: pinball loss, thousandths of a vCPU")
    for name in ("horizon", "method", *(f"q {share:g}" for share in SHARES), "mean", "covered"):
        table.add_column(name, justify="left" if name in {"horizon", "method"} else "right", no_wrap=True)
    for horizon in HORIZONS:
        rows = {name: loss for (name, of), loss in found.items() if of == horizon}
        best = min(loss.mean for loss in rows.values())
        for name, loss in sorted(rows.items(), key=lambda row: row[1].mean):
            mean = f"{loss.mean:.3f}" + (" *" if loss.mean == best else "  ")
            covered = " ".join(f"{share:.3f}" for share in loss.covered / loss.tries)
            table.add_row(horizon, name, *(f"{value:.3f}" for value in loss.by_share), mean, covered)
    return table


def seconds_for(guests: int) -> float:
    """Return the CPU seconds that one cycle's forecasts of so many guests take, all horizons and the risk."""
    chance = np.random.default_rng(1)
    names = [f"vm{number}" for number in range(guests)]
    hosts = tuple(Host(name=f"h{number}", cpu_cores=256.0, memory_mib=1e6) for number in range(max(1, guests // 50)))
    vms = tuple(
        Vm(name=name, host=hosts[place % len(hosts)].name, vcpus=4, memory_mib=1024.0, cpu_used_cores=1.0)
        for place, name in enumerate(names)
    )
    cluster = Cluster(taken_at=BEGIN, cluster="bench", hosts=hosts, vms=vms)
    cores = chance.random((SLOTS, guests), dtype=np.float32) * 2
    diary = Diary(tuple(names), slot_of(BEGIN), cores)
    read = no_readings()
    began = time.process_time()
    expected(read, diary, cluster, Policy.model_validate({"demand": {"risk": "0.1%"}}).demand)
    return time.process_time() - began


def main(words: Sequence[str]) -> int:
    """Measure and print; exit 1 where a simple method is better than ours."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecasts", description=(__doc__ or "").strip())
    parser.add_argument("--traces", type=Path, required=True, help="directory with planetlab/ and bitbrains-small/")
    screen = Console(highlight=False)
    screen.width = max(screen.width, 120)
    beaten = False
    for trace in traces_in(parser.parse_args(words).traces):
        found = losses(trace)
        screen.print(table_of(trace, found))
        screen.print(calibration.table_of(trace, calibration.calibration(trace)))
        beaten |= any(loss.mean < found[OURS, of].mean for (_, of), loss in found.items())
    for guests in (1_000, 10_000):
        screen.print(f"{guests} guests are forecast in {seconds_for(guests):.2f} CPU s", style="dim")
    return 1 if beaten else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
