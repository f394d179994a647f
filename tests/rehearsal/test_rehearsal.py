"""A policy lives through a record: on virtual time, by the live code, and what it cost is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from balancer.clock import HandSetClock
from balancer.domain.rehearsal_file import Failures, RehearsalFile
from balancer.domain.rehearsed import Odd, Rehearsed
from balancer.formats import read_text, to_json
from balancer.halfway import name_of
from balancer.policy import Policy
from balancer.rehearsal import Rehearsal, Stopped
from balancer.reporting.rehearsal import rehearsal_text
from balancer.simulation.laying import Laid, laid_on
from balancer.simulation.recorded import RecordedWorld
from balancer.simulation.traces.base import Trace, TracedGuest
from tests.reporting.reading import plain

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SITE = """schema: balancer.rehearsal/1
name: two
migration_mib_per_s: 64
hosts: [{count: 2, models: [{model: m, cpu_cores: 6, memory_mib: 16384, power: {watts: [100, 200], off_watts: 0}}]}]
guests: {otherwise: {cores: 4, memory_mib: 6144}, copying_share: 0.1}
empty_hosts_start: %s
failures: {migrations: %s}
"""
SAVER = """schema: balancer.policy/1
name: saver
mode: act
interval_seconds: 300
objectives: {least_power: {weight: 1}, few_moves: {weight: 0.001}}
stability: {hold_minutes: 0, sleep_after_minutes: 0, cooldown_minutes: 0, host_cooldown_minutes: 0}
demand: {window_minutes: 1, quantile: 0.95}
"""


def laid(*needs: list[float], homes: dict[str, str] | None = None, start: str = "on", failing: float = 0.0) -> Laid:
    guests = tuple(TracedGuest(f"g{place}") for place in range(len(needs)))
    trace = Trace("tiny", NOON, guests, np.array(needs, dtype=np.float32).T)
    made = laid_on(trace, read_text(SITE % (start, failing), RehearsalFile, "site"))
    return Laid(**{**made.__dict__, "homes": homes or {}})


def lived(folder: Path, record: Laid, policy: str = SAVER, seed: int = 1) -> Rehearsed:
    return Rehearsal(record, read_text(policy, Policy, "policy"), folder, seed).run()


def test_an_idle_host_is_emptied_and_sleeps_and_its_move_takes_memory_over_line(tmp_path: Path) -> None:
    run = lived(tmp_path, laid([0.5] * 8, [0.5] * 8, homes={"g0": "h0", "g1": "h1"}))
    assert run.steps[0].hosts_on == 2
    assert run.steps[-1].hosts_on == 1
    assert (run.moves, run.gib_moved) == (1, 6.0)
    assert run.alarms == ()
    assert run.kwh_at_least <= run.kwh < run.kwh_all_on
    moved = next(step for step in run.steps if step.plan)
    assert moved.plan is not None
    assert next(step.seconds for step in moved.plan.steps if step.is_move) >= 6144 / 64


def test_what_a_decision_sees_is_over(tmp_path: Path) -> None:
    """The rise comes in the fourth step; nobody can have known, so that step is short and the next cycle says why."""
    rise = [1, 1, 1, 4, 4, 4, 4.0]
    run = lived(tmp_path, laid(rise, rise, homes={"g0": "h0", "g1": "h0"}, start="off"))
    short = [step.hosts_short_of_cpu for step in run.steps]
    assert short[:3] == [0, 0, 0]
    assert short[3] == 1
    assert run.share_unmet > 0


def first_step_with_both_on(run: Rehearsed) -> int:
    return next(place for place, step in enumerate(run.steps) if step.hosts_active == 2)


def test_a_surge_between_two_looks_is_seen_by_a_glance_as_it_is_live(tmp_path: Path) -> None:
    """The rise is over in the third step; who only looks each half hour sees it at 12:35, in the eighth."""
    rise = [1, 1, *[4.0] * 8]
    record = laid(rise, rise, homes={"g0": "h0", "g1": "h0"}, start="off")
    seldom = SAVER.replace("interval_seconds: 300", "interval_seconds: 1800")
    watched = lived(tmp_path / "watched", record, seldom)
    unwatched = lived(tmp_path / "unwatched", record, seldom + "watch_seconds: 0\n")
    assert first_step_with_both_on(watched) == 3
    assert first_step_with_both_on(unwatched) == 7


def test_guests_come_and_go_and_none_vanishes(tmp_path: Path) -> None:
    nan = float("nan")
    run = lived(tmp_path, laid([1.0] * 5, [nan, nan, 1, 1, nan]))
    assert [step.guests for step in run.steps] == [1, 1, 2, 2, 1]


def test_a_guest_that_nobody_has_room_for_waits_and_is_told(tmp_path: Path) -> None:
    record = laid(*[[1.0] * 3 for _ in range(5)])
    run = lived(tmp_path, record)
    assert [step.guests_waiting for step in run.steps] == [1, 1, 1]
    assert [(one.what, one.guest) for one in run.oddities] == [(Odd.NO_ROOM, "g4")]


def test_migrations_fail_as_often_as_was_said_and_by_the_seed(tmp_path: Path) -> None:
    record = laid([0.5] * 6, [0.5] * 6, homes={"g0": "h0", "g1": "h1"}, failing=1.0)
    run = lived(tmp_path / "a", record)
    assert run.moves == 0
    assert run.moves_failed >= 1
    assert f"migrations that failed {run.moves_failed} " in " ".join(plain(rehearsal_text([run])).split()) + " "
    assert run.steps[-1].hosts_on == 2


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = lived(tmp_path, laid([1.0] * 3))
    assert read_text(to_json(run), Rehearsed, "found.json") == run


def test_two_runs_with_one_seed_are_the_same(tmp_path: Path) -> None:
    record = laid([0.5] * 6, [0.5] * 6, homes={"g0": "h0", "g1": "h1"}, failing=0.5)
    one, other = (lived(tmp_path / name, record) for name in "ab")
    figures = [(run.kwh, run.moves, [step.sentence for step in run.steps]) for run in (one, other)]
    assert figures[0] == figures[1]


def test_of_a_guest_without_a_size_it_is_said_where_to_write_one() -> None:
    trace = Trace("tiny", NOON, (TracedGuest("g"),), np.ones((2, 1), dtype=np.float32))
    text = (SITE % ("on", 0)).replace("otherwise: {cores: 4, memory_mib: 6144}, ", "")
    with pytest.raises(Exception, match="otherwise"):
        laid_on(trace, read_text(text, RehearsalFile, "site"))


def wavy() -> Laid:
    """A record in which a host falls asleep and wakes, a guest comes late, and boots and migrations may fail."""
    low, high, nan = [0.5] * 4, [3.5] * 4, float("nan")
    curves = [low + high + low + low, low + high + low + high, [nan] * 3 + [0.5] * 13]
    return laid(*curves, homes={"g0": "h0", "g1": "h1"}, failing=0.3)


@pytest.mark.parametrize(("steps", "interval"), [(3, 300), pytest.param(12, 300, marks=pytest.mark.long), (6, 900)])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, steps: int, interval: int) -> None:
    """Also where it is stopped between two looks: the next one comes when it was meant to."""
    wanted = SAVER.replace("quantile: 0.95", "risk: 0.05").replace("seconds: 300", f"seconds: {interval}")
    record, policy = wavy(), read_text(wanted, Policy, "policy")
    whole = Rehearsal(record, policy, tmp_path / "whole").run()
    assert whole.moves > 0 and min(s.hosts_on for s in whole.steps) < 2
    stopped = Rehearsal(record, policy, tmp_path / "stopped", must_stop=lambda: len(stopped.steps) == steps)
    with pytest.raises(Stopped) as told:
        stopped.run()
    assert told.value.done == steps
    lived_again: list[int] = []
    again = Rehearsal(record, policy, tmp_path / "stopped")
    found = again.run(lambda done, _: lived_again.append(done))
    assert lived_again[0] == told.value.kept + 1 > 1
    assert without_ids(found) == without_ids(whole)


def without_ids(run: Rehearsed) -> Rehearsed:
    """Return what was found without what is drawn anew for each plan."""
    steps = [
        s if s.plan is None else s.model_copy(update={"plan": s.plan.model_copy(update={"id": "-"})}) for s in run.steps
    ]
    return run.model_copy(update={"steps": tuple(steps)})


def test_another_record_policy_or_seed_is_kept_in_another_folder() -> None:
    record, policy = laid([0.5] * 3), read_text(SAVER, Policy, "policy")
    other = read_text(SAVER.replace("weight: 0.001", "weight: 0.002"), Policy, "policy")
    names = {name_of(record, policy, 1), name_of(record, policy, 2), name_of(record, other, 1)}
    names |= {name_of(laid([0.6] * 3), policy, 1), name_of(laid([0.5] * 3), policy, 1)}
    assert len(names) == 4


def test_on_a_record_of_half_hours_a_want_lasts_from_one_look_to_the_next(tmp_path: Path) -> None:
    record = laid([0.5] * 6, [0.5] * 6, homes={"g0": "h0", "g1": "h1"})
    slow = Laid(**{**record.__dict__, "step_seconds": 1800.0})
    patient = SAVER.replace("sleep_after_minutes: 0", "sleep_after_minutes: 40")
    run = lived(tmp_path, slow, patient)
    assert [step.hosts_on for step in run.steps][-1] == 1


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_migrations_and_boots_fail_at_the_rates_that_were_said(rate: float) -> None:
    """Drawn by the seed for each try: within four deviations of what so many tries have on average."""
    record = Laid(**{**laid([0.5] * 3).__dict__, "failures": Failures(migrations=rate, boots=rate)})
    clock = HandSetClock(NOON)
    world = RecordedWorld(clock, record, 1, "tiny")
    world.begin()
    guest, tries, failed_moves, failed_boots = world.guests["g0"], 300, 0, 0
    for _ in range(tries):
        here, there = guest.host, "h1" if guest.host == "h0" else "h0"
        world.begin_migration(guest.spec.id, there)
        clock.sleep(200)
        world.settle()
        failed_moves += guest.host == here
        empty = "h1" if guest.host == "h0" else "h0"
        world.cut_power(empty)
        world.power_on(empty)
        clock.sleep(1000)
        world.settle()
        failed_boots += not world.hosts[empty].answers
        while not world.hosts[empty].answers:
            world.cut_power(empty)
            world.power_on(empty)
            clock.sleep(1000)
            world.settle()
    allowed = 4 * (tries * rate * (1 - rate)) ** 0.5
    assert abs(failed_moves - tries * rate) <= allowed
    assert abs(failed_boots - tries * rate) <= allowed
    assert failed_moves != failed_boots  # each is drawn by itself
