"""pause, resume, abort and status, as an operator in a hurry uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.domain.plan import Plan
from balancer.execution import Runner
from balancer.site import Site
from tests.execution.stage import move, plan
from tests.stability.town import Town, rules


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    for name in ("SITE", "POLICY", "SECRETS", "STATE"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    monkeypatch.setenv("USER", "ann")
    monkeypatch.chdir(tmp_path)
    town = Town(tmp_path, {"h1": ["web-1", "web-2"], "h2": []}, rules(""), {}, migration_mib_per_s=100)

    @contextmanager
    def the_site(path: Path | None) -> Iterator[Site]:
        yield town.site

    monkeypatch.setattr("balancer.commands.stopping.the_site", the_site)
    return town


def under_way(town: Town, *vms: str) -> Runner:
    """Begin to move guests from the first host to the second."""
    steps: Plan = plan(*(move(vm, "h1", "h2") for vm in vms), at=town.clock.now())
    runner = town.site.begin(steps, town.policy)
    runner.advance()
    return runner


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_pause_is_said_to_everybody_until_it_is_lifted(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pause", "--why", "new switch"]) == 0
    assert "paused by ann@" in said(capsys)
    town.restart()
    assert run(["status"]) == 0
    assert "held back: paused by ann@" in said(capsys) and "new switch" in town.site.why_held
    assert [line.what for line in town.site.acting.store.audit.latest()] == ["paused: new switch"]
    assert run(["resume"]) == 0
    assert "it goes on" in said(capsys) and town.site.why_held == ""
    assert run(["resume"]) == 0
    assert "nothing held it back" in said(capsys)


def test_a_kill_file_outlives_resume_and_is_named(town: Town, tmp_path: Path) -> None:
    (tmp_path / "balancer.stop").touch()
    assert run(["resume"]) == 1
    assert str(tmp_path / "balancer.stop") in town.site.why_held


def test_what_is_under_way_is_shown_with_its_phase_and_given_up_by_name(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = under_way(town, "web-1", "web-2")
    run(["status"])
    printed = said(capsys)
    assert "under way: move web-1 from h1 to h2 (begun since 12:00:00, in transfer)" in printed
    assert "reserved on h2: 4096 MiB for web-1 until" in printed
    assert run(["abort", "web-1", "--why", "backup runs"]) == 0
    report = runner.run_to_end()
    assert {o.step.vm: o.detail.partition(" of ")[0] for o in report.outcomes}["web-1"] == "given up on request"
    assert {guest: seen.host for guest, seen in town.world.guests.items()} == {"web-1": "h1", "web-2": "h2"}


def test_all_of_them_are_given_up_when_none_is_named(town: Town) -> None:
    runner = under_way(town, "web-1", "web-2")
    assert run(["abort"]) == 0
    runner.run_to_end()
    assert {seen.host for seen in town.world.guests.values()} == {"h1"}


def test_a_guest_that_does_not_move_is_said_so(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    under_way(town, "web-1")
    assert run(["abort", "web-2"]) == 1
    assert "no migration of this guest is under way; under way: web-1" in " ".join(capsys.readouterr().err.split())
