"""The textbook model is the same problem: on a cluster small enough it finds what trying everything finds."""

from __future__ import annotations

from itertools import product

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.placement import Placement
from balancer.policy import Policy
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.full_model import SOLVERS, FullModel
from tests.bench.peers import FULL_CBC, PeerTask, ask_peer
from tests.bench.wishes import BALANCE, WISHES, Wish

TINY = BenchCase(hosts=3, vms=6, seed=2)


def least_of_all(cluster: Cluster, policy: Policy) -> float:
    """Try every placement, with each host on that has guests, and all others too where power is no wish."""
    names = [vm.name for vm in cluster.vms]
    hosts = [host.name for host in cluster.hosts]
    found = []
    for at in product(hosts, repeat=len(names)):
        on = frozenset(at) if policy.objectives.least_power.weight else frozenset(hosts)
        later = Placement(dict(zip(names, at, strict=True)), on).applied_to(cluster)
        if not [violation for violation in policy.violations(later) if violation.hard]:
            found.append(policy.score(cluster, later))
    return min(found)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.name)
def test_the_full_model_finds_the_least_of_all(wish: Wish, solver: str) -> None:
    cluster, policy = cluster_of(TINY), wish.policy(TINY)
    model = FullModel(cluster, wish.weights)
    assert model.solve(solver, cpu_seconds=30)
    answer = model.answer()
    later = Placement(answer["homes"], frozenset(answer["on"])).applied_to(cluster)
    assert not [violation for violation in policy.violations(later) if violation.hard]
    # What lies between two tangents is not seen.
    assert policy.score(cluster, later) == pytest.approx(least_of_all(cluster, policy), abs=1e-4)


def test_an_answer_of_the_full_model_is_scored_like_any_other() -> None:
    found = ask_peer(PeerTask(TINY, FULL_CBC, (BALANCE,), 30))
    assert found.scored["balance"].is_legal and found.scored["balance"].hosts_on == 3


def test_a_solver_that_is_stopped_with_nothing_found_has_no_answer() -> None:
    case = BenchCase(16, 200, 1)
    assert not FullModel(cluster_of(case), BALANCE.weights).solve("highs", cpu_seconds=0)
