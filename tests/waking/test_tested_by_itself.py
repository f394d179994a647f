"""Power tests that begin by themselves, in quiet hours: nights on virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.cycle import run_cycle
from balancer.domain.plan import Action, Because
from balancer.execution import Limits
from balancer.simulation.machines import Phase
from balancer.store.marks import IdentityProof, ProofMethod
from balancer.store.power_tests import TestResult
from tests.stability.town import Town, rules

EVENING = datetime(2026, 11, 23, 21, 30, tzinfo=UTC)
NIGHTLY = (
    "power: {test: {during: night, every_days: 30}}\n"
    "windows: {night: {from: 22:00, to: 02:00}}\n"
    "demand: {window_minutes: 1, quantile: 0.95}\n"
    "interval_seconds: 900\n"
    "objectives: {few_moves: {weight: 0.002}}\n"
)
RACK = {"h1": ["a-1", "a-2"], "h2": ["b-1"], "h3": []}
MONTHS = timedelta(days=40)


def town(folder: Path, more: str = "", homes: dict[str, list[str]] = RACK, loads: dict | None = None, **host) -> Town:  # type: ignore[type-arg,no-untyped-def]
    """A cluster whose hosts were seen to wake 40 days ago, but for h3, which never was."""
    made = Town(folder, homes, rules(NIGHTLY + more), loads or {}, begins=EVENING, **host)
    marks = made.site.acting.store.marks
    for name in homes:
        marks.quarantine(name, "-", EVENING)
        marks.release(name)
        if name != "h3":
            marks.prove_wake(name, EVENING - MONTHS)
    return made


def proven(town: Town) -> list[str]:
    """The hosts that were seen to wake since the story began, in that order."""
    found = [(m.wake_proven_at, name) for name, m in town.site.acting.store.marks.all().items() if m.wake_proven_at]
    return [name for at, name in sorted(found) if at > EVENING]


def test_a_night_proves_the_whole_rack_one_host_after_the_other(tmp_path: Path) -> None:
    there = town(tmp_path)
    there.live(25)
    assert there.done(Action.POWER_OFF) == []
    there.live(4 * 60)
    assert there.done(Action.POWER_OFF) == there.done(Action.POWER_ON) == ["h3", "h1", "h2"]
    assert proven(there) == ["h3", "h1", "h2"]


def test_its_plan_says_what_and_why_and_is_made_in_any_mode(tmp_path: Path) -> None:
    there = town(tmp_path)
    there.clock.sleep(3600)
    plan = run_cycle(there.site, there.policy.model_copy(update={"mode": "recommend"})).plan
    assert plan.summary.hosts_to_test == ("h3",) and plan.summary.hosts_to_sleep == ()
    assert [(step.action, step.host) for step in plan.steps] == [
        (Action.CORDON, "h3"),
        (Action.POWER_OFF, "h3"),
        (Action.POWER_ON, "h3"),
        (Action.WAIT_READY, "h3"),
        (Action.UNCORDON, "h3"),
    ]
    assert plan.steps[1].because == "a power test: it was never seen to wake"
    assert plan.wake_ups().steps == ()


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("never_boots", "did not wake within 10 min"),
        pytest.param("refuse_soft_shutdown", "was still on after 5 min", marks=pytest.mark.long),
        ("stop_bmc", "its power test failed: its BMC cannot be used"),
    ],
)
def test_one_that_fails_is_left_out_and_reported_and_the_others_are_proven(
    tmp_path: Path, trouble: str, says: str
) -> None:
    there = town(tmp_path)
    getattr(there.world, trouble)("h3")
    cycles = there.live(3 * 60)
    store = there.site.acting.store
    assert says in (store.marks.of("h3").quarantine or store).why  # type: ignore[union-attr]
    assert store.power_tests.all()["h3"].result is TestResult.FAILED
    assert proven(there) == ["h1", "h2"]
    said = next(kept for kept in cycles[-1].plan.kept if kept.subject == "host:h3")
    assert says in said.detail
    there.world.heal("h3")
    there.clock.sleep(21 * 3600)
    there.live(60)
    assert "h3" not in proven(there)  # until a person tests it
    assert there.world.casualties == []


def test_load_that_rises_in_the_window_keeps_a_test_from_beginning(tmp_path: Path) -> None:
    busy_from = EVENING + timedelta(minutes=45)
    loads = dict.fromkeys(["a-1", "a-2", "a-3", "b-1", "b-2", "b-3"], lambda at: 3.2 if at >= busy_from else 0.5)
    homes = {"h1": ["a-1", "a-2", "a-3"], "h2": ["b-1", "b-2", "b-3"]}
    there = town(tmp_path, homes=homes, loads=loads)
    there.live(40)
    assert there.done(Action.POWER_OFF) == ["h1"]
    cycles = there.live(4 * 60)
    assert there.done(Action.POWER_OFF) == ["h1"]
    waits = {kept.detail for cycle in cycles for kept in cycle.plan.kept if kept.because is Because.TEST_WAITS}
    assert any("cores are expected within" in detail for detail in waits), waits


@pytest.mark.long
def test_a_reserve_is_kept_while_a_host_is_away(tmp_path: Path) -> None:
    there = town(tmp_path, "constraints: [{kind: reserve, host_failures: 1}]\n", homes={"h1": ["a-1"], "h2": ["b-1"]})
    cycles = there.live(2 * 60)
    assert there.done(Action.POWER_OFF) == []
    assert any("reserve" in kept.detail for kept in cycles[-1].plan.kept if kept.because is Because.TEST_WAITS)


def test_a_sleeper_whose_proof_is_old_is_only_woken(tmp_path: Path) -> None:
    there = town(tmp_path)
    there.put_to_sleep("h3")
    there.live(60)
    assert there.done(Action.POWER_ON)[0] == "h3" and "h3" not in there.done(Action.POWER_OFF)
    assert "h3" in proven(there)


@pytest.mark.long
def test_a_bmc_that_reports_no_guid_is_tried_by_a_person_first(tmp_path: Path) -> None:
    there = town(tmp_path, bmc_has_guid=False)
    there.live(2 * 60)
    assert there.done(Action.POWER_OFF) == []
    assert there.world.casualties == []
    quarantine = there.site.acting.store.marks.of("h3").quarantine
    assert quarantine is not None and "is not proven to be its own" in quarantine.why


def tried_once(there: Town) -> Town:
    """Each BMC was seen to be its host's own by watching, since none reports a GUID."""
    for name, switch in there.site.acting.switches.items():
        uuid = there.site.acting.platform.host_uuid(name)
        proof = IdentityProof(EVENING - MONTHS, ProofMethod.WITNESSED, switch.address, None, uuid)
        there.site.acting.store.marks.prove_identity(name, proof)
    return there


