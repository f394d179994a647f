"""kill -9 at every instant of a plan, then a new start: no guest is lost or doubled, nothing is left half-way."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.domain.plan import Step
from balancer.execution import Held, Limits, Verdict, settle_the_past
from balancer.power.base import PowerState
from balancer.store.journal import EntryState
from tests.execution.killing import Killed, Killer
from tests.execution.stage import NOON, Stage, build, move, sleep_steps, wake_steps


def night(stage: Stage) -> tuple[Step, ...]:
    """Empty h2 and switch it off; move another guest meanwhile."""
    stage.make_ready_for_sleep("h2")
    stage.store.marks.uncordon("h2")
    closed, off = sleep_steps("h2", "move-c")
    return closed, move("c", "h2", "h3", closed.id), move("a", "h1", "h3"), off


def morning(stage: Stage) -> tuple[Step, ...]:
    """h2 sleeps: wake it and give it a guest."""
    stage.make_ready_for_sleep("h2")
    stage.run(*sleep_steps("h2"))
    on, ready = wake_steps("h2")
    return on, ready, move("b", "h1", "h2", ready.id)


def a_bad_night(stage: Stage) -> tuple[Step, ...]:
    """One migration hangs and is given up, one lies about its success, and the shutdown has to be made hard."""
    stage.world.hang_migration("a")
    stage.world.succeed_but_report_failure("c")
    stage.world.refuse_soft_shutdown("h2")
    return night(stage)


def check_that_nobody_was_harmed(stage: Stage, story: str) -> None:
    stage.world.settle()
    assert stage.world.casualties == [], story
    for name, guest in stage.world.guests.items():
        assert stage.is_running(name), f"{story}: {name} does not run"
        assert stage.phase(guest.host) == "up", f"{story}: {name} is on {guest.host}, which is off"


def check_that_the_past_is_settled(stage: Stage, story: str) -> None:
    assert stage.store.journal.unsettled() == (), story
    arrived = [e for e in stage.store.journal.latest() if e.step.is_move and e.state is EntryState.DONE]
    assert stage.store.memory.spent_since(NOON).moves >= len(arrived), f"{story}: what was moved is not remembered"
    for host in stage.world.hosts:
        marks, is_off = stage.store.marks.of(host), stage.phase(host) == "off"
        assert marks.asleep_by_us == is_off, f"{story}: {host} is {stage.phase(host)}, marked {marks}"
        closed_for_a_reason = is_off or marks.quarantine is not None
        assert (marks.cordon is not None) == closed_for_a_reason, f"{story}: {host} {marks}"


def settle_in_time(stage: Stage, rounds: int = 60) -> None:
    """Look again and again, as the cycle does, until nothing is open."""
    for _ in range(rounds):
        settled = settle_the_past(stage.site)
        if not settled and not stage.store.journal.unsettled():
            return
        stage.wait(30)


@pytest.mark.parametrize(
    "seconds_dead", [pytest.param(0, id="restarted at once"), pytest.param(40, id="later", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("story", [night, morning, a_bad_night], ids=lambda story: story.__name__)
def test_killed_at_any_instant(tmp_path: Path, story: object, seconds_dead: int) -> None:
    instant = 0
    while True:
        instant += 1
        folder = tmp_path / str(instant)
        folder.mkdir()
        stage = build(folder, {"h1": ["a", "b"], "h2": ["c"] if story is not morning else [], "h3": []})
        steps = story(stage)  # type: ignore[operator]
        killer = Killer(instant)
        try:
            killer.watches(stage).run(*steps, limits=Limits(hard_off_allowed=True, poll_seconds=10))
            break
        except Killed:
            told = f"{story.__name__}, killed at instant {instant}"  # type: ignore[attr-defined]
        stage.wait(seconds_dead)
        reborn = stage.after_restart()
        settle_in_time(reborn)
        check_that_nobody_was_harmed(reborn, told)
        check_that_the_past_is_settled(reborn, told)
    assert instant > 30, "the story has to have instants to die at"
    assert stage.phase("h2") == ("up" if story is morning else "off"), "the story has to be told to its end"


def test_a_second_death_during_recovery_harms_nobody(tmp_path: Path) -> None:
    instant = 0
    while True:
        instant += 1
        folder = tmp_path / str(instant)
        folder.mkdir()
        stage = build(folder, {"h1": ["a", "b"], "h2": ["c"], "h3": []})
        stage.make_ready_for_sleep("h3")
        runner = stage.runner(move("a", "h1", "h2"), *sleep_steps("h3"))
        for _ in range(2):
            runner.advance()
        stage.wait(60)
        try:
            settle_in_time(Killer(instant).watches(stage.after_restart()))
            break
        except Killed:
            reborn = stage.after_restart()
        settle_in_time(reborn)
        check_that_nobody_was_harmed(reborn, f"killed at instant {instant} of recovery")
        check_that_the_past_is_settled(reborn, f"killed at instant {instant} of recovery")
    assert instant > 4


def test_after_any_death_the_same_plan_can_be_made_again(tmp_path: Path) -> None:
    """What a restart leaves behind is a place to go on from."""
    stage = build(tmp_path, {"h1": ["a", "b"], "h2": ["c"], "h3": []})
    steps = night(stage)
    with pytest.raises(Killed):
        Killer(12).watches(stage).run(*steps)
    reborn = stage.after_restart()
    settle_in_time(reborn)
    rest = [move(vm, home, "h3") for vm, home in reborn.places().items() if vm in {"a", "c"} and home != "h3"]
    reborn.make_ready_for_sleep("h2")
    report = reborn.run(*rest, *sleep_steps("h2", *(step.id for step in rest)))
    assert not report.needs_replan
    assert reborn.site.switches["h2"].state() is PowerState.OFF


def test_recovery_does_not_wait_for_a_step_of_a_runner_that_lives(tmp_path: Path) -> None:
    stage = build(tmp_path, {"h1": ["a"], "h2": []})
    runner = stage.runner(move("a", "h1", "h2"))
    runner.advance()
    assert settle_the_past(stage.site, held=Held.by([runner])) == ()
    assert [s.verdict for s in settle_the_past(stage.site)] == [Verdict.ADOPTED]
