"""What Prometheus scrapes says what is so, and alerts, dashboards and the documentation speak of what it really has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from balancer.domain.host import CPU
from balancer.store.tokens import Role
from balancer.web.metrics import METRICS, METRICS_PATH
from tests.web.stage import GUESTS, Stage

ROOT = Path(__file__).parents[2]
RULES = ROOT / "configs/prometheus/balancer.rules.yaml"
DASHBOARDS = sorted((ROOT / "configs/grafana").glob("*.json"))
NAMES = {metric.name for metric in METRICS}
OURS = re.compile(r"\bbalancer_\w+")

Scrape = dict[tuple[str, tuple[str, ...]], float]


def scraped(stage: Stage) -> Scrape:
    """Scrape as a viewer; values by name and the labels' values."""
    answer = stage.as_(Role.VIEWER).get(METRICS_PATH)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def test_a_scrape_says_what_the_last_cycle_found(small: Stage) -> None:
    found, plan, latest = scraped(small), small.plan, small.door.published
    assert found["balancer_up", ()] == 1
    assert found["balancer_hosts", ("up",)] == 3
    assert found["balancer_guests", ()] == len(GUESTS)
    assert found["balancer_plan_moves", ()] == plan.summary.moves > 0
    assert found["balancer_imbalance_ratio", ("cpu",)] == pytest.approx(plan.summary.imbalance_before.cpu) != 0
    assert found["balancer_plan_gap_ratio", ()] == plan.summary.gap
    assert found["balancer_plans_waiting", ()] == 1
    seen = latest.cycle.seen
    assert found["balancer_host_used_ratio", ("h1", "cpu")] == seen.utilisation(seen.host("h1"), CPU) > 0


def test_it_says_what_holds_the_balancer_back(fresh: Stage) -> None:
    assert scraped(fresh)["balancer_held", ("pause",)] == 0
    fresh.store.halts.pause("anna", "maintenance", fresh.site.clock.now())
    assert scraped(fresh)["balancer_held", ("pause",)] == 1
    fresh.service.board.tell("", "cycle failed: nobody answers", ("line 3: no such key",))
    found = scraped(fresh)
    assert found["balancer_up", ()] == 0
    assert found["balancer_policy_refused", ()] == 1


def test_nothing_of_single_guests_is_said(small: Stage) -> None:
    """There are thousands, and they come and go: a time series for each would drown the server."""
    assert not {value for _, labels in scraped(small) for value in labels} & set(GUESTS)


def test_it_is_for_those_with_a_token(small: Stage) -> None:
    answer = small.client().get(METRICS_PATH, follow_redirects=False)
    assert answer.status_code == 401
    assert "balancer_up" not in answer.text


def test_each_alert_and_picture_asks_for_what_is_there() -> None:
    rules = YAML(typ="safe").load(RULES)
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for dashboard in DASHBOARDS:
        panels = json.loads(dashboard.read_text())["panels"]
        asked += [target["expr"] for panel in panels for target in panel["targets"]]
    names = [name for expression in asked for name in OURS.findall(expression)]
    assert len(DASHBOARDS) == 2
    assert len(names) >= len(asked) > 20
    assert set(names) <= NAMES


def test_the_rules_are_rules() -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: apt-get install prometheus")
    checked = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_documentation_names_each_metric() -> None:
    written = (ROOT / "docs/metrics.md").read_text()
    assert [metric.name for metric in METRICS if f"| `{metric.name}` |" not in written] == []
    assert [metric.help for metric in METRICS if metric.help not in written] == []
    assert set(re.findall(r"\| `(balancer_\w+)` \|", written)) == NAMES
