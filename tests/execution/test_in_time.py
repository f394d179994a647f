"""Twenty moves take little longer than the busiest host needs for its own, with every slot of it in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from balancer.domain.placement import Move
from balancer.execution import Limits
from balancer.planning.least_time import shared_out
from balancer.planning.order import order
from balancer.simulation.machines import GuestSpec, constantly
from tests.execution.stage import build, move

MOVES, SLOTS = 20, 2
MIB_PER_S, WRITES_MIB_PER_S = 25.0, 5.0
SIZES_MIB = (256, 512, 1024, 2048, 4096)  # 13 s to 3.5 min


Ends = Callable[[Random, Sequence[str]], tuple[str, str]]


def anywhere(random: Random, hosts: Sequence[str]) -> tuple[str, str]:
    source, target = random.sample(hosts, 2)
    return source, target


def out_of_one(random: Random, hosts: Sequence[str]) -> tuple[str, str]:
    return hosts[0], random.choice(hosts[1:])


# With eight hosts each has few moves, which are not divided: seed 7 leaves its busiest host three long ones.
@pytest.mark.parametrize(("ends", "hosts"), [(anywhere, 4), (out_of_one, 4), (anywhere, 8)])
@pytest.mark.parametrize("seed", [0, 4, 6, 7])
def test_twenty_moves_end_within_a_seventh_of_what_the_busiest_host_needs(
    tmp_path: Path, seed: int, ends: Ends, hosts: int
) -> None:
    random, names = Random(seed), [f"h{number}" for number in range(1, hosts + 1)]
    stage = build(tmp_path, {host: [] for host in names}, migration_mib_per_s=250)
    mib = {f"g{number:02}": random.choice(SIZES_MIB) for number in range(MOVES)}
    wanted = [Move(vm, *ends(random, names)) for vm in mib]
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
    busy: dict[str, list[float]] = defaultdict(list)
    for each in wanted:
        busy[each.source].append(seconds[each.vm])
        busy[each.target].append(seconds[each.vm])
    assert took <= 1.15 * max(shared_out(its_own, SLOTS) for its_own in busy.values())
