"""`balancer policy tune`, from a record to a policy file."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from balancer.cli import run
from balancer.domain.rehearsed import Rehearsed
from balancer.domain.tuned import Figures, Tuned
from balancer.formats import read_text
from balancer.policy import load_policy
from balancer.simulation.laying import Laid
from balancer.tuning import trying
from tests.rehearsal.mistakes import NIGHT, ROOMY, SITE, record
from tests.tuning.test_searching import figures

pytest.importorskip("optuna")
GIVEN = ROOMY.replace("cpu: 0.75", "cpu: 0.4").replace("name: careful", "name: given")  # two hosts where one would do
SPLIT, END = "2026-03-02T00:40:00", "2026-03-02T01:00:00"


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of a search on a small record, in a folder with it."""
    for name in ("SITE", "POLICY", "SECRETS", "STATE"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    laid = record(NIGHT)
    rows = [
        f"{laid.begin.timestamp() + 300 * (step + 1):.0f},g{guest},{laid.needs[step, guest]}"
        for step, guest in np.ndindex(laid.needs.shape)
    ]
    Path("night.csv").write_text("\n".join(["at,guest,cpu_cores", *rows]) + "\n")
    Path("site.yaml").write_text(SITE)
    Path("given.yaml").write_text(GIVEN)
    common = ["--trace", "night.csv", "--site", "site.yaml"]
    return ["policy", "tune", *common, "--policy", "given.yaml", "--out", "tuned.yaml", "--workers", "1"]


def quick(monkeypatch: pytest.MonkeyPatch, stop_at: int = 10**6) -> list[float]:
    """Let rehearsals be over at once: fuller hosts take less. Returns where headroom stood in each that was made."""
    made: list[float] = []

    def at_once(laid: Laid, policy: Path, _seed: int) -> Figures:
        if len(made) == stop_at:
            raise KeyboardInterrupt
        cpu = load_policy(policy, laid.name).headroom.cpu
        made.append(cpu)
        return figures(kwh=laid.steps * (2 - cpu), short=max(0.0, cpu - 0.9), moves=1.0)

    monkeypatch.setattr(trying, "rehearsed", at_once)
    return made


def test_a_small_record_is_tuned_and_what_was_held_out_is_a_rehearsal_of_that_part_alone(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--short-at-most", "20%", "--trials", "3", "--dial", "reserve"]
    assert run([*line, *options, "--format", "json", "--report", "tuned.html"]) == 0
    tuned = read_text(capsys.readouterr().out, Tuned, "stdout")
    point, given = tuned.choice, tuned.given
    assert point.figures.kwh < 0.9 * given.figures.kwh
    assert point.figures.short <= 0.2
    assert load_policy(Path("tuned.yaml")).headroom.cpu == point.dials["headroom.cpu"] >= 0.6
    assert run(["check", "tuned.yaml"]) == 0
    capsys.readouterr()
    for part, expected in ((["--to", SPLIT], point.figures), (["--from", SPLIT], point.held_out)):
        alone = ["simulate", "--trace", "night.csv", "--site", "site.yaml", "--policy", "tuned.yaml", *part]
        assert run([*alone, "--format", "json"]) == 0
        assert Figures.of(read_text(capsys.readouterr().out, Rehearsed, "stdout")) == expected
    said = Path("tuned.yaml").read_text()
    expected_kwh = re.search(r"^#   energy, kWh +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", said, re.MULTILINE)
    assert expected_kwh is not None
    assert [float(each) for each in expected_kwh.groups()[:2]] == [
        round(point.figures.kwh, 3),
        round(given.figures.kwh, 3),
    ]
    assert "held out 2026-03-02 00:40 to 2026-03-02 01:00" in said
    page = Path("tuned.html").read_text()
    assert page.count("<svg") == 3
    assert not re.search(r"https?:|src=|<link|url\(", page)


def test_a_search_that_is_interrupted_goes_on_where_it_was(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = [*line, "--trials", "9", "--format", "json"]
    alone = quick(monkeypatch)
    assert run([*whole, "--keep", "alone.trials"]) == 0
    undisturbed = capsys.readouterr().out
    Path("tuned.yaml").unlink()
    first = quick(monkeypatch, stop_at=6)
    assert run([*whole, "--keep", "broken.trials"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not Path("tuned.yaml").exists()
    Path("broken.trials").write_text(Path("broken.trials").read_text() + '{"key": "cut o')  # as the power went
    second = quick(monkeypatch)
    assert run([*whole, "--keep", "broken.trials"]) == 0
    assert capsys.readouterr().out == undisturbed
    assert first + second == alone


def test_another_point_is_chosen_later_without_a_new_rehearsal(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    assert run([*line, "--trials", "9", "--choose", "energy"]) == 0
    made = quick(monkeypatch)
    assert run([*line, "--trials", "9", "--short-at-most", "0.1%"]) == 0
    assert made == []
    assert load_policy(Path("tuned.yaml")).headroom.cpu <= 0.901
    capsys.readouterr()


def test_what_is_held_out_neither_guides_nor_chooses(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    kept = []
    for number, share in enumerate(("0.33", "0")):
        until = [] if number == 0 else ["--to", SPLIT]
        assert (
            run([*line, "--trials", "6", "--held-out", share, *until, "--keep", f"{number}", "--format", "json"]) == 0
        )
        said = json.loads(capsys.readouterr().out)
        kept.append((said["chosen"], [(each["dials"], each["figures"]) for each in said["tried"]]))
    assert kept[0] == kept[1]


def test_a_wrong_word_is_answered_with_the_right_one(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*line, "--dial", "aggresiveness"]) == 1
    assert "did you mean aggressiveness?" in capsys.readouterr().err
    assert run([*line, "--short-at-most", "little"]) == 1
    assert "'little' is no share" in capsys.readouterr().err


def test_without_the_library_the_extra_is_named(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(line) == 1
    assert "install -e '.[tune]'" in capsys.readouterr().err
