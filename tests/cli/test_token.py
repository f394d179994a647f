"""Tokens are made, listed and taken back on the command line; what is printed once is nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.store import open_store
from balancer.store.tokens import Role


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "site.yaml"
    store = f"sqlite:///{tmp_path / 'balancer.db'}"
    file.write_text(f"schema: balancer.site/1\ncluster: c\nplatform: {{kind: simulated}}\nhosts: []\nstore: {store}\n")
    monkeypatch.setenv("BALANCER_SITE", str(file))
    monkeypatch.setenv("BALANCER_STATE", str(tmp_path))
    return tmp_path


def test_a_token_is_printed_once_counts_and_is_taken_back(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "add", "oskar", "--role", "operator", "--days", "7"]) == 0
    secret = capsys.readouterr().out.strip()
    store = open_store(f"sqlite:///{site / 'balancer.db'}", "c")
    token = store.tokens.whose(secret, datetime.now(UTC))
    assert token is not None
    assert (token.name, token.role) == ("oskar", Role.OPERATOR)
    assert run(["token", "list"]) == 0
    listed = capsys.readouterr().out
    assert "oskar" in listed and "operator" in listed and secret not in listed
    assert run(["token", "add", "oskar", "--role", "viewer"]) == 1
    assert "is the name of a token already" in capsys.readouterr().err
    assert run(["token", "remove", "oskar"]) == 0
    assert store.tokens.whose(secret, datetime.now(UTC)) is None
    assert [line.what for line in store.audit.latest()] == ["removed a token", "made a token with the role operator"]
    store.close()


def test_a_token_that_is_not_there_is_not_removed(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "remove", "nobody"]) == 1
    assert "known: none" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", " a", "a\nb", "x" * 101])
def test_a_name_that_the_audit_could_not_tell_is_refused(name: str, site: Path) -> None:
    assert run(["token", "add", name, "--role", "viewer"]) == 1
