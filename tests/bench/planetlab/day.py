"""One recorded day, laid on the hosts that the literature lays it on: 800, every second of them the larger kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from balancer.domain.rehearsal_file import RehearsalFile
from balancer.simulation.laying import Laid, laid_on
from balancer.simulation.traces.planetlab import read_planetlab

MIPS_A_CORE: Final = 1000.0  # hosts differ in what a core of theirs does: all is said in cores of a thousand MIPS
STEPS_AN_HOUR: Final = 12
GIB: Final = 1024.0

# HP ProLiant ML110 G4 and G5 as SPECpower_ssj2008 has them: watts at 0, 10, ... 100 % of their two cores.
G4: Final = ("G4", 2 * 1860.0, (86.0, 89.4, 92.6, 96.0, 99.5, 102.0, 106.0, 108.0, 112.0, 114.0, 117.0))
G5: Final = ("G5", 2 * 2660.0, (93.7, 97.0, 101.0, 105.0, 110.0, 116.0, 121.0, 125.0, 129.0, 133.0, 135.0))
GUESTS: Final = ((2500.0, 870.0), (2000.0, 1740.0), (1000.0, 1740.0), (500.0, 613.0))
"""MIPS and MiB of each fourth of the guests, by name."""


def day_of(path: Path, memory_gib: int, hours: float = 24.0) -> Laid:
    """Read a day and lay it on hosts of so much memory; `hours` cuts it after its beginning."""
    laid = laid_on(read_planetlab(path), hosts_of(memory_gib))
    return replace(laid, name=path.name.partition(".")[0], needs=laid.needs[: round(hours * STEPS_AN_HOUR)])


def hosts_of(memory_gib: int) -> RehearsalFile:
    """Return the rules: strict timing, memory / 62.5 MB/s a migration, a tenth of its CPU on top, boots of 180 s."""
    return RehearsalFile.model_validate(
        {
            "name": f"planetlab-{memory_gib}",
            "hosts": [{"count": 800, "models": [_model(*kind, memory_gib) for kind in (G4, G5)]}],
            "guests": {
                "blocks": [{"cores": mips / MIPS_A_CORE, "memory_mib": mib} for mips, mib in GUESTS],
                "copying_share": 0.10,
            },
            "migration_mib_per_s": 62.5,
        }
    )


def _model(name: str, mips: float, watts: tuple[float, ...], memory_gib: int) -> dict[str, Any]:
    return {
        "model": name,
        "cpu_cores": mips / MIPS_A_CORE,
        "memory_mib": memory_gib * GIB,
        "power": {"watts": list(watts), "off_watts": 0.0},
        "boot_seconds": 180.0,
        "shutdown_seconds": 0.0,
    }
