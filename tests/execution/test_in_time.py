"""Twenty moves take little longer than the busiest host needs for its own, with every slot of it in use."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random

import pytest

from balancer.domain.placement import Move
from balancer.execution import Limits
from balancer.planning.order import order
from balancer.simulation.machines import GuestSpec, constantly
from tests.execution.stage import build, move

MOVES, SLOTS = 20, 2
HOSTS = ["h1", "h2", "h3", "h4"]
MIB_PER_S, WRITES_MIB_PER_S = 25.0, 5.0
SIZES_MIB = (256, 512, 1024, 2048, 4096)  # 13 s to 3.5 min


def anywhere(random: Random) -> tuple[str, str]:
    source, target = random.sample(HOSTS, 2)
    return source, target


def out_of_one(random: Random) -> tuple[str, str]:
    return HOSTS[0], random.choice(HOSTS[1:])


@pytest.mark.parametrize("ends", [anywhere, out_of_one], ids=lambda ends: ends.__name__)
@pytest.mark.parametrize("seed", range(5))
def test_twenty_moves_end_within_a_seventh_of_what_the_busiest_host_needs(
    tmp_path: Path, seed: int, ends: object
) -> None:
    random = Random(seed)
    stage = build(tmp_path, {host: [] for host in HOSTS}, migration_mib_per_s=250)
    mib = {f"g{number:02}": random.choice(SIZES_MIB) for number in range(MOVES)}
    wanted = [Move(vm, *ends(random)) for vm in mib]  # type: ignore[operator]
    for each in wanted:
        guest = GuestSpec(each.vm, 2, mib[each.vm], constantly(0.2), dirty_mib_per_s=WRITES_MIB_PER_S)
        stage.world.add_guest(guest, each.source)
    seconds = {vm: memory / (MIB_PER_S - WRITES_MIB_PER_S) for vm, memory in mib.items()}
    planned = order(stage.site.platform.observe(), wanted, (), lambda each: seconds[each.vm], SLOTS)
    steps = [
        move(each.move.vm, each.move.source, each.move.target).model_copy(update={"seconds": seconds[each.move.vm]})
        for each in sorted(planned.timed, key=lambda timed: timed.start)
    ]
    limits = Limits(concurrent=MOVES, concurrent_per_host=SLOTS, bandwidth_mib_per_s=MIB_PER_S)
    began = stage.clock.now()
    report = stage.run(*steps, limits=limits)
    took = (stage.clock.now() - began).total_seconds()
    assert len(report.done) == MOVES, report.sentence

    # Each move keeps a slot at both of its ends for as long as it takes; that is what was foretold, and not less.
    busy: dict[str, float] = defaultdict(float)
    for each in wanted:
        busy[each.source] += seconds[each.vm]
        busy[each.target] += seconds[each.vm]
    assert took <= 1.15 * max(busy.values()) / SLOTS
