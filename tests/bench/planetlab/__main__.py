"""`python -m tests.bench.planetlab --traces PATH` measures policies on PlanetLab days: see docs/planetlab.md."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from balancer.halfway import name_of
from balancer.policy import Policy, load_policy
from balancer.rehearsal import Rehearsal, bound_by_step
from balancer.simulation.laying import Laid
from tests.bench.planetlab.baselines import BASELINES
from tests.bench.planetlab.by_hand import live_by
from tests.bench.planetlab.day import day_of
from tests.bench.planetlab.picture import picture_of
from tests.bench.planetlab.result import Result, bars_met, keep, kept_in
from tests.bench.planetlab.table import table_of

HERE = Path(__file__).parent
DAYS = "20110303,20110306,20110412"
WIDE_ENOUGH = 120
JOULES_A_KWH = 3.6e6

Figures = tuple[float, float, float, float]
"""kWh, share of active host steps short, migrations a guest, CPU seconds of sittings before this one."""

Way = Callable[[Laid], Figures]
"""A way to decide, carried through a day."""


def main(words: Sequence[str]) -> int:
    """Measure what is not kept yet, and print all of it."""
    asked = _parser().parse_args(words)
    screen = Console(highlight=False)
    screen.width = max(screen.width, WIDE_ENOUGH)
    results = []
    for result in _measured(asked, screen):
        results.append(result)
        screen.print(table_of([result]), style="dim") if asked.keep is None else None
    screen.print(table_of(results))
    screen.print("\n".join(["Bars that are reached:", *(f"- {line}" for line in bars_met(results) or ["none"])]))
    versions = ", ".join(f"{name} {version(name)}" for name in ("balancer", "highspy", "numpy"))
    cores = len(os.sched_getaffinity(0))
    screen.print(f"Python {platform.python_version()}, {versions}; {cores} cores of {platform.machine()}", style="dim")
    if asked.picture is not None:
        asked.picture.write_text(picture_of(results), "utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.planetlab", description=(__doc__ or "").strip())
    parser.add_argument("--traces", type=Path, required=True, help="directory with planetlab/DAY.tar.xz")
    parser.add_argument("--days", default=DAYS, help=f"default: {DAYS}")
    parser.add_argument("--memory", default="16,32", help="GiB a host, default: 16,32")
    parser.add_argument("--policies", type=Path, nargs="*", help="policy files, default: those beside this program")
    parser.add_argument("--risks", default="", help="each policy also at these risks, such as 0.1%%,1%%,5%%")
    parser.add_argument("--baselines", default=",".join(BASELINES), help="default: all; - for none")
    parser.add_argument("--hours", type=float, default=24.0, help="only the beginning of each day")
    parser.add_argument(
        "--keep",
        type=Path,
        help="file of results: what it has is not measured again",
    )
    parser.add_argument("--picture", type=Path, help="write energy against shortness here, as SVG")
    return parser


def _measured(asked: argparse.Namespace, screen: Console) -> Iterator[Result]:
    known = {result.case: result for result in kept_in(asked.keep)}
    for memory_gib in map(int, asked.memory.split(",")):
        ways = dict(_ways(asked, memory_gib))
        for name in asked.days.split(","):
            path = asked.traces / "planetlab" / f"{name}.tar.xz"
            for who, way in ways.items():
                case = (name, memory_gib, who, asked.hours)
                if case not in known:
                    screen.print(f"{name}, {memory_gib} GiB: {who} ...", style="dim")
                    known[case] = _measure(path, memory_gib, who, asked.hours, way)
                    keep(asked.keep, known[case])
                yield known[case]


def _measure(path: Path, memory_gib: int, who: str, hours: float, way: Way) -> Result:
    laid = day_of(path, memory_gib, hours)
    bound = float(bound_by_step(laid).sum()) * laid.step_seconds / JOULES_A_KWH
    began = cpu_seconds()
    figures = way(laid)
    kwh, share_short, moves_a_guest, before = figures
    return Result(
        laid.name, memory_gib, who, hours, kwh, bound, share_short, moves_a_guest, before + cpu_seconds() - began
    )


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _ways(asked: argparse.Namespace, memory_gib: int) -> Iterator[tuple[str, Way]]:
    for name in asked.baselines.split(","):
        if name in BASELINES:
            yield name, _baseline(name)
    named = asked.policies if asked.policies is not None else sorted(HERE.glob(f"policies/*-{memory_gib}*.yaml"))
    for path in named:
        policy = load_policy(path, "planetlab")
        yield policy.name, _policy(policy, asked.keep)
        for risk in filter(None, asked.risks.split(",")):
            yield f"{policy.name} at {risk}", _policy(_at_risk(policy, risk), asked.keep)


def _at_risk(policy: Policy, risk: str) -> Policy:
    demand = {**policy.demand.model_dump(exclude_unset=True), "risk": risk}
    return policy.model_copy(update={"demand": type(policy.demand).model_validate(demand)})


def _baseline(name: str) -> Way:
    def way(laid: Laid) -> Figures:
        cost = live_by(laid, BASELINES[name])
        return cost.joules / JOULES_A_KWH, cost.short_steps / cost.active_steps, cost.moves / len(laid.guests), 0.0

    return way


def _policy(policy: Policy, kept_in_file: Path | None) -> Way:
    def way(laid: Laid) -> Figures:
        with _folder(laid, policy, kept_in_file) as folder:
            spent = folder / "cpu_seconds"
            before, began = float(spent.read_text()) if spent.exists() else 0.0, cpu_seconds()
            rehearsal = Rehearsal(laid, policy, folder)
            found = rehearsal.run(lambda _done, _of: _note(spent, before + cpu_seconds() - began))
        return found.kwh, found.share_short_of_cpu, found.moves / found.guests, before

    return way


def _note(file: Path, seconds: float) -> None:
    file.write_text(f"{seconds:.1f}")


@contextmanager
def _folder(laid: Laid, policy: Policy, kept_in_file: Path | None) -> Iterator[Path]:
    """Name the folder that a day is lived in: beside what is kept, so that it goes on where it was stopped."""
    if kept_in_file is None:
        with tempfile.TemporaryDirectory(prefix="balancer-planetlab-") as passing:
            yield Path(passing)
        return
    folder = kept_in_file.with_name(f"{kept_in_file.name}.halfway") / name_of(laid, policy, seed=1)
    yield folder
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
