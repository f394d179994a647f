"""`balancer notify test` sends to each target and says what went wrong; the doctor names those that are not reached."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.cli import run
from tests.notifying.alertmanagers import Running, a_stand_in
from tests.notifying.hook import Hook, a_hook

pytest.importorskip("apprise", reason="pip install -e '.[notify]'")

SITE = """\
schema: balancer.site/1
cluster: attic
platform: {{kind: simulated}}
store: sqlite:///{here}/balancer.db
hosts: []
{more}
"""
TARGETS = """\
notify:
  quiet: {{from: "00:00", to: "00:00"}}
  targets:
    - {{name: chat, secret_ref: "env:CHAT", kinds: [daily_summary]}}
    - {{name: gone, secret_ref: "env:GONE"}}
    - {{name: mail, secret_ref: "file:mail"}}
alertmanager: {{url: "{alertmanager}"}}
"""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with a_hook() as serving:
        monkeypatch.setenv("CHAT", serving.url)
        yield serving


@pytest.fixture
def alertmanager() -> Iterator[Running]:
    with a_stand_in() as running:
        yield running


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hook: Hook, alertmanager: Running) -> Path:
    for name in [name for name in os.environ if name.startswith("BALANCER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name, path in {"SITE": "site.yaml", "SECRETS": "", "STATE": ""}.items():
        monkeypatch.setenv(f"BALANCER_{name}", str(tmp_path / path))
    monkeypatch.setenv("GONE", "json://ann:hunter22@127.0.0.1:1/token")
    write(tmp_path, TARGETS.format(alertmanager=alertmanager.url))
    return tmp_path


def write(here: Path, more: str) -> None:
    (here / "site.yaml").write_text(SITE.format(here=here, more=more))


def test_each_target_is_sent_a_message_whatever_the_hour_and_what_went_wrong_is_said(
    here: Path, hook: Hook, alertmanager: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["notify", "test"]) == 1
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (said["chat"], said["alertmanager"]) == ("ok", "ok")
    assert said["gone"].startswith("send: ") and "hunter22" not in str(said)
    assert said["mail"].startswith("reading file:mail: no such file")
    assert hook.titles == ["attic: a test message"]
    assert alertmanager.asked == ["POST silences", "DELETE silence"] and alertmanager.silences() == []
    assert not (here / "balancer.db").exists()


def test_one_target_alone(here: Path, hook: Hook, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["notify", "test", "--target", "chat"]) == 0
    assert run(["notify", "test", "--target", "alertmanager"]) == 0
    assert len(hook.got) == 1
    assert run(["notify", "test", "--target", "chta"]) == 1
    assert "there is no chta; known: chat, gone, mail, alertmanager" in capsys.readouterr().err


def test_a_site_that_tells_nobody_says_how_to(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, "")
    assert run(["notify", "test"]) == 1
    assert "tells nobody anything; add `notify:" in " ".join(capsys.readouterr().err.split())


def test_without_apprise_the_extra_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    assert run(["notify", "test", "--target", "chat"]) == 1
    assert "notifications needs a package that is not installed: .venv/bin/pip install -e '.[notify]'" in " ".join(
        capsys.readouterr().out.split()
    )


def test_the_doctor_knocks_at_each_and_sends_nothing(
    here: Path, hook: Hook, alertmanager: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mail").write_text("mailtos://ann:hunter22@example.org\n")
    (here / "mail").chmod(0o600)
    run(["doctor", "--format", "json"])
    printed = capsys.readouterr().out
    found = [each for each in json.loads(printed)["findings"] if each["check"] == "notifications"]
    assert [(each["about"], each["standing"]) for each in found] == [
        ("chat", "ok"),
        ("gone", "warning"),
        ("mail", "unseen"),
        ("alertmanager", "ok"),
    ]
    assert "127.0.0.1:1 is not reached" in found[1]["words"]
    assert "hunter22" not in printed and "secret-path" not in printed
    assert hook.got == [] and alertmanager.silences() == []
    secrets = [each["about"] for each in json.loads(printed)["findings"] if each["check"] == "secrets"]
    assert secrets == ["env:CHAT", "env:GONE", "file:mail"]


def test_the_doctor_names_an_alertmanager_that_is_gone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, "alertmanager: {url: 'http://127.0.0.1:1'}")
    run(["doctor", "--format", "json"])
    found = [each for each in json.loads(capsys.readouterr().out)["findings"] if each["check"] == "notifications"]
    assert [(each["about"], each["standing"]) for each in found] == [("alertmanager", "warning")]
