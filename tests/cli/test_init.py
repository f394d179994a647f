"""A site is begun: by options alone, by questions, and against hosts that do not answer."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.domain.site_file import SiteFile
from balancer.formats import read

pytest.importorskip("libvirt", reason="pip install -e '.[libvirt]'")

ALL = ["init", "--yes", "--cluster", "attic", "--hosts", "hv[1-2]", "--uri", "test:///default"]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("BALANCER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_what_is_written_can_be_used_and_only_recommends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ALL) == 0
    said = capsys.readouterr().out
    assert "balancer doctor" in said and "export BALANCER_SITE=$PWD/site.yaml" in said
    site = read(tmp_path / "site.yaml", SiteFile)
    assert (site.cluster, [host.name for host in site.hosts]) == ("attic", ["hv1", "hv2"])
    assert not any(host.may_sleep for host in site.hosts)
    assert run(["check", "policy.yaml", "--strict"]) == 0
    assert "mode recommend" in capsys.readouterr().out


def test_files_that_are_there_stay_unless_it_is_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.yaml").write_text("mine")
    assert run(ALL) == 1
    assert "policy.yaml: is there already; --force" in capsys.readouterr().err
    assert (tmp_path / "policy.yaml").read_text() == "mine"
    assert not (tmp_path / "site.yaml").exists()
    assert run([*ALL, "--force"]) == 0
    assert (tmp_path / "policy.yaml").read_text() != "mine"


def test_a_host_that_does_not_answer_is_named_with_the_way_out_and_stands_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--yes", "--hosts", "test:///default,qemu+tcp://127.0.0.1:1/system", "--deadline", "5"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "127.0.0.1: its hypervisor: Connection refused (see that the host is on" in said
    text = (tmp_path / "site.yaml").read_text()
    assert "# when this was written: its hypervisor: Connection refused" in text
    assert len(read(tmp_path / "site.yaml", SiteFile).hosts) == 2


def test_the_password_lies_in_a_file_for_its_owner_alone_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyghmi")
    monkeypatch.setenv("BALANCER_INIT_BMC_PASSWORD", "s3cr3t-of-tests")
    bmc = ["--bmc", "127.0.0.1:{n}", "--bmc-user", "admin"]
    assert run([*ALL, *bmc]) == 1  # nothing listens there
    said = capsys.readouterr()
    secret = tmp_path / "secrets" / "bmc"
    assert secret.read_text() == "s3cr3t-of-tests\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    others = (tmp_path / "site.yaml").read_text() + (tmp_path / "policy.yaml").read_text() + said.out + said.err
    assert "s3cr3t" not in others
    assert read(tmp_path / "site.yaml", SiteFile).hosts[1].bmc.secret_ref == "file:bmc"  # type: ignore[union-attr]
    # A second run leaves the password that is there.
    monkeypatch.setenv("BALANCER_INIT_BMC_PASSWORD", "another")
    run([*ALL, *bmc, "--force"])
    assert secret.read_text() == "s3cr3t-of-tests\n"


def test_answers_that_do_not_go_together_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ALL, "--bmc", "10.0.0.[1-3]", "--bmc-user", "admin"]) == 1
    assert "3 addresses for 2 hosts" in capsys.readouterr().err
    assert run([*ALL, "--bmc", "10.0.0.1,10.0.0.1", "--bmc-user", "admin"]) == 1
    assert "gives the same BMC to several hosts" in capsys.readouterr().err
    assert run([*ALL, "--bmc", "10.0.0.{n}"]) == 1
    assert "--bmc-user" in capsys.readouterr().err
    assert run(["init", "--yes"]) == 1
    assert "names no host" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
