"""The systemd unit: taken by systemd without a word, hardened, and patient when it stops."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.configs.shipped import CONFIGS, SECONDS_TO_STOP, assert_it_is_a_setting, assert_the_balancer_takes

UNIT = CONFIGS / "systemd" / "balancer.service"
TEXT = UNIT.read_text()
SYSTEMD = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is missing: install systemd")
MOST_EXPOSED = 2.0  # of 10; without any hardening it is 9.6


@needs_systemd
def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    # The balancer need not be installed where the tests run.
    here = tmp_path / UNIT.name
    here.write_text(TEXT.replace("/opt/balancer/bin/balancer", str(shutil.which("true"))))
    said = _systemd("verify", str(here))
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@needs_systemd
def test_it_is_little_exposed() -> None:
    said = _systemd("security", "--offline=true", "--no-pager", str(UNIT))
    exposure = re.search(r"exposure level for balancer.service: ([\d.]+)", said.stdout)
    assert exposure is not None, said.stderr
    assert float(exposure[1]) <= MOST_EXPOSED


def test_what_it_tells_the_balancer_is_known_and_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    environment = dict(each.split("=", 1) for each in _values("Environment"))
    assert_it_is_a_setting(environment)
    assert_the_balancer_takes(environment, monkeypatch)
    assert _values("ReadWritePaths") == [environment["BALANCER_STATE"]]
    assert [f"/var/lib/{name}" for name in _values("StateDirectory")] == [environment["BALANCER_STATE"]]


def test_it_waits_for_running_migrations_and_leaves_their_connections_alone() -> None:
    (minutes,) = (re.fullmatch(r"(\d+)min", value) for value in _values("TimeoutStopSec"))
    assert minutes is not None
    assert int(minutes[1]) * 60 >= SECONDS_TO_STOP
    assert _values("KillMode") == ["mixed"]


def _values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", TEXT, re.MULTILINE)


def _systemd(*words: str) -> subprocess.CompletedProcess[str]:
    assert SYSTEMD is not None
    return subprocess.run([SYSTEMD, *words], capture_output=True, text=True, check=False)
