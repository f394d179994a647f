"""The commands that answer why, as people and scripts use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.domain.comparison import Comparison
from balancer.domain.explanation import Explanation
from balancer.domain.plan import Because, Plan
from balancer.formats import read_text, to_json
from tests.drawing import cluster

EVEN = "schema: balancer.policy/1\nname: even\nobjectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}\n"
RULES = """constraints:
  - {kind: apart, name: one, vms: [a, b]}
  - {kind: stay, vms: [c]}
  - {kind: together, name: two, vms: [a, b]}
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SITE", "POLICY", "SECRETS", "STATE"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def files(_no_settings: None, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(to_json(cluster("h1 64: a=8/3 b=8/3 c=8/1 | h2 64:")))
    (tmp_path / "p.yaml").write_text(EVEN)
    (tmp_path / "bad.yaml").write_text(EVEN + RULES)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_explain_a_guest_by_either_way_of_naming_it(capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--snapshot", "s.json", "--policy", "p.yaml"]
    assert run(["explain", "vm", "c", *more]) == 0
    first = said(capsys)
    assert run(["explain", "vm:c", *more]) == 0
    assert said(capsys) == first
    assert first.startswith("c ")


def test_explain_as_json_is_the_value_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "host:h1", "--snapshot", "s.json", "--policy", "p.yaml", "--format", "json"]) == 0
    text = said(capsys)
    answer = read_text(text, Explanation, "stdout")
    assert answer.subject == "host:h1"
    assert [reason.because for reason in answer.reasons] == [Because.NOTHING_SAVED]
    assert json.loads(text)["schema"] == "balancer.explanation/1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vm", "aa"], "aa: is no guest; did you mean a?"),
        (["host", "h3"], "h3: is no host; did you mean"),
        (["vm", "nowhere-near"], "nowhere-near: is no guest; known: a, b, c"),
        (["vm"], "names nothing; write `balancer explain vm NAME`"),
    ],
)
def test_unknown_names_get_the_one_that_was_meant(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *arguments, "--snapshot", "s.json", "--policy", "p.yaml"]) == 1
    assert words in capsys.readouterr().err


def test_explain_a_plan_that_was_made_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["plan", "--snapshot", "s.json", "--policy", "p.yaml", "--format", "json"])
    text = said(capsys)
    (tmp_path / "plan.json").write_text(text)
    arguments = ["explain", "plan", "--plan", "plan.json", "--snapshot", "s.json", "--policy", "p.yaml"]
    assert run([*arguments, "--format", "json"]) == 0
    answer = read_text(said(capsys), Explanation, "stdout")
    plan = read_text(text, Plan, "stdout")
    assert answer.subject == f"plan:{plan.id}"
    assert [bought.vm for bought in answer.moves] == [step.vm for step in plan.moves]


def test_check_refuses_what_contradicts_itself_and_names_both_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "bad.yaml"]) == 1
    assert "error one (bad.yaml:5) and two (bad.yaml:7) cannot hold together on any cluster" in said(capsys)


def test_check_warns_of_what_the_present_cluster_cannot_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tight = tmp_path / "tight.yaml"
    tight.write_text(EVEN + "constraints:\n  - {kind: apart, name: abc, match: {app: x}}\n")
    (tmp_path / "s.json").write_text(to_json(cluster("h1 64: a=8@x b=8@x c=8@x | h2 64:")))
    assert run(["check", "tight.yaml"]) == 0
    assert "cannot" not in said(capsys)
    assert run(["check", "tight.yaml", "--snapshot", "s.json"]) == 0
    told = said(capsys)
    assert "warning abc (tight.yaml:5) cannot be kept on the present cluster: at most 1 of a, b, c" in told
    assert "at today's load the weights ask for 2 of 2 hosts on" in told
    assert run(["check", "tight.yaml", "--snapshot", "s.json", "--strict"]) == 1


def test_warnings_name_rule_and_section_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loose = tmp_path / "loose.yaml"
    loose.write_text(EVEN + "constraints:\n  - {kind: stay, match: {app: none}}\n")
    (tmp_path / "s.json").write_text(to_json(cluster("h1 64: a=8/0 | h2 64:")))
    assert run(["check", "loose.yaml", "--snapshot", "s.json"]) == 0
    told = said(capsys)
    assert "warning loose.yaml:5: stay app=none: no guest bears app=none" in told
    assert "warning loose.yaml:3: evenness of cpu cannot matter: nobody uses any" in told


def test_a_plan_names_the_lines_of_the_rules_behind_what_it_leaves_broken(capsys: pytest.CaptureFixture[str]) -> None:
    run(["plan", "--snapshot", "s.json", "--policy", "bad.yaml"])
    assert "one (bad.yaml:5) and two (bad.yaml:7) cannot hold together on the present cluster" in said(capsys)
    run(["plan", "--snapshot", "s.json", "--policy", "bad.yaml", "--format", "json"])
    conflict = json.loads(said(capsys))["unmet"][0]["conflict"]
    assert [rule["place"] for rule in conflict["rules"]] == ["bad.yaml:5", "bad.yaml:7"]


def test_two_policies_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saving = "schema: balancer.policy/1\nname: saving\nobjectives: {least_power: {weight: 1}}\n"
    (tmp_path / "q.yaml").write_text(saving)
    assert run(["policy", "diff", "p.yaml", "q.yaml", "--snapshot", "s.json"]) == 2
    assert said(capsys).startswith("even and saving would not do the same on drawn\n")
    assert run(["policy", "diff", "p.yaml", "p.yaml", "--snapshot", "s.json", "--format", "json"]) == 0
    assert read_text(said(capsys), Comparison, "stdout").same_plan


def test_a_run_begins_by_saying_which_rules_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    run(["run", "--once", "--policy", "bad.yaml"])
    assert "one (bad.yaml:5) and two (bad.yaml:7) cannot hold together on any cluster" in capsys.readouterr().err


def test_a_ready_policy_that_is_misspelt_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--policy", "powersaver"]) == 1
    assert "is neither a file nor a ready policy; did you mean `power-saver`?" in capsys.readouterr().err


def test_a_plan_of_another_policy_is_called_that(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(["plan", "--snapshot", "s.json", "--policy", "p.yaml", "--format", "json"])
    (tmp_path / "plan.json").write_text(said(capsys))
    look = ["explain", "plan", "--plan", "plan.json", "--snapshot", "s.json"]
    assert run([*look, "--policy", "p.yaml"]) == 0
    assert "another policy" not in capsys.readouterr().err
    assert run(look) == 0
    assert "made under another policy (even) than this one (default)" in " ".join(capsys.readouterr().err.split())


def test_a_cluster_that_the_policy_does_not_know_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show", "--policy", "p.yaml", "--cluster", "nope"]) == 0
    assert "says nothing of its own for cluster nope (it speaks of none)" in " ".join(capsys.readouterr().err.split())


def test_a_saved_cycle_takes_no_snapshot_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--replay", "c.json", "--snapshot", "s.json"]) == 64
    assert "brings its own snapshot and policy" in capsys.readouterr().err
