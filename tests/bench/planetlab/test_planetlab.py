"""The PlanetLab bench on made-up days: its rules, its baselines, and what it prints."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from balancer.halfway import name_of
from balancer.policy import load_policy
from balancer.rehearsal import Rehearsal, Stopped, bound_by_step
from balancer.simulation.laying import Laid
from balancer.simulation.meter import Bools, Places
from tests.bench.planetlab.__main__ import HERE, JOULES_A_KWH, main
from tests.bench.planetlab.baselines import BASELINES, Floor, Wanted, decide
from tests.bench.planetlab.by_hand import live_by
from tests.bench.planetlab.day import day_of
from tests.bench.planetlab.picture import picture_of
from tests.bench.planetlab.result import Bar, Result, bars_met, kept_in

GUESTS, STEPS = 40, 24


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day whose guests are somewhat busy, each by another share, with chance on top."""
    chance = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("traces")
    (folder / "planetlab").mkdir()
    with tarfile.open(folder / "planetlab" / "20110303.tar.xz", "w:xz") as archive:
        for number in range(GUESTS):
            percent = np.clip(chance.normal(chance.uniform(3, 25), 4, STEPS), 0, 100).astype(int)
            text = "\n".join(map(str, percent)).encode()
            entry = tarfile.TarInfo(f"20110303/guest-{number:02}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return folder


@pytest.fixture(scope="module")
def day(traces: Path) -> Laid:
    """The same, on the first thirty hosts alone."""
    laid = day_of(traces / "planetlab" / "20110303.tar.xz", 16)
    return replace(laid, hosts=laid.hosts[:30])


def test_every_second_host_is_of_the_larger_kind_and_each_fourth_of_the_guests_of_one_size(day: Laid) -> None:
    assert [host.cores for host in day.hosts[:4]] == [3.72, 5.32, 3.72, 5.32]
    assert {host.memory_mib for host in day.hosts} == {16384.0}
    assert [day.sizes[place].cores for place in (0, 9, 10, 20, 30, 39)] == [2.5, 2.5, 2.0, 1.0, 0.5, 0.5]
    assert [day.sizes[place].memory_mib for place in (0, 10, 20, 30)] == [870.0, 1740.0, 1740.0, 613.0]


def test_hours_cut_a_day_after_its_beginning(traces: Path) -> None:
    assert day_of(traces / "planetlab" / "20110303.tar.xz", 16, hours=1.0).steps == 12


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_saves_and_loses_no_guest(day: Laid, name: str) -> None:
    cost = live_by(day, BASELINES[name])
    bound = float(bound_by_step(day).sum()) * day.step_seconds / JOULES_A_KWH
    as_at_first = STEPS / 12 * 13 * 0.086  # kWh that its hosts take at least if nobody does anything
    assert bound < cost.joules / JOULES_A_KWH < as_at_first
    assert cost.moves > 0 and cost.active_steps > STEPS


def floor_of(day: Laid) -> tuple[Floor, Places, Bools]:
    """Two larger hosts that are on, each with the guests of its half."""
    homes = np.where(np.arange(GUESTS) < GUESTS // 2, 1, 3)
    is_on = np.zeros(len(day.hosts), dtype=bool)
    is_on[[1, 3]] = True
    return Floor(day), homes, is_on


def moved(wanted: Wanted) -> set[int]:
    return {guest for guest, _ in wanted.moves}


def test_the_smallest_guests_leave_a_host_that_is_too_full(day: Laid) -> None:
    """Guests of 870 MiB go before those of 1740, and no more of them than it takes."""
    floor, homes, is_on = floor_of(day)
    homes[:] = 3
    homes[[0, 1, 10, 11]] = 1
    needs = np.full((GUESTS, 20), 0.01)
    needs[[0, 1, 10, 11]] = 1.1  # 83 % of a host of 5.32 cores
    wanted = decide(floor, needs, homes, is_on, BASELINES["THR"])
    assert len(moved(wanted) & {0, 1}) == 1 and not moved(wanted) & {10, 11}


def test_a_rise_is_seen_by_regression_before_it_is_there() -> None:
    rising = np.vstack([np.linspace(0.2, 0.78, 20), np.full(20, 0.78)])
    expected, limit = BASELINES["LR"](rising)
    assert (expected > limit).tolist() == [False, False]
    steeper = np.vstack([np.linspace(0.0, 0.82, 12), np.full(12, 0.82)])
    expected, limit = BASELINES["LR"](steeper)
    assert (expected > limit).tolist() == [True, False]
    assert expected[0] > 0.85 and expected[1] == pytest.approx(0.82)


def test_what_is_unsteady_is_too_full_earlier() -> None:
    chance = np.random.default_rng(2)
    use = np.vstack([np.clip(chance.normal(0.5, 0.2, 30), 0, 1), np.full(30, 0.5)])
    for name in ("IQR", "MAD"):
        _, limit = BASELINES[name](use)
        assert limit[0] < 0.8 and limit[1] == 1.0


def a_result(**changes: object) -> Result:
    usual = Result("20110303", 16, "ours", 24.0, 105.0, 100.0, 0.003, 1.1, 60.0)
    return replace(usual, **changes)  # type: ignore[arg-type]


def test_a_bar_is_met_by_a_whole_day_that_keeps_all_three() -> None:
    bar = Bar(16, 1.07, 0.004, 1.2)
    assert bar.is_met_by(a_result())
    for short_of_it in ({"kwh": 107.1}, {"share_short": 0.0041}, {"moves_a_guest": 1.21}, {"hours": 23.0}):
        assert not bar.is_met_by(a_result(**short_of_it))
    assert bars_met([a_result()]) == ["ours on 20110303, 16 GiB: 1.070 at 0.40% and 1.2"]


def test_the_picture_has_a_panel_a_size_and_a_dot_a_result() -> None:
    results = [a_result(), a_result(who="ours at 5%", share_short=0.02), a_result(memory_gib=32)]
    drawn = ElementTree.fromstring(picture_of(results))
    assert len(drawn.findall("{*}g")) == 2
    assert len(drawn.findall(".//{*}circle")) == 3
    assert "1.050 at 0.30% and 1.10 migrations" in picture_of(results)


def test_what_was_measured_before_is_not_measured_again(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.jsonl"
    words = ["--traces", str(traces), "--days", "20110303", "--memory", "16", "--policies", "--hours", "0.25"]
    assert main([*words, "--baselines", "THR,LR", "--keep", str(kept)]) == 0
    said = capsys.readouterr().out
    assert "THR" in said and "over bound" in said and "none" in said
    before = kept.read_text()
    assert main([*words, "--baselines", "THR,LR", "--keep", str(kept)]) == 0
    assert kept.read_text() == before and len(before.splitlines()) == 2


@pytest.mark.long
def test_a_day_that_was_stopped_goes_on_and_costs_what_both_sittings_cost(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.jsonl"
    laid = day_of(traces / "planetlab" / "20110303.tar.xz", 16, hours=0.5)
    policy = load_policy(HERE / "policies" / "planetlab-16.yaml", "planetlab")
    folder = tmp_path / "kept.jsonl.halfway" / name_of(laid, policy, 1)
    stopped = Rehearsal(laid, policy, folder, must_stop=lambda: len(stopped.steps) > 0)
    with pytest.raises(Stopped):
        stopped.run()
    (folder / "cpu_seconds").write_text("1000.0")
    words = ["--traces", str(traces), "--days", "20110303", "--memory", "16", "--hours", "0.5", "--baselines", "-"]
    assert main([*words, "--policies", str(HERE / "policies" / "planetlab-16.yaml"), "--keep", str(kept)]) == 0
    capsys.readouterr()
    (result,) = kept_in(kept)
    assert result.cpu_seconds > 1000
    assert result.kwh == pytest.approx(Rehearsal(laid, policy, tmp_path / "in one go").run().kwh)
    assert not folder.exists()
