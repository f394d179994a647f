"""What a plan leaves behind needs no second plan: nothing flaps, whatever is wished for and however full hosts are."""

from __future__ import annotations

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.outcome import outcome
from balancer.domain.violation import hard_excess
from balancer.planning import make_plan
from balancer.policy import Policy
from tests.bench.clusters import BenchCase, cluster_of, policy_of
from tests.bench.measuring import BALANCE, BOTH, FEWEST, WISHES, Wish
from tests.drawing import cluster

SMALL = [BenchCase(8, 80, seed=seed, rules=rules) for seed in (1, 2) for rules in (False, True)]
LARGE = [
    *(BenchCase(8, 80, seed=3, rules=rules) for rules in (False, True)),
    *(BenchCase(32, 500, seed=seed, rules=rules) for seed in (1, 2, 3) for rules in (False, True)),
    *(BenchCase(12, 120, seed=seed, memory_fill=fill) for seed in (1, 2, 3) for fill in (0.80, 0.88)),
    *(BenchCase(12, 120, seed=seed, memory_fill=0.92) for seed in (1, 2, 3)),
    *(BenchCase(64, 2000, seed=seed, rules=rules) for seed in (1, 2, 3) for rules in (False, True)),
]


def second_plan(seen: Cluster, policy: Policy) -> list[str]:
    """Return the steps of the plan that is made once a first one has been carried out."""
    return [str(step) for step in make_plan(outcome(make_plan(seen, policy), seen), policy).steps]


def named(case: BenchCase) -> str:
    return f"{case} seed {case.seed} fill {case.memory_fill}"


@pytest.mark.parametrize("wish", [BOTH, FEWEST], ids=lambda wish: wish.name)
@pytest.mark.parametrize("case", SMALL, ids=named)
def test_a_second_plan_finds_nothing(case: BenchCase, wish: Wish) -> None:
    assert second_plan(cluster_of(case), policy_of(case, wish.weights)) == []


@pytest.mark.parametrize("case", [SMALL[0], SMALL[1]], ids=named)
def test_a_second_plan_finds_nothing_to_even(case: BenchCase) -> None:
    assert second_plan(cluster_of(case), policy_of(case, BALANCE.weights)) == []


@pytest.mark.long
@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.name)
@pytest.mark.parametrize("case", [*SMALL, *LARGE], ids=named)
def test_a_second_plan_finds_nothing_on_larger_clusters_either(case: BenchCase, wish: Wish) -> None:
    assert second_plan(cluster_of(case), policy_of(case, wish.weights)) == []


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.name)
def test_equal_hosts_with_equal_guests_take_no_turns(wish: Wish) -> None:
    """Of equal hosts any may sleep: which one does is settled once, and not anew in each cycle."""
    drawing = " | ".join(f"h{host} 64: " + " ".join(f"v{host}{n}=6/1" for n in range(host % 3)) for host in range(9))
    wished = policy_of(BenchCase(2, 8), wish.weights)
    for seed in (1, 2, 3):
        seen, policy = cluster(drawing), wished.model_copy(update={"seed": seed})
        plan = make_plan(seen, policy)
        later = outcome(plan, seen)
        assert [str(step) for step in make_plan(later, policy.model_copy(update={"seed": seed + 7})).steps] == []
        assert hard_excess(policy.violations(later)) == 0
