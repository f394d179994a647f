"""`balancer simulate` as a person uses it: stopped and taken up, on a site file, with a report that fits the screen."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path

import pytest
from rich.console import Console

from balancer.cli import run
from balancer.domain.rehearsed import Rehearsed
from balancer.formats import read
from balancer.rehearsal import Rehearsal
from balancer.reporting.rehearsal import rehearsal_text
from tests.rehearsal.test_rehearsal import SAVER, SITE, without_ids

SITE_FILE = """schema: balancer.site/1
cluster: lab
platform: {kind: simulated}
hosts:
  - {name: north, may_sleep: true, capacity: {cpu_cores: 6, memory_mib: 16384}, power: {watts: [50, 90]}}
  - {name: south, may_sleep: true, capacity: {cpu_cores: 6, memory_mib: 16384}, power: {watts: [60, 95]}}
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SITE", "POLICY", "SECRETS", "STATE"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A record of two guests, its hosts and a policy."""
    rows = [
        f"2026-03-02T00:{5 * n:02}:00Z,g{g},{0.5 if n < 6 else 3},4,6144,h{g}" for n in range(1, 10) for g in (0, 1)
    ]
    (tmp_path / "load.csv").write_text("\n".join(["at,guest,cpu_cores,vcpus,memory_mib,host", *rows]))
    (tmp_path / "hosts.yaml").write_text(SITE % ("on", 0))
    (tmp_path / "saver.yaml").write_text(SAVER)
    return ["simulate", "--trace", "load.csv", "--site", "hosts.yaml", "--policy", "saver.yaml"]


def test_a_run_that_a_signal_stops_is_taken_up_by_the_same_command(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--out", "whole.json"]) == 0
    live, heard = Rehearsal._live_a_step, signal.getsignal(signal.SIGTERM)

    def stopped_in_the_fifth(self: Rehearsal, step: int, *others: object) -> None:
        if step == 4:
            signal.raise_signal(signal.SIGTERM)
        live(self, step, *others)  # type: ignore[arg-type]

    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(Rehearsal, "_live_a_step", stopped_in_the_fifth)
        assert run([*words, "--keep", "kept"]) == 130
    said = capsys.readouterr().err
    assert "stopped after 5 of 9 steps; 5 are kept in kept: the same command goes on there" in " ".join(said.split())
    assert "seed 1" in said and "Traceback" not in said
    assert signal.getsignal(signal.SIGTERM) is heard
    assert run([*words, "--keep", "kept", "--out", "again.json"]) == 0
    assert without_ids(read(Path("again.json"), Rehearsed)) == without_ids(read(Path("whole.json"), Rehearsed))


def test_a_record_is_laid_on_the_hosts_of_a_site_file(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(SITE_FILE)
    assert run([*words, "--out", "found.json"]) == 0
    found = read(Path("found.json"), Rehearsed)
    assert found.hosts == 2
    assert found.kwh_all_on == pytest.approx(0.75 * 0.130, rel=0.15)  # an hour's three quarters of 110 W and some load


def test_a_site_file_that_does_not_say_how_large_a_host_is_says_what_is_missing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts.yaml").write_text(SITE_FILE.replace("capacity: {cpu_cores: 6, memory_mib: 16384}, ", "", 1))
    assert run(words) == 1
    assert "lab: north: the site file does not say how large it is" in capsys.readouterr().err


def test_what_is_odd_is_said_a_line_a_kind(words: list[str], tmp_path: Path) -> None:
    rows = (tmp_path / "load.csv").read_text().replace(",0.5,", ",-1,").replace(",3,", ",0,")
    (tmp_path / "load.csv").write_text(rows)
    assert run([*words, "--out", "found.json"]) == 0
    printed = io.StringIO()
    Console(file=printed, width=120).print(rehearsal_text([read(Path("found.json"), Rehearsed)]))
    said = printed.getvalue()
    assert "negative, 2 guests: " in said and "; first g0, " in said


def test_the_report_fits_eighty_columns_and_says_its_steps(words: list[str]) -> None:
    assert run([*words, "--out", "found.json"]) == 0
    printed = io.StringIO()
    Console(file=printed, width=80).print(rehearsal_text([read(Path("found.json"), Rehearsed)]))
    said = printed.getvalue()
    assert max(map(len, said.splitlines())) <= 80
    assert "2026-03-02 00:00 to 2026-03-02 00:45 UTC, 9 steps of 5 min, seed 1" in said
    assert json.loads(Path("found.json").read_text())["steps"][0]["sentence"] == ""
