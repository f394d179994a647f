"""Ten traps that other balancers fell into, and where each is held.

1   missing samples read as idle                 here; tests/demand, tests/waking/test_trust.py
2   never waking, or waking what others halted   here; tests/planning/test_waking.py, tests/execution/test_power_on.py
3   migrating before power is on                 here; tests/execution/test_power_on.py
4   unordered diffs                              tests/stability/test_traps.py (TestOrder)
5   oscillation                                  tests/stability/test_traps.py (TestOscillation), test_in_time.py
6   a storm of repeated actions                  tests/stability/test_traps.py (TestStorm)
7   bad numbers obeyed                           here; tests/demand/test_quantile.py
8   false success, failure and time-outs         tests/execution/test_power_off.py, tests/execution/test_recovery.py
9   two leaders                                  here; tests/pair/test_pair.py
10  exclusions that evacuation ignores           here; tests/planning/test_draining.py
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.plan import Action
from balancer.domain.site_file import SiteFile
from balancer.errors import InputError, PowerError
from balancer.execution import Result
from balancer.formats import read_text
from balancer.power.simulated import SimulatedSwitch
from tests.execution.stage import build, sleep_steps
from tests.stability.town import NOON, Town, rules
from tests.waking.test_trust import CALM, SLEEPY

SURGE = NOON + timedelta(minutes=9)
CROWD = [f"g-{n}" for n in range(8)]


def crowded(folder: Path, *others: str, cores: float = 3.0) -> Town:
    """Eight guests on h1 that want more hosts from a moment on: with 3 cores each two, with 4 three."""
    loads = dict.fromkeys(CROWD, lambda at: cores if at >= SURGE else 0.3)
    return Town(folder, {"h1": CROWD} | {host: [] for host in others}, rules(SLEEPY), loads)


def test_trap_1_a_host_with_new_guests_only_is_not_taken_for_idle(tmp_path: Path) -> None:
    town = Town(tmp_path, CALM, rules(SLEEPY), {})
    for new in ("b-1", "c-1"):
        town.world.forget_metrics(new)
    cycle = town.live(90)[-1]
    assert town.done(Action.POWER_OFF) == []
    assert all(cycle.seen.vm(new).need("cpu") == 4.0 for new in ("b-1", "c-1"))  # all their vCPUs


def test_trap_2_without_a_reserve_what_we_put_to_sleep_is_woken_and_what_others_halted_is_not(tmp_path: Path) -> None:
    town = crowded(tmp_path, "h2", "h3", "h4", cores=4.0)
    town.put_to_sleep("h2")
    for halted in ("h3", "h4"):
        town.world.cut_power(halted)
    cycles = town.live(40)
    assert {host for cycle in cycles for host in cycle.plan.summary.hosts_to_wake} == {"h2"}
    assert town.done(Action.POWER_ON) == ["h2"]
    assert [host for host in town.world.hosts if town.is_up(host)] == ["h1", "h2"]


def test_trap_3_no_guest_sets_out_before_the_hypervisor_of_its_target_answers(tmp_path: Path) -> None:
    town = crowded(tmp_path, "h2")
    town.put_to_sleep("h2")
    town.live(40)
    entries = town.site.acting.store.journal.latest(100)
    ready = max(e.settled_at for e in entries if e.action is Action.WAIT_READY and e.settled_at is not None)
    set_out = [entry.at for entry in entries if entry.action is Action.MOVE and entry.step.target == "h2"]
    assert set_out and min(set_out) >= ready
    assert ready - min(e.at for e in entries if e.action is Action.POWER_ON) >= timedelta(seconds=120)  # of its boot


@pytest.mark.parametrize("said", ['"False"', '"no"', "0"])
def test_trap_7_a_word_that_is_no_truth_value_is_refused_not_read_as_true(said: str) -> None:
    text = f"cluster: lab\nplatform: {{kind: simulated}}\nhosts: [{{name: h1, may_sleep: {said}}}]\n"
    with pytest.raises(InputError, match="may_sleep"):
        read_text(f"schema: balancer.site/1\n{text}", SiteFile, "site.yaml")


@pytest.mark.parametrize("cores", [-1.0, 400.0, float("nan")])
def test_trap_7_numbers_that_cannot_be_put_nothing_to_sleep(tmp_path: Path, cores: float) -> None:
    town = Town(tmp_path, CALM, rules(SLEEPY), {})
    town.world.absurd_metrics("b-1", cores)
    town.live(60)
    assert town.done(Action.POWER_OFF) == []


def test_trap_9_of_two_leaders_the_one_that_was_overtaken_begins_nothing(tmp_path: Path) -> None:
    stage = build(tmp_path, {"h1": ["a"], "h2": []})
    first = stage.store.lease.acquire("one", 60.0, stage.clock.now())
    assert stage.store.lease.acquire("two", 60.0, stage.clock.now()) is None
    overtaken = replace(stage, site=replace(stage.site, token=first))
    stage.make_ready_for_sleep("h2")
    stage.wait(120)
    assert stage.store.lease.acquire("two", 60.0, stage.clock.now())
    report = overtaken.run(*sleep_steps("h2"))
    assert Result.DONE not in {outcome.result for outcome in report.outcomes}
    assert stage.store.journal.latest() == ()
    stage.wait(120)
    assert stage.phase("h2") == "up"


def test_trap_10_an_evacuation_keeps_to_what_the_planner_keeps_to(tmp_path: Path) -> None:
    policy = "constraints: [{kind: not_on, name: licence, match: {app: a}, hosts: [h3]}]\n"
    town = Town(tmp_path, {"h1": ["a-1", "a-2"], "h2": ["b-1"], "h3": []}, rules(policy), {})
    town.site.acting.store.drains.ask("h1", "me", "new fans", town.clock.now())
    town.live(20)
    assert town.guests_on("h2") >= {"a-1", "a-2"}
    assert not town.guests_on("h3") & {"a-1", "a-2"}


def test_trap_10_off_that_answers_with_an_error_since_it_is_off_already_is_seen_to_be_off(tmp_path: Path) -> None:
    class OffAlready(SimulatedSwitch):
        def shut_down(self) -> None:
            stage.world.cut_power(self.host)
            raise PowerError(self.host, "shut down", "the chassis is off already", "")

    stage = build(tmp_path, {"h1": ["a"], "h2": []})
    stage.make_ready_for_sleep("h2")
    switches = {**stage.site.switches, "h2": OffAlready(stage.world, "h2")}
    report = replace(stage, site=replace(stage.site, switches=switches)).run(*sleep_steps("h2"))
    assert [outcome.result for outcome in report.outcomes] == [Result.DONE, Result.DONE]
    assert stage.store.marks.of("h2").asleep_by_us
