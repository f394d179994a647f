"""A plan as CSV, Markdown and a page: each names every step, and no name in it does harm."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from itertools import groupby

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.conflict import Conflict, Rule
from balancer.domain.host import CPU
from balancer.domain.memory import Memory
from balancer.domain.outcome import outcome
from balancer.domain.plan import Because, Kept, Plan, Unmet
from balancer.domain.units import count_of
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


def _ways(plan: Plan) -> list[tuple[str, str, str]]:
    return [(step.move.source, step.move.target, step.move.vm) for step in plan.moves]


def test_the_page_draws_who_goes_where_and_hosts_before_and_after() -> None:
    plan, cluster = planned()
    said = plan_page(plan, cluster)
    for (source, target), moved in groupby(sorted(_ways(plan)), lambda way: way[:2]):
        names = [name for *_, name in moved]
        assert f"<title>{source} → {target}: {count_of(len(names), 'guest')}: {', '.join(names)}</title>" in said
    later = outcome(plan, cluster)
    for host in cluster.hosts:
        shares = [f">{each.utilisation(each.host(host.name), CPU):.0%}<" for each in (cluster, later)]
        row = said[said.index(f'<th scope="row">{host.name}<') :].partition("</tr>")[0]
        assert [share in row for share in shares] == [True, True]


def test_what_is_left_alone_and_why_promises_break_stand_on_the_page_and_in_markdown() -> None:
    plan, cluster = planned()
    facts = Conflict(rules=(Rule(promise="p1", kind="apart", place="policy.yaml:7"),), why=("three guests, two hosts",))
    kept = tuple(Kept(subject=f"vm:g{n}", because=Because.IMMOVABLE, detail="a USB key") for n in range(20))
    unmet = Unmet(promise="p1", subject="h1", why="no room", conflict=facts, excess_before=1, excess_after=2)
    told = plan.model_copy(update={"kept": kept, "unmet": (unmet,)})
    page, markdown = plan_page(told, cluster), unescape(plan_markdown(told, cluster))
    assert "<summary>May not be moved: 20</summary>" in page
    assert ", ".join(f"g{n}" for n in range(20)) + " (a USB key)" in page
    assert "may not be moved: g0, g1," in markdown
    assert "g11 and 8 more (a USB key)" in markdown
    for said in (page, markdown):
        assert "p1: no room (off by 2 guests, now by 1 guest)" in said
        assert "p1 (policy.yaml:7) cannot be kept on the present cluster" in said
        assert "three guests, two hosts" in said


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
