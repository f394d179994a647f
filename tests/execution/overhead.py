"""What the balancer itself costs for each move: `python -m tests.execution.overhead [MOVES]`.

Guests go round a simulated site whose migrations take no time of anybody's; what is measured is looking, checking,
writing down (on a real disk) and settling. Memory is measured by what the interpreter holds.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from balancer.clock import HandSetClock
from balancer.domain.site_file import SiteFile
from balancer.execution import ActingSite, Limits, Runner
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy import Policy
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World
from balancer.site import gate_of
from balancer.store import open_store
from tests.execution.stage import NOON, Stage, anything_goes, move, plan

HOSTS, GUESTS_A_HOST = 20, 15
MOVES = 3000
BATCH = 300  # steps of one plan
LIMITS = Limits(concurrent=32, concurrent_per_host=4, poll_seconds=1.0)


def site_of(folder: Path) -> Stage:
    """Build the site that is measured."""
    clock = HandSetClock(NOON)
    names = [f"h{number:02}" for number in range(HOSTS)]
    world = World(clock, [HostSpec(name, 64, 524288, migration_mib_per_s=100_000) for name in names], "bench")
    for place, name in enumerate(names):
        for number in range(GUESTS_A_HOST):
            world.add_guest(GuestSpec(f"g{place:02}-{number:02}", 2, 1024, constantly(0.5)), name)
    hosts = [{"name": name} for name in names]
    file = SiteFile.model_validate({"cluster": "bench", "platform": {"kind": "simulated"}, "hosts": hosts})
    url = f"sqlite:///{folder}/store.db"
    return Stage(world, clock, ActingSite(file, SimulatedPlatform(world), {}, open_store(url, "bench"), clock), url)


class Timed:
    """The simulated platform, and the seconds that are spent in it: they are not the balancer's."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.wall = self.processor = 0.0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._real, name)

        def timed(*args: Any) -> Any:
            wall, processor = time.perf_counter(), time.process_time()
            try:
                return call(*args)
            finally:
                self.wall += time.perf_counter() - wall
                self.processor += time.process_time() - processor

        return timed


def go_round(stage: Stage, gate: Any) -> None:
    """Move as many guests as a batch has to their next hosts."""
    names = sorted(stage.world.hosts)
    places = stage.places()
    steps = [
        move(vm, home, names[(names.index(home) + 1) % len(names)], memory_mib=1024.0, vm_id=stage.world.id_of(vm))
        for vm, home in list(places.items())[:BATCH]
    ]
    report = Runner(stage.site, plan(*steps, at=stage.clock.now()), gate, LIMITS).run_to_end()
    assert len(report.done) == len(steps), report.sentence


def measure(moves: int, gate: Any) -> tuple[float, float, list[int]]:
    """Return wall and processor milliseconds a move without the platform's own, and the KiB held after some batches."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        stage = site_of(Path(folder))
        timed: Any = Timed(stage.site.platform)
        stage = stage.with_platform(timed)
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(moves // BATCH):
            go_round(stage, gate)
        wall = time.perf_counter() - wall - timed.wall
        processor = time.process_time() - processor - timed.processor
        held = _held(stage, gate)
        stage.store.close()
    return 1000 * wall / moves, 1000 * processor / moves, held


def _held(stage: Stage, gate: Any) -> list[int]:
    tracemalloc.start()
    held = []
    for _ in range(4):
        go_round(stage, gate)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0] // 1024)
    tracemalloc.stop()
    return held


def sync_ms(times: int = 100) -> float:
    """Return how long this disk takes to make one small write durable; each move waits for one."""
    with tempfile.NamedTemporaryFile(prefix="overhead-") as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return 1000 * (time.perf_counter() - began) / times


def main() -> None:
    moves = int(sys.argv[1]) if len(sys.argv) > 1 else MOVES
    print(f"{moves} moves among {HOSTS * GUESTS_A_HOST} guests on {HOSTS} hosts; fsync takes {sync_ms():.1f} ms here")
    for name, gate in {"without promises": anything_goes, "with the default policy": gate_of(Policy().at)}.items():
        wall, processor, held = measure(moves, gate)
        kib = ", ".join(map(str, held))
        print(f"  {name}: {wall:.1f} ms a move, {processor:.1f} of them of the processor; KiB held: {kib}")


if __name__ == "__main__":
    main()