def test_bmcs_that_were_tried_once_are_tested_by_themselves(tmp_path: Path) -> None:
    there = tried_once(town(tmp_path, bmc_has_guid=False))
    there.live(5 * 60)
    assert proven(there) == ["h3", "h1", "h2"]


@pytest.mark.long
def test_a_host_that_another_goes_down_with_leaves_the_scheme_and_all_are_brought_back(tmp_path: Path) -> None:
    """The cables of h3 and h2 were exchanged since, and nothing but watching can tell."""
    there = tried_once(town(tmp_path, bmc_has_guid=False))
    there.world.swap_bmcs("h3", "h2")
    until(there, "h2", Phase.SHUTTING_DOWN)
    (runner,) = there.site.runners
    there.act_until(there.clock.now() + timedelta(minutes=30))
    store = there.site.acting.store
    marks, test = store.marks.of("h3"), store.power_tests.all()["h3"]
    assert test.result is TestResult.FAILED
    assert test.words == "h2 went silent while h3 was tested; is simulated:h3 the BMC of h2?"
    assert marks.quarantine is not None and marks.quarantine.why == test.words and marks.cordon is not None
    assert [outcome.step.action for outcome in runner.report().outcomes if outcome.alarm] == [Action.POWER_OFF]
    assert all(there.is_up(name) for name in RACK)
    assert "h3" not in proven(there)


