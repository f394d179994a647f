"""`balancer host`, as an operator with a server to repair uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.site import Site
from balancer.store.marks import CordonedBy
from tests.stability.town import Town, rules

POLICY = """\
schema: balancer.policy/1
objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}
"""
PAIR = "constraints: [{kind: apart, name: db-apart, match: {app: db}}, {kind: stay, name: pinned, vms: [fax-1]}]\n"


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Two hosts: one with a pair that has to be apart, a pinned guest and one that may go anywhere."""
    for name in ("SITE", "POLICY", "SECRETS", "STATE"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    monkeypatch.setenv("USER", "ann")
    monkeypatch.chdir(tmp_path)
    town = Town(tmp_path, {"h1": ["db-1", "db-2", "fax-1", "web-1"], "h2": []}, rules(""), {})

    @contextmanager
    def the_site(path: Path | None) -> Iterator[Site]:
        yield town.site

    monkeypatch.setattr("balancer.commands.host.the_site", the_site)
    return town


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_in_mode_recommend_the_plan_is_shown_and_nobody_moves(
    town: Town, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["host", "drain", "h1", "--why", "new fans", "--policy", policy]) == 2
    printed = said(capsys)
    assert "h1 is drained: it takes no guests, until `balancer host undrain h1`" in printed
    assert "can leave; the policy's mode is recommend: balancer host drain h1 --mode act" in printed
    assert len(town.guests_on("h1")) == 4
    assert town.site.look().host("h1").drained


def test_in_mode_act_it_is_emptied_and_free_to_work_on(
    town: Town, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["host", "drain", "h1", "--why", "new fans", "--policy", policy, "--mode", "act"]) == 0
    assert "h1 is empty, you may work on it" in said(capsys)
    assert town.guests_on("h1") == set()
    assert run(["host", "list", "--policy", policy]) == 0
    row = said(capsys).splitlines()[-1]
    assert row.startswith("h1 ")
    assert "draining" in row
    assert "ann@" in row
    assert "new fans" in row
    assert "nothing, you may work on it" in row
    assert run(["host", "drain", "h1", "--policy", policy, "--mode", "act"]) == 0
    assert "h1 is drained already, since 2026-11-23 12:00 by ann@" in said(capsys)
    assert run(["host", "undrain", "h1"]) == 0
    assert "h1 takes guests again" in said(capsys)
    audit = [line.what for line in reversed(town.site.acting.store.audit.latest())]
    assert audit == ["drained: new fans", "h1 is empty, you may work on it", "undrained"]


def test_what_somebody_wrote_is_said_as_it_is(town: Town, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run(["host", "drain", "h2", "--why", "fans [/b] [red]", "--policy", policy]) == 0
    assert "fans [/b] [red]" in said(capsys)
    assert run(["host", "list", "--policy", policy]) == 0
    assert "fans [/b] [red]" in said(capsys)


def test_who_cannot_leave_is_named_with_the_reason_and_the_rest_leaves(
    town: Town, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(policy).write_text(POLICY + PAIR)
    assert run(["host", "drain", "h1", "--policy", policy, "--mode", "act", "--wait"]) == 3
    printed = said(capsys)
    (stays,) = {"db-1", "db-2"} & town.guests_on("h1")
    assert town.guests_on("h1") == {stays, "fax-1"}
    assert "fax-1 stays on h1: no other host is allowed to carry it (pinned: it has to stay where it is)" in printed
    assert f"{stays} stays on h1: no other host is allowed to carry it (db-apart: " in printed
    run(["host", "list", "--policy", policy])
    assert "fax-1: no other host is allowed to carry it" in " ".join(said(capsys).split())


def test_waiting_goes_on_over_a_budget(town: Town, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text(POLICY + "budget: {per_hour: {moves: 3}}\n")
    assert run(["host", "drain", "h1", "--policy", policy, "--mode", "act"]) == 2
    spent = "budget.per_hour.moves allows 3 in the last hour; room again from 13:00"
    assert f"stays on h1: the budget is spent ({spent}" in said(capsys)
    assert run(["host", "drain", "h1", "--policy", policy, "--mode", "act", "--wait"]) == 0
    assert town.guests_on("h1") == set()
    assert town.clock.now().hour == 13


def test_waiting_honours_a_freeze_that_begins_meanwhile(
    town: Town, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each cycle moves one guest; the backup begins after the first two."""
    backup = "windows: {backup: {from: '12:07', to: '15:00'}}\nschedule: [{during: backup, set: {freeze: all}}]\n"
    Path(policy).write_text(POLICY + backup + "budget: {per_hour: {moves: 2}}\n")
    assert run(["host", "drain", "h1", "--policy", policy, "--mode", "act", "--wait"]) == 0
    said(capsys)
    assert town.guests_on("h1") == set()
    assert town.clock.now().hour == 15


def test_a_silent_host_is_answered_for_clearly(town: Town, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    town.site.look()
    town.world.make_unreachable("h1")
    assert run(["host", "drain", "h1", "--policy", policy]) == 3
    assert "h1 does not answer" in said(capsys)
    assert "h1" in town.site.acting.store.drains.all()


def test_a_host_that_is_off_is_left_off(town: Town, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    town.world.shut_down("h2")
    town.clock.sleep(100)
    assert run(["host", "drain", "h2", "--policy", policy]) == 0
    assert "h2 is off and stays so: the balancer does not wake it" in said(capsys)


def test_undraining_leaves_other_cordons(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    store = town.site.acting.store
    store.marks.cordon("h1", "bad memory", town.clock.now(), CordonedBy.OPERATOR)
    store.drains.ask("h1", "ann@desk", "new fans", town.clock.now())
    assert run(["host", "undrain", "h1"]) == 0
    assert "h1 is drained no longer, and stays cordoned by the operator: bad memory" in said(capsys)
    assert store.marks.of("h1").cordon is not None
    assert run(["host", "undrain", "h1"]) == 0
    assert "h1 was not drained" in said(capsys)


def test_a_host_that_nobody_knows_is_an_error_with_the_known_ones(
    town: Town, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["host", "drain", "h9", "--policy", policy]) == 1
    assert "h9: is not in the site file; hosts there: h1, h2" in capsys.readouterr().err


def test_on_a_cluster_that_is_uneven_only_those_move_who_have_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SITE", "POLICY"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    (tmp_path / "even.yaml").write_text(POLICY)
    assert run(["host", "drain", "hv01", "--policy", "even.yaml"]) == 2
    printed = said(capsys)
    moves = [line for line in printed.splitlines() if " move " in line]
    assert moves
    assert all(" hv01 → " in line for line in moves)
