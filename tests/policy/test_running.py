"""The policy in force while something is under way: a freeze begins, a file changes, the service as a process."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from balancer.cycle import run_cycle
from balancer.domain.plan import Plan, Step
from balancer.embedded import the_embedded_site
from balancer.execution import Result, Runner
from balancer.policy import Policy
from balancer.site import InForce, Site, gate_of, limits_of
from tests.execution.stage import Stage, build, move, plan, sleep_steps, wake_steps
from tests.policy.texts import HEAD, policy
from tests.test_service import Running, balancer_says, its_store, service

# The stage's clock begins at noon.
FREEZE = """
windows: {{backup: {{from: "12:00", to: "12:30"}}, later: {{from: "12:01", to: "12:30"}}}}
schedule: [{{during: {during}, set: {{freeze: {freeze}}}}}]
budget: {{concurrent_per_host: 1}}
"""


def frozen(during: str, freeze: str) -> Policy:
    return policy(FREEZE.format(during=during, freeze=freeze))


def runner(stage: Stage, in_force: InForce, *steps: Step) -> Runner:
    return Runner(stage.site, plan(*steps), gate_of(in_force), lambda moment: limits_of(in_force(moment)))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """At ten seconds to the minute after noon; a migration takes about seventeen."""
    built = build(tmp_path, {"h1": ["a", "b"], "h2": ["c"], "h3": []}, migration_mib_per_s=60)
    built.wait(50)
    return built


def test_a_freeze_that_begins_stops_new_steps_and_lets_running_migrations_end(stage: Stage) -> None:
    running = runner(stage, frozen("later", "moves").at, move("a", "h1", "h3"), move("b", "h1", "h2", "move-a"))
    report = running.run_to_end()
    assert {outcome.step.vm: outcome.result for outcome in report.outcomes} == {"a": Result.DONE, "b": Result.REFUSED}
    assert report.outcomes[1].detail == "the policy freezes moves now"
    assert stage.places() == {"a": "h3", "b": "h1", "c": "h2"}


def test_without_the_freeze_both_moves_are_made(stage: Stage) -> None:
    running = runner(stage, frozen("later", "power").at, move("a", "h1", "h3"), move("b", "h1", "h2", "move-a"))
    assert [outcome.result for outcome in running.run_to_end().outcomes] == [Result.DONE, Result.DONE]


def test_a_freeze_of_power_keeps_a_host_on_and_opens_it_again(stage: Stage) -> None:
    stage.make_ready_for_sleep("h3")
    stage.store.marks.uncordon("h3")
    report = runner(stage, frozen("backup", "power").at, *sleep_steps("h3")).run_to_end()
    assert report.outcomes[0].detail == "the policy freezes the sleep of hosts now"
    assert stage.phase("h3") == "up"
    assert stage.store.marks.of("h3").cordon is None


def test_a_freeze_of_all_lets_a_host_wake(stage: Stage) -> None:
    stage.make_ready_for_sleep("h3")
    stage.store.marks.uncordon("h3")
    runner(stage, policy("mode: act").at, *sleep_steps("h3")).run_to_end()
    assert stage.phase("h3") == "off"
    report = runner(stage, frozen("backup", "all").at, *wake_steps("h3")).run_to_end()
    assert (report.needs_replan, stage.phase("h3")) == (False, "up")


def test_a_step_is_begun_under_the_policy_that_was_read_last(stage: Stage) -> None:
    """The file is changed while the first guest is on its way."""
    in_force: list[Policy] = [policy("budget: {concurrent_per_host: 1}")]

    def now(moment: datetime) -> Policy:
        return in_force[0].at(moment)

    running = runner(stage, now, move("a", "h1", "h3"), move("b", "h1", "h3", "move-a"))
    running.advance()
    in_force[0] = policy("constraints: [{kind: apart, name: new, vms: [a, b]}]")
    report = running.run_to_end()
    assert [outcome.result for outcome in report.outcomes] == [Result.DONE, Result.REFUSED]
    assert "new" in report.outcomes[1].detail


def test_a_site_asks_again_before_each_step(stage: Stage) -> None:
    site = Site(stage.site, history=_NoHistory())  # type: ignore[arg-type]
    two: Plan = plan(move("a", "h1", "h3"), move("b", "h1", "h2", "move-a")).model_copy(update={"cluster": "lab"})
    begun = site.begin(two, frozen("later", "moves"))
    assert [outcome.result for outcome in begun.run_to_end().outcomes] == [Result.DONE, Result.REFUSED]


def test_no_step_is_begun_by_itself_once_the_mode_is_no_longer_act(stage: Stage) -> None:
    """Its window ends while the first guest is on its way; what a person has asked for goes on."""
    text = "windows: {w: {from: '12:00', to: '12:01'}}\nschedule: [{during: w, set: {mode: act}}]\n"
    site = Site(stage.site, history=_NoHistory())  # type: ignore[arg-type]
    two: Plan = plan(move("a", "h1", "h3"), move("b", "h1", "h2", "move-a")).model_copy(update={"cluster": "lab"})
    report = site.begin(two, policy(text), while_acting=True).run_to_end()
    assert [outcome.result for outcome in report.outcomes] == [Result.DONE, Result.SKIPPED]
    assert report.outcomes[1].detail == "the policy's mode is recommend now"
    other = plan(move("b", "h1", "h2"), at=stage.clock.now()).model_copy(update={"cluster": "lab"})
    assert [o.result for o in site.begin(other, policy(text)).run_to_end().outcomes] == [Result.DONE]


class _NoHistory:
    def record_event(self, *_: Any) -> None: ...


# -- the service as a process


def rewrite(running: Running, text: str) -> None:
    (running.state / "policy.yaml").write_text(HEAD + text)


def logged(running: Running, words: str) -> bool:
    return words in running.log.read_text()


EVEN = "objectives: {even_load: {weight: 1.0}}\nstability: {hold_minutes: 0}\n"


def test_a_changed_file_takes_effect_at_the_next_cycle_and_says_what_changed(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=1) as running:
        running.waits_for(lambda: not running.ill)
        rewrite(running, EVEN + "interval_seconds: 2\nmode: confirm\n")
        running.waits_for((tmp_path / "waiting-plan.json").exists)
        assert logged(running, "the policy was read again: mode recommend -> confirm; interval_seconds 1 -> 2")
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0


def test_a_bad_file_is_refused_loudly_and_the_service_works_on(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=1) as running:
        running.waits_for(lambda: not running.ill)
        rewrite(running, "mode: akt\nheadroom: {cpu: 90}\n")
        running.waits_for(lambda: logged(running, "did you mean 0.9?"))
        assert logged(running, "the policy file is refused, the old policy stays: ")
        running.waits_for(lambda: "did you mean `act`?" in balancer_says("health", state=tmp_path)[1])
        code, said = balancer_says("health", state=tmp_path)
        assert (code, said.partition(";")[0]) == (0, "well"), "a restart would only fail to start"
        rewrite(running, EVEN + "interval_seconds: 1\n")
        running.waits_for(lambda: balancer_says("health", state=tmp_path) == (0, "well"))
        assert running.log.read_text().count("did you mean 0.9?") == 1, "told once, not in each cycle"
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0


@pytest.mark.long
def test_a_hangup_has_the_file_read_at_once(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=300) as running:
        running.waits_for(lambda: not running.ill)
        rewrite(running, EVEN + "interval_seconds: 300\nseed: 7\n")
        running.is_told(signal.SIGHUP)
        running.waits_for(lambda: logged(running, "the policy was read again: seed 1 -> 7"))
        running.is_told(signal.SIGHUP)
        running.waits_for(lambda: logged(running, "the policy was read again: it says what it said"))
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0


@pytest.mark.long
def test_a_hangup_sets_the_new_interval_at_once(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=300) as running:
        running.waits_for(lambda: not running.ill)
        rewrite(running, EVEN + "interval_seconds: 1\nmode: confirm\n")
        running.is_told(signal.SIGHUP)
        running.waits_for((tmp_path / "waiting-plan.json").exists)
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0


@pytest.mark.long
def test_an_interval_that_changes_is_kept_to(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=1) as running:
        running.waits_for(lambda: not running.ill)
        rewrite(running, EVEN + "interval_seconds: 300\n")
        running.waits_for(lambda: logged(running, "the policy was read again: interval_seconds 1 -> 300"))
        rewrite(running, EVEN + "seed: 7\n")
        time.sleep(4)
        assert not logged(running, "seed"), "the next cycle, which would read it, is five minutes away"
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0


def test_a_cycle_looks_and_remembers_under_the_policy_in_force() -> None:
    """Within the window a guest that was just touched cools down; the rest of the day it does not."""
    text = "stability: {cooldown_minutes: 0}\nwindows: {ten: {from: '10:00', to: '11:00'}}\n"
    calm = policy(text + "schedule: [{during: ten, set: {stability: {cooldown_minutes: 60}}}]")
    with the_embedded_site() as site:
        touched = site.look().vms[0]
        site.acting.store.memory.touch(f"vm:{touched.key}", site.clock.now(), failed=False)
        assert touched.key in run_cycle(site, calm).memory.cooling_until
        site.clock.sleep(3600)
        assert touched.key not in run_cycle(site, calm).memory.cooling_until


def test_the_right_to_act_comes_and_goes_with_the_mode(tmp_path: Path) -> None:
    frozen_act = EVEN + "interval_seconds: 1\nmode: act\nfreeze: all\n"
    with service(tmp_path, interval_seconds=1) as running, its_store(tmp_path) as store:
        running.waits_for(lambda: not running.ill)
        assert store.lease.holder(datetime.now(UTC)) is None
        rewrite(running, frozen_act)
        running.waits_for(lambda: store.lease.holder(datetime.now(UTC)) is not None)
        rewrite(running, EVEN + "interval_seconds: 1\n")
        running.waits_for(lambda: store.lease.holder(datetime.now(UTC)) is None)
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0


def test_a_right_to_act_that_ran_out_is_asked_for_anew(tmp_path: Path) -> None:
    """As on a machine that stood still for longer than its lease."""
    with service(tmp_path, mode="act", interval_seconds=1) as running, its_store(tmp_path) as store:
        running.waits_for(lambda: store.lease.holder(datetime.now(UTC)) is not None)
        lost = store.lease.holder(datetime.now(UTC))
        assert lost is not None
        store.lease.release(lost.token, datetime.now(UTC))
        running.waits_for(lambda: (held := store.lease.holder(datetime.now(UTC))) is not None and held != lost)
        assert logged(running, "the right to act was lost, and is asked for anew")


def test_a_plan_is_not_gone_on_with_when_the_mode_is_no_longer_act(tmp_path: Path) -> None:
    """Four guests on one host, migrations of eight seconds, one at a time: the second is not begun."""
    slow = EVEN + "interval_seconds: 1\nbudget: {concurrent_per_host: 1}\n"
    with service(tmp_path, interval_seconds=1) as running, its_store(tmp_path) as store:
        rewrite(running, slow + "mode: act\n")
        running.waits_for(lambda: bool(store.journal.unsettled()))
        rewrite(running, slow)
        running.waits_for(lambda: logged(running, "carried out 1 of 2 steps"))
        running.waits_for(lambda: store.lease.holder(datetime.now(UTC)) is None)
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0
    assert not store.journal.unsettled()
