"""Turn a schedule into ranked steps: wake before move, move before sleep, best benefit per cost first."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action, Step
from balancer.planning.desk import Timed
from balancer.planning.gains import Gain
from balancer.planning.kinds import Ways
from balancer.stability.payback import SHUTDOWN_SECONDS


@dataclass
class _Draft:
    """Steps that stay adjacent in the ranked list, on their way to becoming it."""

    steps: list[Step]
    worth_per_second: float
    needs: set[str] = field(default_factory=set)


def ranked_steps(
    cluster: Cluster,
    timed: Sequence[Timed],
    gains: Sequence[Gain],
    wake: Mapping[str, str],
    sleep: Mapping[str, str],
    slots_per_host: int,
    ways: Ways,
    sleep_last: bool = False,
) -> tuple[Step, ...]:
    """Return the plan's steps, ranked. `wake` and `sleep` give each host's reason.

    sleep_last: a reserve holds at the end alone, so nothing loses its power before every guest has arrived
    """
    ready, waking = _waking(cluster, wake)
    cordoned, cordons = _cordons(cluster, sleep)
    moves = _move_steps(cluster, timed, gains, ready, cordoned, ways)
    offs = [_power_off(host, why, moves, cordoned, sleep_last) for host, why in sleep.items()]
    drafts = [*waking, *cordons, *_move_drafts(timed, moves, gains), *offs]
    return _with_waves(_renamed(_by_rank(drafts)), slots_per_host)


def _waking(cluster: Cluster, wake: Mapping[str, str]) -> tuple[dict[str, str], list[_Draft]]:
    ready: dict[str, str] = {}
    drafts = []
    for host, why in wake.items():
        seconds = cluster.host(host).boot_seconds
        on = Step(id=f"on {host}", action=Action.POWER_ON, host=host, because=why)
        wait = Step(
            id=f"ready {host}", action=Action.WAIT_READY, host=host, seconds=seconds, depends_on=(on.id,), because=why
        )
        steps = [on, wait]
        if cluster.host(host).cordoned:
            why_open = "it is to take guests again"
            steps.append(
                Step(id=f"open {host}", action=Action.UNCORDON, host=host, depends_on=(wait.id,), because=why_open)
            )
        ready[host] = steps[-1].id
        # Each step of a wake-up is a draft of its own: other steps may run while the host boots.
        drafts += [_Draft([step], float("inf"), set(step.depends_on)) for step in steps]
    return ready, drafts


def _cordons(cluster: Cluster, sleep: Mapping[str, str]) -> tuple[dict[str, str], list[_Draft]]:
    steps = {
        host: Step(id=f"close {host}", action=Action.CORDON, host=host, because="no guest may start here any more")
        for host in sleep
        if not cluster.host(host).cordoned
    }
    return {host: step.id for host, step in steps.items()}, [_Draft([step], 0.0) for step in steps.values()]


def _move_steps(
    cluster: Cluster,
    timed: Sequence[Timed],
    gains: Sequence[Gain],
    ready: Mapping[str, str],
    cordoned: Mapping[str, str],
    ways: Ways,
) -> list[Step]:
    steps: list[Step] = []
    for item, gain in zip(timed, gains, strict=True):
        move, vm = item.move, cluster.vm(item.move.vm)
        way = ways.surely(move)
        needs = [steps[place].id for place in item.after]
        needs += [gate[host] for gate, host in ((ready, move.target), (cordoned, move.source)) if host in gate]
        steps.append(
            Step(
                id=f"move {len(steps)}",
                action=Action.MOVE,
                vm=move.vm,
                vm_id=vm.id,
                source=move.source,
                target=move.target,
                kind=way.kind,
                options=way.options,
                why_so=way.because if vm.is_active else "",
                seconds=round(way.cost.seconds, 3),
                downtime_ms=round(way.cost.downtime_ms, 1),
                memory_mib=vm.memory_mib,
                copied_mib=round(way.cost.mib, 1),
                modelled_mib=round(way.cost.modelled_mib, 1),
                link_mib_per_s=way.cost.link_mib_per_s,
                depends_on=tuple(needs),
                because=gain.because,
            )
        )
    return steps


def _move_drafts(timed: Sequence[Timed], steps: Sequence[Step], gains: Sequence[Gain]) -> list[_Draft]:
    units: dict[str, _Draft] = {}
    for item, step, gain in zip(timed, steps, gains, strict=True):
        draft = units.setdefault(item.unit, _Draft([], 0.0))
        draft.steps.append(step)
        draft.needs |= set(step.depends_on)
        draft.worth_per_second += gain.worth / max(step.seconds, 0.1)
    return list(units.values())


def _power_off(host: str, why: str, moves: Sequence[Step], cordoned: Mapping[str, str], sleep_last: bool) -> _Draft:
    needs = [step.id for step in moves if step.source == host or sleep_last]
    needs += [cordoned[host]] if host in cordoned else []
    step = Step(
        id=f"off {host}",
        action=Action.POWER_OFF,
        host=host,
        how="soft",
        seconds=SHUTDOWN_SECONDS,
        depends_on=tuple(needs),
        because=why,
    )
    return _Draft([step], float("inf"), set(needs))


def _by_rank(drafts: list[_Draft]) -> list[Step]:
    """Order by benefit per cost, what a step depends on before it; what a worthy step waits for inherits its worth."""
    home = {step.id: place for place, draft in enumerate(drafts) for step in draft.steps}
    needs = [{home[need] for need in draft.needs} - {place} for place, draft in enumerate(drafts)]
    worth = [draft.worth_per_second for draft in drafts]
    waiting_for: dict[int, list[int]] = defaultdict(list)
    for place, wanted in enumerate(needs):
        for need in wanted:
            waiting_for[need].append(place)
    for place in reversed(_topological(needs, waiting_for)):
        if worth[place] != float("inf"):
            later = [worth[other] for other in waiting_for[place] if worth[other] != float("inf")]
            worth[place] = max([worth[place], *later])
    open_needs = [len(wanted) for wanted in needs]
    heap = [(-worth[place], place) for place, count in enumerate(open_needs) if count == 0]
    heapq.heapify(heap)
    ranked: list[Step] = []
    while heap:
        _, place = heapq.heappop(heap)
        ranked += drafts[place].steps
        for other in waiting_for[place]:
            open_needs[other] -= 1
            if open_needs[other] == 0:
                heapq.heappush(heap, (-worth[other], other))
    return ranked


def _topological(needs: Sequence[set[int]], waiting_for: Mapping[int, list[int]]) -> list[int]:
    left = [len(wanted) for wanted in needs]
    ready = [place for place, count in enumerate(left) if count == 0]
    for place in ready:
        for other in waiting_for.get(place, ()):
            left[other] -= 1
            if left[other] == 0:
                ready.append(other)
    return ready


def _renamed(ranked: Sequence[Step]) -> list[Step]:
    """Give steps the short ids by which people speak of them: s1 is the first in rank."""
    short = {step.id: f"s{rank}" for rank, step in enumerate(ranked, start=1)}
    return [
        step.model_copy(
            update={
                "id": short[step.id],
                "rank": rank,
                "depends_on": tuple(sorted((short[need] for need in step.depends_on), key=lambda s: int(s[1:]))),
            }
        )
        for rank, step in enumerate(ranked, start=1)
    ]


def _with_waves(ranked: Sequence[Step], slots_per_host: int) -> tuple[Step, ...]:
    """Put each step into the earliest wave after all that it depends on in which its hosts have a free slot."""
    wave: dict[str, int] = {}
    moving: dict[tuple[str, int], int] = defaultdict(int)
    for step in ranked:
        earliest = 1 + max((wave[need] for need in step.depends_on), default=0)
        if step.is_move:
            while any(moving[host, earliest] >= slots_per_host for host in step.hosts):
                earliest += 1
            for host in step.hosts:
                moving[host, earliest] += 1
        wave[step.id] = earliest
    return tuple(step.model_copy(update={"wave": wave[step.id]}) for step in ranked)
