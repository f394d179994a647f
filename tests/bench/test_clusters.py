"""The clusters that everybody measures on are the ones that figures were published for."""

from __future__ import annotations

import hashlib
import json

import pytest

from balancer.formats.reading import read_text
from balancer.policy import Policy
from tests.bench.clusters import BenchCase, cluster_of, policy_of, policy_yaml, snapshot_json
from tests.bench.wishes import BALANCE, BOTH, FEWEST, Wish

# Taken once from the program that the published figures were made with.
SNAPSHOTS = {
    BenchCase(8, 80, 1): "b606d533a1496dde04086fc9885d06283b045cc79762b957101063617d941974",
    BenchCase(32, 500, 2): "ee2d8e9ee54da0337cce1a20550643e17577e977e9d44f7ef5ee936107f75745",
    BenchCase(64, 2000, 1): "9bbee54194fe04176b19fcab7296aa39f413c6c47fc648a6eb2b0224bcaca1e5",
    BenchCase(8, 80, 4, rules=True): "80a8d85826af0d5bcc3db7e50ab5b980aaac5bdb2bcc5a1608cdef9ea8ea0b06",
    BenchCase(32, 500, 1, rules=True): "2064423b2331767d003fffa6feb8bd8ef84408115c3bcdaa6a022ee0c5fa5fe4",
}
POLICIES = {
    (BenchCase(32, 500, 1, rules=True), BALANCE): "237f637f95f294fbfec664018f904e4076e1064a1e4559428202f124432e942f",
    (BenchCase(64, 2000, 3, rules=True), BOTH): "1aafa116f61ce744a4046c0de283e242a0d9c516c8688473cc535b862c361f15",
    (BenchCase(8, 80, 4, rules=True), FEWEST): "5db465811bfa260cf9f01510653df45b266d4f379528764d0a54c0e1adcbd8fd",
}
WITH_AND_WITHOUT_RULES = (BenchCase(16, 200, 7), BenchCase(16, 200, 7, rules=True))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("case", "digest"), SNAPSHOTS.items(), ids=str)
def test_a_case_makes_the_published_cluster(case: BenchCase, digest: str) -> None:
    assert sha256(snapshot_json(case)) == digest


@pytest.mark.parametrize(("key", "digest"), POLICIES.items(), ids=str)
def test_a_case_makes_the_published_rules(key: tuple[BenchCase, Wish], digest: str) -> None:
    case, wish = key
    assert sha256(policy_yaml(case, wish.weights)) == digest


@pytest.mark.parametrize("case", WITH_AND_WITHOUT_RULES, ids=str)
def test_the_values_are_what_the_files_say(case: BenchCase) -> None:
    assert cluster_of(case) == type(cluster_of(case)).model_validate(json.loads(snapshot_json(case)))
    assert policy_of(case, BOTH.weights) == read_text(policy_yaml(case, BOTH.weights), Policy, "a file")


@pytest.mark.parametrize("case", WITH_AND_WITHOUT_RULES, ids=str)
def test_the_start_is_legal_and_skewed(case: BenchCase) -> None:
    cluster = cluster_of(case)
    assert policy_of(case, BALANCE.weights).violations(cluster) == []
    assert cluster.imbalance("memory") > 0.05


def test_rules_are_of_each_kind() -> None:
    policy = policy_of(BenchCase(16, 200, 7, rules=True), BALANCE.weights)
    assert {constraint.kind for constraint in policy.constraints} == {"apart", "together", "only_on"}
    assert policy_of(BenchCase(16, 200, 7), BALANCE.weights).constraints == ()


def test_rules_that_leave_no_legal_start_are_refused() -> None:
    with pytest.raises(ValueError, match="no legal start: ask for fewer rules"):
        cluster_of(BenchCase(2, 20, 1, rules=True))
