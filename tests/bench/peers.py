"""What other programs make of the same clusters, scored by our exact objective: like for like."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY
from balancer.domain.placement import Placement
from balancer.domain.units import gib
from balancer.domain.violation import TOLERANCE, hard_excess
from balancer.policy import Policy
from tests.bench import ganeti
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.limited import Ran, run_limited
from tests.bench.wishes import Wish

SECONDS_TO_BUILD = 60  # what the full model may take to be built, and to stop, on top of what its solver may take


@dataclass(frozen=True)
class Answer:
    """What a peer wants: where guests go, and how many moves it takes; one guest may move twice."""

    placement: Placement
    moves: int


@dataclass(frozen=True)
class Peer:
    """Another program: how it is called in tables, and how it is asked."""

    name: str
    ask: Callable[[BenchCase, Wish, int], tuple[Ran, Answer | None]]
    missing: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class PeerTask:
    """One cluster that is given to one peer. What it makes of it is scored under each wish; it is told the first."""

    case: BenchCase
    peer: str
    wishes: tuple[Wish, ...]
    most_cpu_seconds: int

    def __str__(self) -> str:
        return f"{self.case}, seed {self.case.seed}, {self.peer}"


@dataclass(frozen=True)
class Scored:
    """What a placement is worth under our objective."""

    objective: float
    moves: int
    gib: float
    hosts_on: int
    cpu_deviation: float
    memory_deviation: float
    excess: float  # 0: it keeps all hard promises

    @property
    def is_legal(self) -> bool:
        return self.excess <= TOLERANCE


@dataclass(frozen=True)
class PeerMeasured:
    """What a peer made of a cluster, by the name of the wish, nothing where it had no answer; and what it took."""

    task: PeerTask
    scored: Mapping[str, Scored]
    cpu_seconds: float
    peak_mib: float
    why_none: str = ""


def ask_peer(task: PeerTask) -> PeerMeasured:
    """Let a peer work on a cluster, within its limit of CPU time, and score its answer."""
    peer = PEERS[task.peer]
    if missing := peer.missing():
        return PeerMeasured(task, {}, 0.0, 0.0, missing)
    ran, answer = peer.ask(task.case, task.wishes[0], task.most_cpu_seconds)
    if answer is None:
        return PeerMeasured(task, {}, ran.cpu_seconds, ran.peak_mib, f"no answer in {ran.cpu_seconds:.0f} CPU s")
    cluster = cluster_of(task.case)
    scores = {wish.name: scored(answer, cluster, wish.policy(task.case)) for wish in task.wishes}
    return PeerMeasured(task, scores, ran.cpu_seconds, ran.peak_mib)


def scored(answer: Answer, cluster: Cluster, policy: Policy) -> Scored:
    """Score what a peer wants by the exact objective, and by the checkers."""
    later = answer.placement.applied_to(cluster)
    guests = {move.vm for move in answer.placement.moves_from(cluster)}
    return Scored(
        objective=policy.score(cluster, later),
        moves=answer.moves,
        gib=gib(sum(cluster.vm(name).memory_mib for name in guests)),
        hosts_on=sum(host.is_on for host in later.hosts),
        cpu_deviation=later.imbalance(CPU),
        memory_deviation=later.imbalance(MEMORY),
        excess=hard_excess(policy.violations(later)),
    )


# -- Ganeti


def _ganeti(command: Sequence[str]) -> Callable[[BenchCase, Wish, int], tuple[Ran, Answer | None]]:
    def ask(case: BenchCase, _: Wish, most_cpu_seconds: int) -> tuple[Ran, Answer | None]:
        cluster = cluster_of(case)
        with tempfile.TemporaryDirectory() as directory:
            data = Path(directory) / "cluster.data"
            data.write_text(ganeti.text_data(cluster))
            ran = run_limited([*command, "-t", str(data)], most_cpu_seconds)
        if not ran.has_ended:
            return ran, None
        return ran, Answer(ganeti.placement_in(ran.output, cluster), len(ganeti.moves_in(ran.output)))

    return ask


def _missing(program: str) -> Callable[[], str]:
    return lambda: "" if ganeti.is_installed(program) else ganeti.NOT_INSTALLED


# -- the textbook model


def _full_model(solver: str) -> Callable[[BenchCase, Wish, int], tuple[Ran, Answer | None]]:
    def ask(case: BenchCase, wish: Wish, most_cpu_seconds: int) -> tuple[Ran, Answer | None]:
        which = ["--hosts", case.hosts, "--vms", case.vms, "--seed", case.seed, "--wish", wish.name]
        how = ["--solver", solver, "--seconds", most_cpu_seconds]
        command = [sys.executable, "-m", "tests.bench.full_model", *map(str, [*which, *how])]
        ran = run_limited(command, most_cpu_seconds + SECONDS_TO_BUILD)
        lines = ran.output.splitlines()
        found = json.loads(lines[-1]) if ran.has_ended and lines else None
        if found is None:
            return ran, None
        placement = Placement(found["homes"], frozenset(found["on"]))
        return ran, Answer(placement, len(placement.moves_from(cluster_of(case))))

    return ask


HBAL, HBAL_FINE, HBAL_30, HSQUEEZE = "hbal", "hbal -g1e-5", "hbal -l 30", "hsqueeze"
FULL_CBC, FULL_HIGHS = "PuLP V x H, CBC", "PuLP V x H, HiGHS"

PEERS = {
    peer.name: peer
    for peer in (
        Peer(HBAL, _ganeti(ganeti.hbal()), _missing("hbal")),
        Peer(HBAL_FINE, _ganeti(ganeti.hbal("-g1e-5")), _missing("hbal")),
        # The limit is to end it, not the gain of a step.
        Peer(HBAL_30, _ganeti(ganeti.hbal("-g1e-5", "-l30")), _missing("hbal")),
        Peer(HSQUEEZE, _ganeti(ganeti.hsqueeze()), _missing("hsqueeze")),
        Peer(FULL_CBC, _full_model("cbc")),
        Peer(FULL_HIGHS, _full_model("highs")),
    )
}
