"""`balancer policy show`: what is in force, with the line that each value came from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.formats import read_text
from balancer.policy import Policy, load
from balancer.policy.showing import effective_yaml
from tests.policy.texts import at, write

BASE = """
headroom: {cpu: 0.7}
constraints:
  - {kind: stay, name: pinned, match: {pinned: "yes"}}
  - {kind: stay, name: by-day, vms: [b], when: {not: night}}
windows: {night: {from: 22:00, to: 06:00}}
schedule:
  - {during: night, set: {freeze: all, stability: {minimum_gain: 0.5}}}
"""
LEAF = """extends: base.yaml
aggressiveness: 2
clusters:
  lab:
    headroom: {memory: 0.6}
"""
NIGHT = at("2026-11-24T23:00")


def origins(text: str) -> dict[str, str]:
    """Return where each key says that it came from."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        seen = re.match(r"( *)([\w-]+):(.*?)(?:  # (.*))?$", line)
        if seen:
            path = [*path[: len(seen[1]) // 2], seen[2]]
            found[".".join(path)] = f"{seen[3].strip()} <- {seen[4]}"
    return found


def shown(tmp_path: Path, cluster: str | None = None) -> str:
    text = effective_yaml(load(write(tmp_path, base=BASE, leaf=LEAF), cluster), NIGHT)
    return text.replace(f"{tmp_path}/", "")


def test_each_value_says_where_it_came_from(tmp_path: Path) -> None:
    said = origins(shown(tmp_path, "lab"))
    assert {path: said[path] for path in EXPECTED} == EXPECTED


EXPECTED = {
    "name": "leaf <- leaf.yaml:2",
    "mode": "recommend <- default",
    "freeze": "all <- base.yaml:9 during night",
    "headroom.cpu": "0.7 <- base.yaml:3",
    "headroom.memory": "0.6 <- leaf.yaml:6",
    "objectives.few_moves.weight": "0.1 <- aggressiveness 2, leaf.yaml:3",
    "objectives.even_load.weight": "1.0 <- default",
    "stability.minimum_gain": "0.5 <- base.yaml:9 during night",
    "stability.cooldown_minutes": "30.0 <- aggressiveness 2, leaf.yaml:3",
    "windows.night.from": '"22:00" <- base.yaml:7',
}


def test_what_does_not_count_now_is_shown_as_a_comment(tmp_path: Path) -> None:
    lines = [re.sub(" +", " ", line) for line in shown(tmp_path).splitlines()[-3:]]
    assert lines == [
        "constraints:",
        ' - {kind: stay, name: pinned, match: {pinned: "yes"}} # base.yaml:5',
        " # not now: {kind: stay, name: by-day, when: {not: night}, vms: [b]} # base.yaml:6",
    ]


def test_what_is_shown_is_a_policy_that_says_the_same(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, base=BASE, leaf=LEAF), "lab")
    again = read_text(effective_yaml(loaded, NIGHT), Policy, "again")
    assert again == loaded.policy.at(NIGHT)


def test_the_command_shows_a_ready_policy_and_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show", "--policy", "night-saver", "--at", "2026-11-24T23:00+00:00"]) == 0
    by_night = origins(capsys.readouterr().out)
    assert by_night["objectives.least_power.weight"].startswith("1.0 <- ready policy night-saver:")
    assert by_night["budget.concurrent_per_host"] == "2 <- ready policy balanced:11"
    assert run(["policy", "show"]) == 0
    assert origins(capsys.readouterr().out)["headroom.cpu"] == "0.9 <- default"


def test_a_moment_that_is_none_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show", "--at", "tonight"]) == 1
    assert "--at: 'tonight' is no moment; write 2026-12-24T22:00+01:00" in capsys.readouterr().err
