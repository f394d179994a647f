"""Clusters on which not every promise can be kept: the plan says which, by how much, and with what it cannot hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from balancer.cli import run
from balancer.formats import to_json
from tests.drawing import cluster

ALONE = "{kind: apart, name: alone, vms: [a, b]}"
HERE = "{kind: only_on, name: here, vms: [a, b], hosts: [h1]}"
THREE = "{kind: apart, name: three, vms: [a, b, c]}"
SPARE = "{kind: reserve, name: spare, host_failures: 1}"
PAIR = "{kind: together, name: pair, vms: [a, b]}"
IDLE = "{kind: apart, name: idle, vms: [x, y]}"  # is in no conflict, and must never be blamed
HEADROOM = "headroom"

CASES: dict[str, tuple[str, list[str], set[str], str, float, float]] = {
    "apart and only_on": ("h1 64: a=4 b=4 x=1 | h2 64: y=1", [IDLE, ALONE, HERE], {"alone", "here"}, "guests", 1, 1),
    "three apart on two hosts": ("h1 64: a=4 b=4 c=4 | h2 64:", [THREE], {"three"}, "guests", 2, 1),
    "a guest that is larger than any host": ("h1 64: a=80 | h2 64: b=1", [IDLE], {HEADROOM}, "share", 0.3, 0.3),
    "more memory than there is": ("h1 64: a=30 b=32 | h2 64: c=30 d=32", [IDLE], {HEADROOM}, "share", 0.0188, 0.0188),
    "no host to lose": ("h1 64: a=30 b=20 | h2 64: c=30 d=20", [SPARE], {"spare"}, "guests", 2, 2),
    "a pair too large for one host": ("h1 64: a=40 | h2 64: b=40", [IDLE, PAIR], {HEADROOM, "pair"}, "hosts", 1, 1),
}  # fmt: skip


def written(folder: Path, drawing: str, rules: Sequence[str], headroom: bool = True) -> list[str]:
    """Write the files, and return the words that name them."""
    snapshot, policy = folder / "s.json", folder / "p.yaml"
    snapshot.write_text(to_json(cluster(drawing)))
    head = "" if headroom else "headroom: {hard: false, weight: 1}\n"
    listed = "constraints:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else ""
    wishes = "objectives: {even_load: {weight: 0.3}, least_power: {weight: 1}, few_moves: {weight: 0.02}}\n"
    policy.write_text(f"schema: balancer.policy/1\n{wishes}{head}{listed}")
    return ["--snapshot", str(snapshot), "--policy", str(policy)]


def planned(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["plan", *words, "--format", "json"]) in {0, 2}
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    return plan


@pytest.mark.parametrize("kind", CASES)
def test_what_cannot_be_kept_is_named_measured_and_set_against_what_excludes_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing, rules, guilty, unit, before, after = CASES[kind]
    words = written(tmp_path, drawing, rules)
    unmet = planned(words, capsys)["unmet"]
    assert unmet
    assert {each["promise"] for each in unmet} <= guilty
    assert {rule["promise"] for each in unmet for rule in each["conflict"]["rules"]} == guilty
    assert all(each["conflict"]["smallest"] and each["conflict"]["why"] for each in unmet)
    first = unmet[0]
    assert first["unit"] == unit
    assert (first["excess_before"], first["excess_after"]) == pytest.approx((before, after), abs=1e-3)
    assert run(["plan", *words]) in {0, 2}
    said = " ".join(capsys.readouterr().out.split())
    assert "promises that cannot be kept" in said
    assert all(promise in said for promise in guilty)
    assert "off by" in said and ("as now" in said) == (before == after)


@pytest.mark.parametrize("kind", CASES)
def test_without_any_one_of_the_rules_the_others_are_kept(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing, rules, guilty, *_ = CASES[kind]
    for out in guilty:
        left = [rule for rule in rules if f"name: {out}" not in rule]
        plan = planned(written(tmp_path, drawing, left, headroom=out != HEADROOM), capsys)
        assert plan["unmet"] == [], out
