"""`python -m tests.bench.lasting` says what long rehearsals take: memory, and CPU seconds a day.

Each length in a process of its own, so that the most memory it ever had is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from balancer.domain.plan import Mode
from balancer.domain.rehearsal_file import RehearsalFile
from balancer.formats import read_text
from balancer.policy import load_policy
from balancer.rehearsal import Rehearsal
from balancer.simulation.laying import Laid, laid_on
from balancer.simulation.traces.base import Trace, TracedGuest

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
STEPS_A_DAY = 288
SITE = """schema: balancer.rehearsal/1
name: lasting
migration_mib_per_s: 1000
hosts: [{{count: {hosts}, models: [{{model: m, cpu_cores: 16, memory_mib: 131072, power: {{watts: [100, 250]}}}}]}}]
guests: {{otherwise: {{cores: 4, memory_mib: 8192}}}}
"""
GUESTS_A_HOST = 2  # of which four fit: on average half of the hosts may sleep


@dataclass(frozen=True)
class Lasted:
    """What a rehearsal of some days took."""

    days: float
    mib: float
    cpu_seconds: float
    moves: int

    @property
    def seconds_a_day(self) -> float:
        return self.cpu_seconds / self.days


def record(hosts: int, days: float) -> Laid:
    """Guests with a day and some chance, the same on each day but for the chance."""
    steps, guests = round(days * STEPS_A_DAY), hosts * GUESTS_A_HOST
    hour = np.arange(steps)[:, None] % STEPS_A_DAY / STEPS_A_DAY * 2 * np.pi
    by_chance = np.random.default_rng(7)
    needs = np.clip(1.0 - 0.6 * np.cos(hour) + by_chance.normal(0, 0.2, (steps, guests)), 0.05, 4)
    named = tuple(TracedGuest(f"g{place}") for place in range(guests))
    trace = Trace("lasting", MONDAY, named, needs.astype(np.float32))
    return laid_on(trace, read_text(SITE.format(hosts=hosts), RehearsalFile, "site"))


def lasted(hosts: int, days: float) -> Lasted:
    """Live so long in this process."""
    laid, policy = record(hosts, days), load_policy(Path("power-saver")).in_mode(Mode.ACT)
    begin = time.process_time()
    with TemporaryDirectory() as folder:
        found = Rehearsal(laid, policy, Path(folder)).run()
    most_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Lasted(days, most_kib / 1024, time.process_time() - begin, found.moves)


def in_a_process_of_its_own(hosts: int, days: float) -> Lasted:
    """Live so long in another process."""
    words = [sys.executable, "-m", "tests.bench.lasting", "--alone", "--hosts", str(hosts), "--days", str(days)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return Lasted(**json.loads(said))


def main(words: Sequence[str]) -> int:
    """Print a line for each length as soon as it is known."""
    asked = argparse.ArgumentParser(prog="python -m tests.bench.lasting")
    asked.add_argument("--hosts", type=int, default=80)
    asked.add_argument("--days", type=float, nargs="+", default=[0.5, 1, 2])
    asked.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args(words)
    if given.alone:
        print(json.dumps(asdict(lasted(given.hosts, given.days[0]))))
        return 0
    screen = Console(highlight=False)
    screen.print(f"{given.hosts} hosts, {given.hosts * GUESTS_A_HOST} guests")
    for days in given.days:
        found = in_a_process_of_its_own(given.hosts, days)
        screen.print(
            f"{days:g} days: {found.mib:.0f} MiB, {found.seconds_a_day:.1f} CPU seconds a day, {found.moves} moves"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
