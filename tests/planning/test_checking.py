"""What an author should know about a policy on a cluster, each with the rule or section that it is about."""

from __future__ import annotations

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import Power
from balancer.formats.reading import read_text
from balancer.planning.checking import hosts_implied, remarks
from balancer.policy import Policy
from tests.drawing import cluster

ROOMY = "h1 64 rack=r1: a=8/2@db b=8/2@db | h2 64 rack=r1: c=8/1@web | h3 64 rack=r2: d=8/1!"


def policy(*rules: str, objectives: str = "{even_load: {weight: 1.0}}") -> Policy:
    listed = "constraints:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else ""
    return read_text(f"schema: balancer.policy/1\nobjectives: {objectives}\n{listed}", Policy, "p.yaml")


def said(seen: Cluster, wanted: Policy) -> list[tuple[str, str]]:
    return [(remark.promise or ".".join(remark.section), remark.what) for remark in remarks(seen, wanted)]


@pytest.mark.parametrize(
    ("rules", "about", "what"),
    [
        (["{kind: stay, name: r, match: {app: none}}"], "r", "no guest bears app=none"),
        (["{kind: not_on, name: r, vms: [zz], hosts: [h1]}"], "r", "there is no guest zz"),
        (["{kind: prefer, name: r, vms: [d], hosts: [h1], weight: 0.1}"], "r", "it cannot matter"),
        (["{kind: prefer, name: r, vms: [a], hosts: [h1], weight: 0.0}"], "r", "it is a wish without weight"),
        (
            [
                "{kind: only_on, vms: [a], hosts: [h1]}",
                "{kind: prefer, name: r, vms: [a], hosts: [h2, h3], weight: 1.0}",
            ],
            "r",
            "it cannot matter",
        ),
        (
            ["{kind: apart, name: r, vms: [a, b]}", "{kind: apart, name: s, vms: [a, b, c], across: rack}"],
            "r",
            "it says nothing new: `s` asks for all of it already",
        ),
        (["{kind: cap, name: r, hosts: ['*'], memory: 0.99}"], "r", "`headroom` asks for all of it already"),
        (
            ["{kind: stay, name: s, vms: [a]}", "{kind: only_on, name: r, vms: [a], hosts: [h1, h2]}"],
            "r",
            "`s` asks for all of it already",
        ),
        (
            ["{kind: keep_on, name: s, hosts: [h1, h2]}", "{kind: keep_on, name: r, hosts: ['*'], at_least: 1}"],
            "r",
            "`s` asks for all of it already",
        ),
        (["{kind: together, name: s, vms: [a, b, c]}", "{kind: together, name: r, vms: [a, b]}"], "r", "`s` asks"),
    ],
)
def test_a_rule_that_does_nothing_is_named(rules: list[str], about: str, what: str) -> None:
    found = [each for each in said(cluster(ROOMY), policy(*rules)) if each[0] == about]
    assert len(found) == 1
    assert what in found[0][1]


@pytest.mark.parametrize(
    "rules",
    [
        ["{kind: prefer, vms: [a], hosts: [h2], weight: 0.1}"],
        ["{kind: apart, vms: [a, b]}", "{kind: apart, vms: [a, b, c], at_most: 2}"],
        ["{kind: cap, hosts: [h1], memory: 0.5}"],
        ["{kind: keep_on, hosts: [h1], at_least: 1}", "{kind: keep_on, hosts: [h1, h2, h3], at_least: 2}"],
        ["{kind: only_on, vms: [a], hosts: [h1, h2]}", "{kind: not_on, vms: [a], hosts: [h2]}"],
    ],
)
def test_a_rule_that_does_something_is_not(rules: list[str]) -> None:
    assert said(cluster(ROOMY), policy(*rules)) == []


def test_of_two_equal_rules_the_later_one_is_the_one_too_many() -> None:
    twice = policy("{kind: apart, name: one, vms: [a, b]}", "{kind: apart, name: two, vms: [a, b]}")
    assert said(cluster(ROOMY), twice) == [("two", "it says nothing new: `one` asks for all of it already")]


def test_weights_that_cannot_matter() -> None:
    saving = policy(objectives="{least_power: {weight: 1.0}}")
    awake = cluster("h1 64: a=8/2 | h2 64:")
    bound = awake.with_host("h1", may_sleep=False).with_host("h2", may_sleep=False)
    assert said(awake, saving) == []
    assert [about for about, _ in said(bound, saving)] == ["objectives.least_power"]
    idle = cluster("h1 64: a=8/0 | h2 64:")
    assert [about for about, _ in said(idle, policy())] == ["objectives.even_load.cpu"]
    assert [about for about, _ in said(awake, policy(objectives="{}"))] == ["objectives"]


def test_resources_that_no_host_has() -> None:
    seen = cluster("h1 64: a=8/2 | h2 64:")
    for name in ("h1", "h2"):
        seen = seen.with_host(name, resources={"network_mib_per_s": 1000.0, "disk_mib_per_s": 500.0})
    mistyped = policy(objectives="{even_load: {weight: 1.0, resources: {netwrok_mib_per_s: 0.5}}}")
    assert said(seen, mistyped) == [
        (
            "objectives.even_load.resources",
            "no host lists `netwrok_mib_per_s` under `resources`; did you mean `network_mib_per_s`?",
        )
    ]
    unused = policy(objectives="{even_load: {weight: 1.0, resources: {disk_mib_per_s: 0.5}}}")
    assert [about for about, _ in said(seen, unused)] == ["objectives.even_load.resources.disk_mib_per_s"]
    capped = policy("{kind: cap, name: c, hosts: [h1], resources: {gpu: 0.5}}")
    assert ("c", "no host lists `gpu` under `resources`") in said(seen, capped)


def test_watts_at_the_planned_load_that_nobody_knows() -> None:
    saving = policy(objectives="{least_power: {weight: 1.0, planned_load: true}}")
    seen = cluster("h1 64: a=8/2 | h2 64:")
    assert [about for about, _ in said(seen, saving)] == ["objectives.least_power.planned_load"]
    assert said(seen.with_host("h1", power=Power(idle_watts=90, peak_watts=200)), saving) == []


def test_a_reserve_that_leaves_nothing_to_save() -> None:
    saving = "{even_load: {weight: 0.3}, least_power: {weight: 1.0}}"
    wanted = policy("{kind: reserve, name: r, host_failures: 1}", objectives=saving)
    full = cluster("h1 64: a=30 | h2 64: b=30 | h3 64: c=30")
    assert said(full, wanted) == [("r", "it leaves nothing to save: at today's load it needs every host on")]
    assert said(cluster("h1 64: a=10 | h2 64: b=10 | h3 64: c=10"), wanted) == []


def test_the_number_of_hosts_that_the_weights_imply() -> None:
    seen = cluster("h1 64: a=8/2 | h2 64: b=8/2 | h3 64: c=8/2 | h4 64 standby:")
    saving = policy(objectives="{even_load: {weight: 0.3}, least_power: {weight: 1.0}}")
    assert hosts_implied(seen, saving) == "at today's load the weights ask for 1 of 4 hosts on (now 3)"
    assert hosts_implied(seen, policy()) == (
        "at today's load the weights ask for 3 of 4 hosts on, as now (3); "
        "least_power has no weight, so none is put to sleep to save power"
    )