def test_another_that_goes_while_the_host_comes_back_is_no_proof_either(tmp_path: Path) -> None:
    there = town(tmp_path)
    until(there, "h3", Phase.BOOTING)
    there.world.make_unreachable("h2")
    there.act_until(there.clock.now() + timedelta(minutes=30))
    store = there.site.acting.store
    assert store.power_tests.all()["h3"].result is TestResult.FAILED
    quarantine = store.marks.of("h3").quarantine
    assert quarantine is not None and quarantine.why.startswith("h2 went silent while h3 was tested")
    assert "h3" not in proven(there)
    assert "h2 did not return within the deadline" in store.power_tests.all()["h3"].words and there.is_up("h3")


@pytest.mark.long
def test_another_that_was_put_to_sleep_meanwhile_is_no_reason_to_doubt(tmp_path: Path) -> None:
    there = town(tmp_path, homes={**RACK, "h4": []})
    until(there, "h3", Phase.BOOTING)
    there.put_to_sleep("h4")
    there.act_until(there.clock.now() + timedelta(minutes=30))
    assert proven(there) == ["h3"]


def test_the_power_is_not_cut_in_a_test_whatever_the_policy_says(tmp_path: Path) -> None:
    """The exchanged BMC is of a host that does not obey a soft shutdown: to cut its power would kill its guests."""
    there = tried_once(town(tmp_path, bmc_has_guid=False))
    there.policy = there.policy.model_copy(update={"power": there.policy.power.model_copy(update={"hard_off": True})})
    there.world.swap_bmcs("h3", "h2")
    there.world.refuse_soft_shutdown("h2")
    there.live(60)
    assert there.world.casualties == []
    quarantine = there.site.acting.store.marks.of("h3").quarantine
    assert quarantine is not None and "was still on after 5 min" in quarantine.why


def until(there: Town, host: str, phase: Phase) -> None:
    """Live until a host under test has come so far."""
    give_up = EVENING + timedelta(hours=4)
    while there.clock.now() < give_up:
        there.world.settle()
        if there.world.hosts[host].phase is phase:
            return
        plan = None if there.site.runners else run_cycle(there.site, there.policy).safe
        if plan is not None:
            there.site.begin(plan, there.policy)
        there.act_until(there.clock.now() + timedelta(seconds=1 if there.site.runners else 600))
    raise AssertionError(f"{host} was never {phase}")


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param(Phase.SHUTTING_DOWN, marks=pytest.mark.long),
        Phase.OFF,
        pytest.param(Phase.BOOTING, marks=pytest.mark.long),
    ],
)
@pytest.mark.long
def test_a_balancer_that_is_killed_in_mid_test_brings_the_host_back(tmp_path: Path, phase: Phase) -> None:
    there = town(tmp_path)
    until(there, "h3", phase)
    there.restart()
    there.live(30)
    assert there.is_up("h3")
    marks = there.site.acting.store.marks.of("h3")
    assert marks.cordon is None and not marks.asleep_by_us and marks.quarantine is None
    there.live(3 * 60)
    assert sorted(proven(there)) == ["h1", "h2", "h3"]
    assert there.world.casualties == []


def test_it_is_brought_back_by_day_too(tmp_path: Path) -> None:
    there = town(tmp_path)
    until(there, "h3", Phase.OFF)
    there.site.close()
    there.clock.sleep(12 * 3600)
    there.site = there._opened()
    there.live(30)
    assert there.is_up("h3") and proven(there) == ["h3"]


@pytest.mark.parametrize("how", ["stop", "pause", pytest.param("mode", marks=pytest.mark.long)])
@pytest.mark.long
def test_a_stop_in_mid_test_leaves_no_host_switched_off(tmp_path: Path, how: str) -> None:
    there = town(tmp_path)
    until(there, "h3", Phase.OFF)
    (runner,) = there.site.runners
    if how == "stop":
        runner.stop("the service was told to stop")
    elif how == "pause":
        there.site.acting.store.halts.pause("me", "looking", there.clock.now())
    else:
        runner._limits_at = lambda _: Limits(stopped="the policy's mode is recommend now")
    there.act_until(there.clock.now() + timedelta(minutes=15))
    assert there.is_up("h3") and there.site.runners == []
    assert "h3" in proven(there)
