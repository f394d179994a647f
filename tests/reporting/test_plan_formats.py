"""A plan as CSV, Markdown and a page: each names every step, and no name in it does harm."""

from __future__ import annotations

import csv
import io
import re

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.memory import Memory
from balancer.domain.plan import Plan
from balancer.planning import make_plan
from balancer.reporting.markdown import plan_markdown
from balancer.reporting.pages.plan import plan_page
from balancer.reporting.table import plan_csv
from tests.planning.test_kinds import policy, two_hosts

HOSTILE = (
    "=HYPERLINK(0)",
    "<script>alert(1)</script>",
    "<img src=//evil.example/x onerror=alert(1)>",
    "a|b` [x](http://evil.example) @all\n# big",
)


def planned() -> tuple[Plan, Cluster]:
    cluster = two_hosts(dirty_mib_per_s=1500.0)
    return make_plan(cluster, policy(allow_post_copy=True), Memory()), cluster


def renamed(name: str) -> tuple[Plan, Cluster]:
    """Return the plan with a guest of this name, as a site could report it."""
    plan, cluster = planned()
    moved = plan.moves[0].vm
    steps = tuple(step.model_copy(update={"vm": name}) if step.vm == moved else step for step in plan.steps)
    vms = tuple(vm.model_copy(update={"name": name}) if vm.name == moved else vm for vm in cluster.vms)
    return plan.model_copy(update={"steps": steps}), cluster.model_copy(update={"vms": vms})


def test_csv_read_again_gives_the_steps() -> None:
    plan, _ = planned()
    assert plan.moves
    lines = list(csv.DictReader(io.StringIO(plan_csv(plan))))
    assert [line["id"] for line in lines] == [step.id for step in plan.steps]
    moves = [(line["vm"], line["source"], line["target"]) for line in lines if line["action"] == "move"]
    assert moves == [(step.vm, step.source, step.target) for step in plan.moves]


def test_every_step_and_its_reason_stand_in_markdown_and_on_the_page() -> None:
    plan, cluster = planned()
    for said in (plan_markdown(plan, cluster), plan_page(plan, cluster)):
        for step in plan.steps:
            assert str(step) in said


def test_the_page_fetches_nothing() -> None:
    said = plan_page(*planned())
    assert "default-src 'none'" in said
    assert not re.search(r"<(img|link|iframe)|\s(src|href)=|url\(|@import|https?://", said)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_markup_on_the_page(name: str) -> None:
    said = plan_page(*renamed(name))
    assert said.count("<script>") == 1, "that of the page itself"
    assert "<img" not in said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_markup_in_markdown(name: str) -> None:
    plan, cluster = planned()
    said, usual = plan_markdown(*renamed(name)), plan_markdown(plan, cluster)
    for mark in ("<", "`", "[", "@", "://", "|", "\n"):
        assert said.count(mark) == usual.count(mark), mark


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1"])
def test_a_hostile_name_is_no_formula_in_a_spreadsheet(name: str) -> None:
    plan, _ = renamed(name)
    lines = list(csv.DictReader(io.StringIO(plan_csv(plan))))
    assert next(line["vm"] for line in lines if line["action"] == "move") == f"'{name}"


def test_a_hostile_host_is_no_markup_on_the_page() -> None:
    plan, cluster = planned()
    idle = cluster.hosts[0].model_copy(update={"name": "<img src=x onerror=alert(1)>"})
    said = plan_page(plan, cluster.model_copy(update={"hosts": (*cluster.hosts, idle)}))
    assert "<img" not in said
    assert "&lt;img" in said
