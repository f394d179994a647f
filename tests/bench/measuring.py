"""Make and verify one plan, make the next one after it, and say what it is worth and what it took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, HostState
from balancer.domain.plan import Plan
from balancer.domain.units import gib
from balancer.domain.violation import TOLERANCE
from balancer.planning import drafting, make_plan, verify
from balancer.planning.question import ask
from balancer.policy import Policy
from balancer.solving import Decision, Problem, find_placement
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.taking import taken_so_far
from tests.bench.wishes import BALANCE, BOTH, FEWEST, WISHES, Wish

__all__ = ["BALANCE", "BOTH", "FEWEST", "WISHES", "Measured", "Task", "Wish", "measure"]

PLANNED_VMS = 10_000  # the order of a plan of tens of thousands of moves takes longer than anybody waits
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
    """What one plan is worth, and what it took. None stands for what is not defined, or was not asked for.

    decision_seconds: CPU seconds of the decision, model and search; cpu_seconds are those of the whole plan
    """

    task: Task
    norm_gap: float | None
    is_proved_optimal: bool
    objective_now: float
    objective: float
    bound: float | None
    moves: int
    gib: float
    hosts_on_before: int
    hosts_on_after: int
    cpu_deviation: float
    memory_deviation: float
    decision_seconds: float
    cpu_seconds: float
    peak_mib: float
    child_mib: float
    run_over_least: float | None
    steps_again: int | None
    verify_seconds: float | None
    faults: tuple[str, ...]


def measure(task: Task) -> Measured:
    """Measure one task. Run it in a process of its own: the peak of memory is the whole process's."""
    _warm_up(task.wish)
    cluster, policy = cluster_of(task.case), task.wish.policy(task.case)
    return _plan(task, cluster, policy) if task.case.vms <= PLANNED_VMS else _decision(task, cluster, policy)


def _decision(task: Task, cluster: Cluster, policy: Policy) -> Measured:
    """Measure the decision alone: where guests are to be and which hosts stay on, not how to get there."""
    problem = ask(cluster, policy).problem
    before = taken_so_far()
    decision = find_placement(problem)
    after = taken_so_far()
    moves, on = decision.placement.moves_from(cluster), decision.placement.on
    later = cluster.after(*moves).with_hosts(HostState.STANDBY, *(h.name for h in cluster.hosts if h.name not in on))
    worse = decision.excess > decision.excess_now + TOLERANCE
    return Measured(
        task=task,
        norm_gap=decision.gap,
        is_proved_optimal=decision.proved_optimal,
        objective_now=decision.objective_now,
        objective=decision.objective,
        bound=decision.bound,
        moves=len(moves),
        gib=gib(sum(cluster.vm(move.vm).memory_mib for move in moves)),
        hosts_on_before=sum(host.is_on for host in cluster.hosts),
        hosts_on_after=len(on),
        cpu_deviation=later.imbalance(CPU),
        memory_deviation=later.imbalance(MEMORY),
        decision_seconds=after.cpu_seconds - before.cpu_seconds,
        cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        peak_mib=after.own_mib,
        child_mib=after.child_mib,
        run_over_least=None,
        steps_again=None,
        verify_seconds=None,
        faults=(f"promises are broken by {decision.excess:g}, were by {decision.excess_now:g}",) if worse else (),
    )


def _plan(task: Task, cluster: Cluster, policy: Policy) -> Measured:
    before = taken_so_far()
    with decisions_timed() as decisions:
        plan = make_plan(cluster, policy)
    after = taken_so_far()
    verify_seconds, objections = _verified(plan, cluster, policy) if task.is_verified else (None, ())
    # A budget is spent, and the next cycle has another one: only what is not limited has to come to rest at once.
    steps_again = _steps_again(plan, cluster, policy) if task.wish.most_moves is None else None
    summary = plan.summary
    least = summary.seconds_at_least
    return Measured(
        task=task,
        norm_gap=summary.gap,
        is_proved_optimal=summary.proved_optimal,
        objective_now=summary.objective_before,
        objective=summary.objective_after,
        bound=summary.objective_bound,
        moves=summary.moves,
        gib=summary.gib_to_move,
        hosts_on_before=summary.hosts_on_before,
        hosts_on_after=summary.hosts_on_after,
        cpu_deviation=summary.imbalance_after.cpu,
        memory_deviation=summary.imbalance_after.memory,
        decision_seconds=sum(decisions),
        cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        peak_mib=after.own_mib,
        child_mib=after.child_mib,
        run_over_least=summary.seconds_to_run / least if least > 0 else None,
        steps_again=steps_again,
        verify_seconds=verify_seconds,
        faults=(*objections, *(f"{unmet.promise}: {unmet.why}" for unmet in plan.unmet)),
    )


@contextmanager
def decisions_timed() -> Iterator[list[float]]:
    """Collect the CPU seconds of each decision that a plan asks for."""
    seconds: list[float] = []

    def timed(problem: Problem) -> Decision:
        before = taken_so_far().cpu_seconds
        decision = find_placement(problem)
        seconds.append(taken_so_far().cpu_seconds - before)
        return decision

    with patch.object(drafting, "find_placement", timed):
        yield seconds


def _warm_up(wish: Wish) -> None:
    # What a service pays once, imports above all, is not what a decision takes.
    make_plan(cluster_of(WARM_UP), wish.policy(WARM_UP))


def _verified(plan: Plan, cluster: Cluster, policy: Policy) -> tuple[float, tuple[str, ...]]:
    before = taken_so_far().cpu_seconds
    objections = verify(plan, cluster, policy)
    return taken_so_far().cpu_seconds - before, tuple(map(str, objections))


def _steps_again(plan: Plan, cluster: Cluster, policy: Policy) -> int:
    """Return how many steps a plan has that is made once this one is carried out: none, where it was good."""
    return len(make_plan(carried_out(plan, cluster), policy).steps)


def carried_out(plan: Plan, cluster: Cluster) -> Cluster:
    """Return the cluster as the plan leaves it; hosts that it put to sleep may be woken again."""
    in_order = sorted(plan.moves, key=lambda step: step.wave)
    later = cluster.after(*(step.move for step in in_order))
    later = later.with_hosts(HostState.UP, *plan.summary.hosts_to_wake)
    for host in plan.summary.hosts_to_sleep:
        later = later.with_host(host, state=HostState.STANDBY, asleep_by_us=True)
    return later
