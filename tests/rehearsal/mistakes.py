"""Two small records, and careful policies beside ones with a mistake that is made in practice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from balancer.domain.rehearsal_file import RehearsalFile
from balancer.domain.rehearsed import Rehearsed
from balancer.formats import read_text
from balancer.policy import Policy
from balancer.rehearsal import Rehearsal
from balancer.simulation.laying import Laid, laid_on
from balancer.simulation.traces.base import Trace, TracedGuest

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
SITE = """schema: balancer.rehearsal/1
name: three
migration_mib_per_s: 1000
hosts: [{count: 3, models: [{model: m, cpu_cores: 8, memory_mib: 16384, power: {watts: [100, 200], off_watts: 5}}]}]
guests: {otherwise: {cores: 4, memory_mib: 2048}}
empty_hosts_start: "on"
"""
CAREFUL = """schema: balancer.policy/1
name: careful
interval_seconds: 300
headroom: {cpu: 0.75, memory: 0.95}
objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.05}}
stability: {hold_minutes: 0, sleep_after_minutes: 0, cooldown_minutes: 0, host_cooldown_minutes: 0,
            no_return_minutes: 0, minimum_gain: 0.0001}
power: {cycles_per_day: null}
demand: {window_minutes: 5, quantile: 0.95}
effort: {iterations: 2000, nodes: 50}
constraints: [{kind: reserve, name: one-may-fail, host_failures: 1}]
"""
RESERVE = "constraints: [{kind: reserve, name: one-may-fail, host_failures: 1}]\n"
ROOMY = CAREFUL.replace(RESERVE, "")
NIGHT = (0.5, 0.6, 0.5, 0.6, 0.5, 0.5, 1.9, 1.9, 0.6, 0.5, 0.5, 0.6)
OFFICE = (1.0, 1.0, 1.1, 1.0, 1.0, 1.4, 1.4, 1.0, 1.0, 1.1)


@dataclass(frozen=True)
class Mistake:
    """A mistake in a policy, the figure that shows it, and the setting that is its cause, also in words."""

    right: str
    wrong: str
    needs: tuple[float, ...]
    figure: str
    cause: str
    in_words: str


MISTAKES = {
    "no reserve": Mistake(
        CAREFUL,
        ROOMY,
        NIGHT,
        "host steps short of CPU",
        "constraints.reserve.one-may-fail",
        "room for the guests of a lost host, which a rise finds too",
    ),
    "moves are free": Mistake(
        CAREFUL,
        CAREFUL.replace("few_moves: {weight: 0.05}", "few_moves: {weight: 0}"),
        NIGHT,
        "migrations a guest a day",
        "objectives.few_moves.weight",
        "the price of a move: at 0 any gain pays for one",
    ),
    "no headroom": Mistake(
        ROOMY,
        ROOMY.replace("cpu: 0.75", "cpu: 0.99"),
        OFFICE,
        "host steps short of CPU",
        "headroom.cpu",
        "how full a host may be expected to get: the rest is left for a rise",
    ),
}


def record(needs: tuple[float, ...]) -> Laid:
    """Six guests that need the same by step and take turns at needing a little more."""
    rows = [[need + 0.3 * ((step + guest) % 3 == 0) for guest in range(6)] for step, need in enumerate(needs)]
    guests = tuple(TracedGuest(f"g{place}") for place in range(6))
    trace = Trace("small", MIDNIGHT, guests, np.array(rows, dtype=np.float32))
    return laid_on(trace, read_text(SITE, RehearsalFile, "site"))


@cache
def lived(text: str, needs: tuple[float, ...], name: str = "careful") -> Rehearsed:
    """Live through a record by a policy that acts."""
    acting = text.replace("name: careful", f"name: {name}").replace("interval", "mode: act\ninterval")
    with TemporaryDirectory() as folder:
        return Rehearsal(record(needs), read_text(acting, Policy, name), Path(folder)).run()
