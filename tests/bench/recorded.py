"""`python -m tests.bench.recorded` says how much room recorded history takes: see docs/rehearsal.md.

Guests with needs that change by chance, which packs worst, one move of each a day; the second day counts, because the
first holds what is written once.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.vm import Vm
from balancer.history.embedded import EmbeddedHistory

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
DAY_SECONDS = 86_400
GUESTS_A_HOST = 20
LOOKS_APART = (300, 60)
SIZES = (20, 200)


def bytes_a_guest_day(guests: int, seconds: int, folder: Path) -> float:
    """Record two days of looks that are so far apart, and return what the second one has added by guest."""
    history, by_chance = EmbeddedHistory(folder / "history.db"), random.Random(7)
    sizes = []
    for day in (1, 2):
        for at in range((day - 1) * DAY_SECONDS + seconds, day * DAY_SECONDS + 1, seconds):
            history.record(_seen(guests, at, by_chance))
        sizes.append(history.size_bytes())
    history.close()
    return (sizes[1] - sizes[0]) / guests


def _seen(guests: int, at: int, by_chance: random.Random) -> Cluster:
    """Return what is seen at a time: by then each guest has moved once for each day that is over for it."""
    hosts = -(-guests // GUESTS_A_HOST)
    moved = [(at + place * DAY_SECONDS // guests) // DAY_SECONDS for place in range(guests)]
    return Cluster(
        taken_at=MIDNIGHT + timedelta(seconds=at),
        cluster="recorded",
        hosts=tuple(
            Host(name=f"h{place}", cpu_cores=64, memory_mib=524_288, cpu_used_cores=by_chance.uniform(1, 60))
            for place in range(hosts)
        ),
        vms=tuple(
            Vm(
                name=f"g{place}",
                host=f"h{(place + moved[place]) % hosts}",
                vcpus=4,
                memory_mib=4096,
                cpu_used_cores=by_chance.uniform(0, 4),
                memory_used_mib=by_chance.uniform(500, 4000),
                cpu_wait_share=by_chance.uniform(0, 0.05),
            )
            for place in range(guests)
        ),
    )


def main(words: Sequence[str]) -> int:
    """Print a table, a line for each number of guests."""
    table = Table("guests", *(f"a look each {seconds} s" for seconds in LOOKS_APART), title="bytes a guest a day")
    for guests in [int(word) for word in words] or SIZES:
        cells = []
        for seconds in LOOKS_APART:
            with TemporaryDirectory() as folder:
                cells.append(f"{bytes_a_guest_day(guests, seconds, Path(folder)):,.0f}")
        table.add_row(f"{guests}", *cells)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
