"""`python -m tests.bench.monday` lives the embedded site's Monday morning at a risk and without: see docs/demand.md."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console

from balancer.demand.diary import SLOT_SECONDS, SLOTS, Diary, slot_of
from balancer.domain.plan import Mode
from balancer.embedded import MIDNIGHT, EmbeddedDay, embedded_default_policy, the_embedded_site
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy import Policy, load_policy
from balancer.simulation.world import World
from balancer.site import Site

UNTIL = MIDNIGHT + timedelta(hours=10)
BETWEEN_SAMPLES = timedelta(minutes=2)
STEPS = 50_000


class SampledDay(EmbeddedDay):
    """A day in which it is looked every two minutes whether guests get the CPU that they want."""

    samples = short = 0
    cores_lacking = 0.0

    breath = BETWEEN_SAMPLES

    def _breathe(self) -> None:
        world = world_of(self._site)
        with world.settled():
            for host in world.hosts.values():
                cpu = world.cpu_on(host)
                self.samples += host.answers
                if host.answers and cpu.share_given < 1.0:
                    self.short += 1
                    self.cores_lacking += cpu.used_cores * (1.0 / cpu.share_given - 1.0)


def world_of(site: Site) -> World:
    platform = site.acting.platform
    assert isinstance(platform, SimulatedPlatform)
    return platform._world


def nine_days_of(site: Site) -> Diary:
    """Return what the guests needed in the days before, as their own curves have it."""
    last = slot_of(MIDNIGHT)
    moments = [datetime.fromtimestamp((last - SLOTS + 1 + row) * SLOT_SECONDS, UTC) for row in range(SLOTS)]
    keys = {vm.name: vm.key for vm in site.look().vms}
    guests = [guest.spec for guest in world_of(site).guests.values()]
    cores = np.array([[guest.load(moment) for moment in moments] for guest in guests], dtype=np.float32).T
    return Diary(tuple(keys[guest.name] for guest in guests), last, cores)


def power_saver(risk: float | None) -> Policy:
    """Return the ready policy, with the embedded site's promises and a search that ends soon."""
    ready = load_policy(Path("power-saver")).in_mode(Mode.ACT)
    changes = {
        "constraints": embedded_default_policy().constraints,
        "demand": ready.demand.model_copy(update={"risk": risk}),
        "effort": ready.effort.model_copy(update={"iterations": STEPS}),
    }
    return ready.model_copy(update=changes)


def lived(risk: float | None, knows_the_past: bool) -> str:
    """Live the morning; return what it saved and whether guests suffered."""
    with the_embedded_site(MIDNIGHT) as site:
        if knows_the_past:
            site._diary = nine_days_of(site)
        day = SampledDay(site, power_saver(risk), Console(file=io.StringIO()), pace_seconds=0)
        day.live(UNTIL)
        energy = day.ledger.energy
        saved = 1 - energy.kwh / energy.kwh_all_on
        return (
            f"{saved:.1%} saved, {day.ledger.moves} moves; short of CPU: {day.short} of {day.samples} samples, "
            f"{day.cores_lacking:.1f} cores lacking in all"
        )


def main() -> int:
    """Print a line for each way to expect."""
    for name, risk, knows_the_past in (
        ("quantile alone", None, False),
        ("risk 0.1 %, no past", 0.001, False),
        ("risk 0.1 %, nine days", 0.001, True),
    ):
        print(f"{name}: {lived(risk, knows_the_past)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
