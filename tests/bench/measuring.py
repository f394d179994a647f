"""Make and verify one plan, and say what it is worth and what it took."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from balancer.solving.workers import seconds_spent_in_children
from tests.bench.clusters import BenchCase, cluster_of, policy_of
from tests.bench.rules import Weights

KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Wish:
    """A weighting that people know by a name."""

    name: str
    weights: Weights


BALANCE = Wish("balance", Weights(even_load=1.0, least_power=0.0, few_moves=0.02))
BOTH = Wish("both", Weights(even_load=0.3, least_power=1.0, few_moves=0.02))
FEWEST = Wish("fewest", Weights(even_load=0.0, least_power=1.0, few_moves=0.02))
WISHES = (BALANCE, BOTH, FEWEST)

WARM_UP = BenchCase(hosts=2, vms=8)


@dataclass(frozen=True)
class Task:
    """One plan to make; `is_verified` where its proof is asked for as well."""

    case: BenchCase
    wish: Wish
    is_verified: bool = True

    def __str__(self) -> str:
        return f"{self.case}, seed {self.case.seed}, {self.wish.name}"


@dataclass(frozen=True)
class Measured:
    """What one plan is worth, and what it took. None stands for what is not defined, or was not asked for."""

    task: Task
    norm_gap: float | None
    is_proved_optimal: bool
    objective: float
    moves: int
    gib: float
    hosts_on_before: int
    hosts_on_after: int
    cpu_deviation: float
    memory_deviation: float
    cpu_seconds: float
    peak_mib: float
    run_over_least: float | None
    verify_seconds: float | None
    faults: tuple[str, ...]


def measure(task: Task) -> Measured:
    """Measure one task. Run it in a process of its own: the peak of memory is the whole process's."""
    _warm_up(task.wish)
    cluster, policy = cluster_of(task.case), policy_of(task.case, task.wish.weights)
    before = _cpu_seconds()
    plan = make_plan(cluster, policy)
    cpu_seconds, peak_mib = _cpu_seconds() - before, _peak_mib()
    verify_seconds, objections = _verified(plan, cluster, policy) if task.is_verified else (None, ())
    unmet = tuple(f"{unmet.promise}: {unmet.why}" for unmet in plan.unmet)
    return _measured(task, plan, cpu_seconds, peak_mib, verify_seconds, (*objections, *unmet))


def _warm_up(wish: Wish) -> None:
    # What a service pays once, imports above all, is not what a decision takes.
    make_plan(cluster_of(WARM_UP), policy_of(WARM_UP, wish.weights))


def _verified(plan: Plan, cluster: Cluster, policy: Policy) -> tuple[float, tuple[str, ...]]:
    before = _cpu_seconds()
    objections = verify(plan, cluster, policy)
    return _cpu_seconds() - before, tuple(map(str, objections))


def _measured(
    task: Task,
    plan: Plan,
    cpu_seconds: float,
    peak_mib: float,
    verify_seconds: float | None,
    faults: tuple[str, ...],
) -> Measured:
    summary = plan.summary
    least = summary.seconds_at_least
    return Measured(
        task=task,
        norm_gap=summary.gap,
        is_proved_optimal=summary.proved_optimal,
        objective=summary.objective_after,
        moves=summary.moves,
        gib=summary.gib_to_move,
        hosts_on_before=summary.hosts_on_before,
        hosts_on_after=summary.hosts_on_after,
        cpu_deviation=summary.imbalance_after.cpu,
        memory_deviation=summary.imbalance_after.memory,
        cpu_seconds=cpu_seconds,
        peak_mib=peak_mib,
        run_over_least=summary.seconds_to_run / least if least > 0 else None,
        verify_seconds=verify_seconds,
        faults=faults,
    )


def _cpu_seconds() -> float:
    """Return the CPU time that this process took, its threads and what children worked for it counted in."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime + seconds_spent_in_children()


def _peak_mib() -> float:
    """Return the most memory that this process, or one of its children, has held so far."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usage.ru_maxrss for usage in usages) / KIB_PER_MIB
