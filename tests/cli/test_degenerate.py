"""Files that nobody writes on purpose, through the command line: an honest plan, or a fault with its file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from balancer.cli import run
from balancer.domain.cluster import Cluster
from balancer.formats import to_json
from tests.drawing import cluster

WISHES = {
    "balance": "{even_load: {weight: 1}, few_moves: {weight: 0.02}}",
    "both": "{even_load: {weight: 0.3}, least_power: {weight: 1}, few_moves: {weight: 0.02}}",
    "fewest": "{least_power: {weight: 1}, few_moves: {weight: 0.02}}",
}


def planned(folder: Path, drawn: Cluster, wish: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Plan by files, insist that the plan verifies, and return it."""
    snapshot, policy, plan = (folder / name for name in ("s.json", "p.yaml", "plan.json"))
    snapshot.write_text(to_json(drawn))
    policy.write_text(f"schema: balancer.policy/1\nobjectives: {WISHES[wish]}\n")
    words = ["--snapshot", str(snapshot), "--policy", str(policy)]
    assert run(["plan", *words, "--format", "json"]) in {0, 2}
    plan.write_text(capsys.readouterr().out)
    assert run(["verify", *words, "--plan", str(plan)]) == 0
    assert run(["plan", *words]) in {0, 2}
    capsys.readouterr()
    made: dict[str, Any] = json.loads(plan.read_text())
    return made


def moved(plan: dict[str, Any]) -> list[str]:
    return [step["vm"] for step in plan["steps"] if step["action"] == "move"]


STAYS = {
    "one host": "h1 64: a=8/3 b=8/3",
    "no guests": "h1 64: | h2 64:",
    "nobody may move": "h1 64: a=8/3! b=8/3! | h2 64: c=8!",
    "a guest that is larger than any host": "h1 64: a=80 | h2 64:",
    "hosts without capacity": "h1 0: | h2 0:",
    "a guest where nothing is": "h1 0: a=1 | h2 0:",
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("kind", STAYS)
def test_where_nothing_can_be_done_nobody_moves(
    kind: str, wish: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = cluster(STAYS[kind])
    plan = planned(tmp_path, drawn, wish, capsys)
    assert moved(plan) == []
    assert all(not drawn.guests_of(host) for host in plan["summary"]["hosts_to_sleep"])
    assert bool(plan["unmet"]) == (kind in {"a guest that is larger than any host", "a guest where nothing is"})


def test_a_host_without_capacity_is_left_by_whom_it_cannot_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(tmp_path, cluster("h1 0: a=1 | h2 64:"), "balance", capsys)
    assert moved(plan) == ["a"]
    assert plan["unmet"] == []


@pytest.mark.long  # tests/solving says the same of the search
def test_equal_guests_on_equal_hosts_are_spread_evenly_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd = " ".join(f"v{number:04}=1/0.01" for number in range(1000))
    plan = planned(tmp_path, cluster(f"h1 2000: {crowd} | h2 2000: | h3 2000: | h4 2000:"), "balance", capsys)
    assert plan["summary"]["imbalance_after"]["memory"] < 0.15 * plan["summary"]["imbalance_before"]["memory"]
    level = " | ".join(f"h{host} 64: " + " ".join(f"v{host}{n}=8/2" for n in range(4)) for host in range(5))
    assert planned(tmp_path, cluster(level), "balance", capsys)["steps"] == []


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("memory_mib", "-1.0"),
        ("memory_mib", ".nan"),
        ("memory_mib", ".inf"),
        ("cpu_used_cores", "-0.5"),
        ("cpu_used_cores", ".nan"),
        ("vcpus", "-2"),
        ("dirty_mib_per_s", ".nan"),
    ],
)
def test_a_number_that_is_none_is_refused_with_its_file_and_line(
    field: str, bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = {"name": "a", "host": "h1", "state": "running", "vcpus": "1", "memory_mib": "1024.0"} | {field: bad}
    lines = [f"    {key}: {value}" for key, value in guest.items()]
    text = "schema: balancer.snapshot/1\ntaken_at: 2026-11-23T12:00:00Z\ncluster: c\nhosts:\n"
    text += "  - {name: h1, state: up, cpu_cores: 4.0, memory_mib: 8192.0}\nvms:\n"
    snapshot, policy = tmp_path / "s.yaml", tmp_path / "p.yaml"
    snapshot.write_text(text + "\n".join(lines).replace("    name", "  - name", 1) + "\n")
    policy.write_text("schema: balancer.policy/1\n")
    assert run(["plan", "--snapshot", str(snapshot), "--policy", str(policy)]) == 1
    said = capsys.readouterr().err
    line = 7 + list(guest).index(field)
    assert f"s.yaml:{line}" in said
    assert field in said
