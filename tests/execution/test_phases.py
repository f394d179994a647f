"""The five phases of a move: what each leaves behind, who can see it, and that room is reserved first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.host import MEMORY
from balancer.errors import PlatformError, Prospect
from balancer.execution import Events, Limits, Result, Runner, look, settle_the_past
from balancer.platforms.base import MigrationOrder
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy import Policy
from balancer.site import gate_of
from balancer.store.journal import EntryState, JournalEntry, Phase
from balancer.store.reservations import Claim, Overbooked, Reservation
from tests.execution.stage import NOON, Stage, anything_goes, build, move, plan, power, sleep_steps

HALF = Policy.model_validate({"headroom": {"memory": 0.5, "cpu": 1.0}})


def reservation(stage: Stage, vm: str = "a", target: str = "h3", mib: float = 1024.0) -> Reservation:
    now = stage.clock.now()
    key = stage.world.id_of(vm) if vm in stage.world.guests else vm
    return Reservation(key, vm, "h1", target, mib, 0.5, now, now + timedelta(minutes=5))


def reserve(stage: Stage, wanted: Reservation, known: frozenset[int] = frozenset()) -> JournalEntry:
    """Begin a move as another process would that has reserved for it."""
    step = move(wanted.vm, wanted.source, wanted.target)
    entry = JournalEntry(stage.clock.now(), "another", step, wanted.vm_key, phase=Phase.REQUEST)
    return stage.store.journal.begin(entry, claim=Claim(wanted, known))


@pytest.fixture
def slow(tmp_path: Path) -> Stage:
    """A migration takes about a hundred seconds."""
    return build(tmp_path, {"h1": ["a", "b"], "h2": ["c"], "h3": []}, migration_mib_per_s=30)


def test_a_move_is_told_phase_by_phase(stage: Stage) -> None:
    events = Events()
    steps = plan(move("a", "h1", "h3"))
    Runner(stage.site, steps, anything_goes, events=events).run_to_end()
    assert [event.what for event in events.since()] == ["prepare", "transfer", "finalise", "done"]
    (entry,) = stage.store.journal.latest()
    assert (entry.state, entry.phase) == (EntryState.DONE, Phase.COMPLETE)
    assert entry.detail.startswith("took 2 s") and entry.detail.endswith("5 s predicted")


def test_while_it_is_copied_phase_share_speed_and_time_left_are_shown(slow: Stage) -> None:
    runner = slow.runner(move("a", "h1", "h3"))
    for _ in range(3):
        runner.advance()
        slow.wait(10)
    runner.advance()
    (under_way,) = runner.progress().running
    course = under_way.course
    assert course.phase is Phase.TRANSFER and slow.store.journal.unsettled()[0].phase is Phase.TRANSFER
    assert course.mib_per_s == pytest.approx(10)  # the link's 30, less what the guest dirties meanwhile
    assert course.share == pytest.approx(300 / 1024) and course.seconds_left == pytest.approx(72.4)
    assert str(course) == "transfer, 29%, 10 MiB/s, 72 s left"


def test_a_move_that_is_refused_in_prepare_touches_nothing_and_is_not_tried_again_soon(stage: Stage) -> None:
    class Narrow(SimulatedPlatform):
        def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
            return ("h3 has no network br7",)

    narrow = stage.with_platform(Narrow(stage.world))
    (outcome,) = narrow.run(move("a", "h1", "h3")).outcomes
    assert (outcome.result, outcome.detail) == (Result.REFUSED, "in prepare: h3 has no network br7")
    assert stage.store.journal.latest() == () and stage.store.reservations.all() == ()
    (setback,) = stage.store.failures.setbacks(stage.clock.now())
    assert (setback.target, setback.failures, setback.until) == ("h3", 1, stage.clock.now() + timedelta(minutes=30))


def test_an_end_that_cannot_be_asked_in_prepare_refuses_the_move(stage: Stage) -> None:
    class Mute(SimulatedPlatform):
        def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
            raise PlatformError("h3", "ask", "no answer", prospect=Prospect.NEVER_HERE)

    (outcome,) = stage.with_platform(Mute(stage.world)).run(move("a", "h1", "h3")).outcomes
    assert outcome.result is Result.REFUSED and stage.places()["a"] == "h1"
    (setback,) = stage.store.failures.setbacks(stage.clock.now())
    assert setback.until == stage.clock.now() + timedelta(days=1)


def test_room_is_reserved_for_as_long_as_the_move_is_open(slow: Stage) -> None:
    runner = slow.runner(move("a", "h1", "h3"))
    runner.advance()
    (reserved,) = slow.store.reservations.all()
    assert (reserved.vm, reserved.target, reserved.memory_mib) == ("a", "h3", 1024.0)
    runner.run_to_end()
    assert slow.store.reservations.all() == ()


def test_room_of_a_move_that_failed_or_was_recovered_is_released(slow: Stage) -> None:
    slow.world.fail_migration("a", 0.1)
    slow.run(move("a", "h1", "h3"))
    assert slow.store.reservations.all() == ()
    slow.runner(move("c", "h2", "h3")).advance()
    assert slow.store.reservations.all()
    slow.wait(300)
    settle_the_past(slow.after_restart().site)
    assert slow.store.reservations.all() == ()


def test_a_guest_that_cannot_be_seen_counts_where_room_is_reserved_for_it(stage: Stage) -> None:
    before = look(stage.site)
    reserve(stage, reservation(stage, vm="ghost", mib=4096.0))
    after = look(stage.site)
    assert before.host("h3").usable(MEMORY) - after.host("h3").usable(MEMORY) == 4096


def test_a_guest_that_is_seen_on_its_way_is_not_counted_twice(slow: Stage) -> None:
    slow.runner(move("a", "h1", "h3")).advance()
    seen = look(slow.site)
    assert seen.host("h3").usable(MEMORY) == 65536
    assert seen.used(seen.host("h3"), MEMORY) == pytest.approx(2048 + 1024)


class TestOverbooking:
    def test_two_runners_that_looked_at_the_same_moment_cannot_both_have_the_last_room(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": ["a"], "h2": ["b"], "h3": []})
        for vm in ("a", "b"):
            guest = stage.world.guests[vm]
            guest.spec = replace(guest.spec, memory_mib=20_000.0)
        gate = gate_of(HALF.at)  # 32 GiB may be used: room for one of them
        other = Runner(stage.site, plan(move("b", "h2", "h3")), gate)

        class Slow(SimulatedPlatform):
            def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
                if order.move.vm == "a":
                    other.advance()  # begins its own between our look and our order
                return super().preflight(order)

        one = Runner(stage.with_platform(Slow(stage.world)).site, plan(move("a", "h1", "h3")), gate)
        one.advance()
        assert [m.guest.spec.name for m in stage.world.transit.under_way] == ["b"]
        (outcome,) = one.run_to_end().outcomes
        other.run_to_end()
        assert outcome.result is Result.REFUSED and "headroom" in outcome.detail
        assert stage.places() == {"a": "h1", "b": "h3"}

    def test_a_claim_that_knows_of_the_others_is_granted(self, stage: Stage) -> None:
        first = reserve(stage, reservation(stage))
        with pytest.raises(Overbooked, match="room on h3 was reserved for a a moment ago"):
            reserve(stage, reservation(stage, vm="c"))
        assert len(stage.store.journal.unsettled()) == 1, "nothing is written where no room is granted"
        reserve(stage, reservation(stage, vm="c"), frozenset({first.id}))
        assert len(stage.store.reservations.all()) == 2

    def test_a_guest_has_room_reserved_once(self, stage: Stage) -> None:
        first = reserve(stage, reservation(stage))
        with pytest.raises(Overbooked, match="a has room reserved on h3 already"):
            reserve(stage, reservation(stage, target="h2"), frozenset({first.id}))


def test_expired_reservations_and_those_of_nothing_are_swept(stage: Stage) -> None:
    entry = reserve(stage, reservation(stage))
    stage.store.journal.settle(entry.id, EntryState.FAILED, "", stage.clock.now())  # without its consequences
    reserve(stage, replace(reservation(stage, vm="c", target="h1"), until=stage.clock.now()))
    gone = [str(settled) for settled in settle_the_past(stage.site) if "reserved" in str(settled)]
    assert len(gone) == 2 and stage.store.reservations.all() == ()


def test_a_host_with_room_reserved_keeps_its_power(stage: Stage) -> None:
    stage.make_ready_for_sleep("h3")
    entry = reserve(stage, reservation(stage, vm="ghost"))
    stage.store.journal.settle(entry.id, EntryState.FAILED, "", NOON)
    outcome = stage.run(power(sleep_steps("h3")[1].action, "h3")).outcomes[0]
    assert outcome.result is Result.REFUSED and "room is reserved for a move that touches it: 1024 MiB for ghost" in (
        outcome.detail
    )


class TestRecoveryBeginsAtThePhase:
    def open_entry(self, stage: Stage, phase: Phase) -> None:
        entry = reserve(stage, reservation(stage))
        stage.store.journal.enter(entry, phase)

    def test_a_job_whose_end_was_seen_is_settled_at_once(self, stage: Stage) -> None:
        self.open_entry(stage, Phase.FINALISE)
        settle_the_past(stage.after_restart().site)
        assert stage.store.journal.unsettled() == ()

    def test_one_that_may_be_on_the_wire_is_waited_for(self, stage: Stage) -> None:
        self.open_entry(stage, Phase.REQUEST)
        settle_the_past(stage.after_restart().site)
        assert stage.store.journal.unsettled() != ()

    def test_one_that_was_never_asked_for_is_no_failure(self, stage: Stage) -> None:
        self.open_entry(stage, Phase.REQUEST)
        stage.wait(60)
        settle_the_past(stage.site)
        assert stage.store.failures.since(NOON) == () and stage.store.journal.unsettled() == ()


class TestNoBarriers:
    def test_a_move_begins_as_soon_as_its_own_needs_are_met(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": ["a"], "h2": ["b"], "h3": ["c"], "h4": []})
        stage.world.hang_migration("b")
        steps = [move("a", "h1", "h4"), move("b", "h2", "h4"), move("c", "h3", "h1", "move-a")]
        runner = stage.runner(*(step.model_copy(update={"wave": 1 + (step.vm == "c")}) for step in steps))
        for _ in range(5):
            runner.advance()
            stage.wait(1)
        assert {p.step.vm for p in runner.progress().running} == {"b", "c"}

    def test_no_more_than_the_line_between_two_sites_bears(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {"h1": ["a"], "h2": ["b"], "h3": ["c"], "h4": [], "h5": []})
        for name, host in stage.world.hosts.items():
            host.spec = replace(host.spec, labels={"site": "north" if name in {"h1", "h2", "h3"} else "south"})
        steps = [move("a", "h1", "h4"), move("b", "h2", "h5"), move("c", "h3", "h1")]
        runner = stage.runner(*steps, limits=Limits(concurrent_between_sites=1))
        runner.advance()
        assert {p.step.vm for p in runner.progress().running} == {"a", "c"}
        assert len(runner.run_to_end().done) == 3


def test_a_source_that_keeps_its_definition_is_an_alarm(stage: Stage) -> None:
    class Keeping(SimulatedPlatform):
        def whereabouts(self, vm_id: str) -> Any:
            where = super().whereabouts(vm_id)
            return replace(where, defined_on=("h1", *where.defined_on)) if where.active_on == ("h3",) else where

    (outcome,) = stage.with_platform(Keeping(stage.world)).run(move("a", "h1", "h3")).outcomes
    assert (outcome.result, outcome.alarm) == (Result.DONE, True)
    assert "its old definition is still on h1" in outcome.detail


def test_a_failure_says_in_which_phase_it_happened(slow: Stage) -> None:
    slow.world.fail_migration("a", 0.2, "no more")
    (outcome,) = slow.run(move("a", "h1", "h3")).outcomes
    assert str(outcome) == "move a from h1 to h3: failed in finalise, no more"


class TestTheWorldChanges:
    def test_a_guest_that_grew_since_the_plan_is_not_moved_where_it_no_longer_fits(self, stage: Stage) -> None:
        steps = plan(move("a", "h1", "h3", memory_mib=1024.0), move("c", "h2", "h3"))
        guest = stage.world.guests["a"]
        guest.spec = replace(guest.spec, memory_mib=40_000.0)
        grown, other = Runner(stage.site, steps, gate_of(HALF.at)).run_to_end().outcomes
        assert grown.result is Result.REFUSED and "headroom" in grown.detail
        assert other.result is Result.DONE

    def test_a_rule_that_is_new_since_the_plan_holds_for_what_is_still_to_begin(self, stage: Stage) -> None:
        apart = {"constraints": [{"kind": "apart", "name": "pair", "vms": ["a", "c"]}]}
        runner = Runner(stage.site, plan(move("a", "h1", "h2")), gate_of(Policy.model_validate(apart).at))
        (outcome,) = runner.run_to_end().outcomes
        assert outcome.result is Result.REFUSED and "pair" in outcome.detail

    def test_a_target_that_died_since_the_plan_is_left_out_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        stage = build(tmp_path, {f"h{number}": [f"g{number}"] for number in range(1, 7)})
        stage.world.crash("h6")
        dead, alive = stage.run(move("g1", "h1", "h6"), move("g2", "h2", "h3")).outcomes
        assert (dead.result, alive.result) == (Result.REFUSED, Result.DONE)


def test_events_are_told_from_a_number_on_and_only_the_last_are_kept() -> None:
    events = Events(kept=2)
    assert events.wait(0, seconds=0) == ()
    for number in range(3):
        events.add(NOON, "plan-1", f"s{number}", "move a from h1 to h2", "transfer")
    assert [event.step_id for event in events.since()] == ["s1", "s2"]
    assert [event.number for event in events.wait(2, seconds=0)] == [3]
