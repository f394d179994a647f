"""The doctor finds what is wrong, says what to do, and leaves everything as it was."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.doctor import CHECKS, Check, Examined, Finding, Standing
from balancer.errors import SiteError
from balancer.settings import Settings
from balancer.store import open_store
from balancer.store.tokens import Role

pytest.importorskip("libvirt", reason="pip install -e '.[libvirt]'")

SITE = """\
schema: balancer.site/1
cluster: attic
platform: {{kind: libvirt}}
store: sqlite:///{store}
hosts:
  - {{name: hv1, uri: "test:///default"{more}}}
"""
BMC = ', may_sleep: true, bmc: {kind: command, commands: {state: [echo, "on"]}, secret_ref: "file:bmc"}'

Doctor = Callable[..., tuple[int, list[Finding]]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [name for name in os.environ if name.startswith("BALANCER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "policy.yaml").write_text("schema: balancer.policy/1\n")
    for name, file in {"SITE": "site.yaml", "POLICY": "policy.yaml", "SECRETS": "secrets", "STATE": "."}.items():
        monkeypatch.setenv(f"BALANCER_{name}", str(tmp_path / file))
    write_site(tmp_path)
    return tmp_path


def write_site(here: Path, more: str = "") -> None:
    (here / "site.yaml").write_text(SITE.format(store=here / "balancer.db", more=more))


@pytest.fixture
def doctor(here: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    def look(*options: str) -> tuple[int, list[Finding]]:
        capsys.readouterr()
        code = run(["doctor", "--format", "json", *options])
        found = json.loads(capsys.readouterr().out)["findings"]
        return code, [Finding(**each | {"standing": Standing(each["standing"])}) for each in found]

    return look


def troubles(found: list[Finding]) -> list[tuple[str, str, Standing]]:
    bad = (Standing.WARNING, Standing.FAULT)
    return [(each.check, each.about, each.standing) for each in found if each.standing in bad]


def of(found: list[Finding], check: str) -> str:
    return "\n".join(f"{each.about} {each.words} {each.way_out}" for each in found if each.check == check)


def test_a_site_without_faults_leaves_with_0_and_nothing_is_made(here: Path, doctor: Doctor) -> None:
    before = sorted(here.rglob("*"))
    code, found = doctor()
    assert code == 0
    assert "is made at the first start" in of(found, "store")
    assert "hv1 answers, 1 guests" in of(found, "hypervisors")
    assert sorted(here.rglob("*")) == before


def test_text_names_each_check_and_counts(
    here: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor()
    assert run(["doctor"]) == 0
    assert "0 faults, " in capsys.readouterr().out
    monkeypatch.delenv("BALANCER_SITE")
    code, found = doctor()
    assert (code, "balancer init" in of(found, "settings")) == (0, True)


def test_a_faulty_policy_or_site_file_is_told_by_its_line(here: Path, doctor: Doctor) -> None:
    (here / "policy.yaml").write_text("schema: balancer.policy/1\nmood: act\n")
    code, found = doctor()
    assert code == 1
    assert "policy.yaml:2" in of(found, "policy")
    (here / "site.yaml").write_text("schema: balancer.site/1\n")
    code, found = doctor()
    assert "cluster" in of(found, "site file") and "BMCs" not in {each.check for each in found}


def test_secrets_that_lack_or_that_others_can_read_are_told_and_never_shown(here: Path, doctor: Doctor) -> None:
    write_site(here, BMC)
    code, found = doctor()
    assert (code, ("secrets", "hv1", Standing.FAULT) in troubles(found)) == (1, True)
    secret = here / "secrets" / "bmc"
    secret.write_text("s3cr3t")
    secret.chmod(0o644)
    code, found = doctor()
    assert ("secrets", "file:bmc", Standing.WARNING) in troubles(found)
    assert f"chmod 600 {secret}" in of(found, "secrets")
    assert "s3cr3t" not in str(found)
    secret.chmod(0o600)
    assert ("secrets", "file:bmc", Standing.WARNING) not in troubles(doctor()[1])


def test_a_password_in_the_url_of_a_server_is_not_shown(here: Path, doctor: Doctor) -> None:
    (here / "secrets" / "feed").write_text("s3cret-of-the-feed")
    source = "{kind: prometheus, url: 'http://ann:pass-in-url@127.0.0.1:9', exporter: node-exporter}"
    feed = "{kind: influx, url: 'http://ann:pass-in-url@127.0.0.1:9', secret_ref: 'file:feed'}"
    with (here / "site.yaml").open("a") as file:
        file.write(f"history: {feed}\nsources: [{source}]\n")
    said = of(doctor()[1], "history")
    assert said.count("127.0.0.1:9") >= 2
    assert "pass-in-url" not in said and "s3cret" not in said


def test_a_host_that_does_not_answer_is_a_fault_unless_the_balancer_put_it_to_sleep(here: Path, doctor: Doctor) -> None:
    text = (here / "site.yaml").read_text().replace("test:///default", "qemu+tcp://127.0.0.1:1/system")
    (here / "site.yaml").write_text(text)
    code, found = doctor()
    assert (code, ("hypervisors", "hv1", Standing.FAULT) in troubles(found)) == (1, True)
    assert "Connection refused" in of(found, "hypervisors")
    store = open_store(f"sqlite:///{here / 'balancer.db'}", "attic")
    store.marks.fell_asleep("hv1", datetime.now(UTC))
    store.close()
    code, found = doctor()
    assert (code, "sleeps, as the balancer has put it" in of(found, "hypervisors")) == (0, True)


def test_a_store_of_another_cluster_or_a_later_version_is_a_fault_and_an_older_one_is_left_as_it_is(
    here: Path, doctor: Doctor
) -> None:
    open_store(f"sqlite:///{here / 'balancer.db'}", "cellar").close()
    code, found = doctor()
    assert (code, "belongs to cluster cellar" in of(found, "store")) == (1, True)
    for version, standing in ((999, 1), (1, 0)):
        with closing(sqlite3.connect(here / "balancer.db")) as raw:
            raw.execute("update about set cluster = 'attic', schema_version = ?", [version])
            raw.commit()
        code, found = doctor()
        assert (code, f"schema {version}" in of(found, "store")) == (standing, True)
    with closing(sqlite3.connect(here / "balancer.db")) as raw:
        assert raw.execute("select schema_version from about").fetchone() == (1,)


def test_proofs_age_pauses_and_tokens_are_looked_up(here: Path, doctor: Doctor) -> None:
    (here / "secrets" / "bmc").write_text("x")
    write_site(here, BMC)
    now = datetime.now(UTC)
    store = open_store(f"sqlite:///{here / 'balancer.db'}", "attic")
    assert "never seen to wake" in of(doctor()[1], "proofs")
    for days, words in ((1, "seen to wake 1 days ago"), (85, "balancer power test hv1"), (91, "not be put to sleep")):
        store.marks.prove_wake("hv1", now - timedelta(days=days), 60.0)
        assert words in of(doctor()[1], "proofs")
    assert "nobody can log in" in of(doctor()[1], "dashboard")
    store.tokens.add("anna", Role.OPERATOR, "tests", now)
    assert "tokens: anna" in of(doctor()[1], "dashboard")
    (here / "balancer.stop").touch()
    assert f"rm {here / 'balancer.stop'}" in of(doctor()[1], "held back")
    store.close()


def test_an_unsafe_dashboard_is_a_fault(here: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    monkeypatch.setenv("BALANCER_WEB_LISTEN", "0.0.0.0:8230")
    code, found = doctor()
    assert (code, "in the clear" in of(found, "dashboard")) == (1, True)


def test_a_check_that_fails_in_words_is_a_fault_and_does_not_stop_the_others() -> None:
    def failing(_: Examined) -> list[Finding]:
        raise SiteError("hv1", "look", "it burns", "run")

    (finding,) = Check("fire", failing).made(Examined(Settings(), datetime.now(UTC), 1.0))
    assert finding == Finding(Standing.FAULT, "hv1: look: it burns (run)", check="fire")
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
