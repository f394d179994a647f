"""Migrations of every kind, carried out: what is kept of a guest, whoever sees the end, and what each has taught."""

from __future__ import annotations

import pytest

from balancer.domain.host import MEMORY
from balancer.domain.migration import MigrationOptions
from balancer.domain.plan import Step
from balancer.errors import PlatformError
from balancer.execution import Limits, Result, Settled, Verdict, look, settle_the_past
from balancer.platforms.base import MigrationOrder
from balancer.platforms.simulated import SimulatedPlatform
from balancer.simulation.machines import GuestSpec, GuestState, Orders, Phase, constantly
from tests.execution.stage import Stage, move, sleep_steps
from tests.execution.test_recovery import begun

POST_COPY = MigrationOptions(post_copy=True)
RESTART = MigrationOptions(restart=True)
DISK = MigrationOptions(copy_storage="all")
BUSY_TO_H3 = move("busy", "h1", "h3", kind="live", options=POST_COPY)
RESTARTED = move("a", "h1", "h3", kind="cold", options=RESTART)


@pytest.fixture
def busy(stage: Stage) -> Stage:
    """A stage with a guest on h1 that writes twice what a line carries."""
    stage.world.add_guest(GuestSpec("busy", 2, 8192, constantly(1.0), dirty_mib_per_s=2000), "h1")
    return stage


def settled(stage: Stage) -> Settled:
    (found,) = [each for each in settle_the_past(stage.site) if each.entry is not None]
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("live", POST_COPY),
        ("live", MigrationOptions(auto_converge=True)),
        ("warm", MigrationOptions(stop_seconds=20.0)),
        ("cold", RESTART),
    ],
)
def test_a_busy_guest_arrives_by_each_kind_and_runs(busy: Stage, kind: str, options: MigrationOptions) -> None:
    (outcome,) = busy.run(move("busy", "h1", "h3", kind=kind, options=options)).outcomes
    assert outcome.result is Result.DONE
    assert busy.places()["busy"] == "h3" and busy.is_running("busy")


def test_by_plain_copying_it_does_not_and_is_given_up(busy: Stage) -> None:
    (outcome,) = busy.run(move("busy", "h1", "h3", kind="live"), limits=Limits(migration_deadline_seconds=300)).outcomes
    assert outcome.result is Result.FAILED and "given up after" in outcome.detail
    assert busy.places()["busy"] == "h1" and busy.is_running("busy")


# -- cut in post-copy


def test_a_line_that_breaks_in_post_copy_is_mended_and_nothing_is_given_up(busy: Stage) -> None:
    busy.world.hang_migration("busy", at_share=0.75)
    (outcome,) = busy.run(BUSY_TO_H3).outcomes
    assert outcome.result is Result.DONE
    assert busy.places()["busy"] == "h3" and busy.world.casualties == []


def test_while_a_host_is_silent_a_cut_migration_stays_open_for_a_person_and_for_the_next_start(busy: Stage) -> None:
    def cut_off() -> None:
        busy.world.hang_migration("busy", at_share=0.75)
        busy.world.begin_migration(busy.world.id_of("busy"), "h3", Orders("live", POST_COPY))
        busy.wait(600)

    begun(busy, BUSY_TO_H3, seconds_ago=0)
    cut_off()
    found = settled(busy)
    assert (found.verdict, found.alarm) == (Verdict.ADOPTED, True)
    assert "it needs both hosts" in found.words
    busy.wait(60)
    assert settled(busy).verdict is Verdict.DONE
    assert busy.places()["busy"] == "h3"


# -- shut down to be moved


def shut_down_at(stage: Stage, host: str) -> None:
    """Leave the guest as a balancer does that was killed between shutting it down and starting it again."""
    guest = stage.world.guests["a"]
    guest.state, guest.host = GuestState.SHUT_OFF, host


@pytest.mark.parametrize(("host", "verdict"), [("h1", Verdict.UNDONE), ("h3", Verdict.DONE)])
def test_a_guest_that_was_shut_down_to_be_moved_is_started_by_whoever_finds_it(
    stage: Stage, host: str, verdict: Verdict
) -> None:
    begun(stage, RESTARTED)
    shut_down_at(stage, host)
    assert settled(stage).verdict is verdict
    assert stage.places()["a"] == host and stage.is_running("a")


def test_where_it_is_defined_twice_nothing_is_started(stage: Stage) -> None:
    begun(stage, RESTARTED)
    shut_down_at(stage, "h3")
    stage.world.leave_stale_definition("a", "h1")
    assert settled(stage).alarm
    assert not stage.is_running("a")


@pytest.mark.parametrize("host", ["h1", "h3"])
def test_until_it_runs_again_its_room_is_kept(stage: Stage, host: str) -> None:
    begun(stage, RESTARTED)
    shut_down_at(stage, host)
    seen = look(stage.site)
    assert sum(vm.need(MEMORY) for vm in seen.active_on("h3") if vm.name == "a") == 1024.0
    assert "a" in {vm.name for vm in seen.active_on(host)}


def test_a_host_that_sleeps_does_not_keep_it_off(stage: Stage) -> None:
    stage.make_ready_for_sleep("h2")
    stage.run(move("c", "h2", "h1"), *sleep_steps("h2", "move-c"))
    assert stage.phase("h2") is Phase.OFF
    begun(stage, RESTARTED)
    shut_down_at(stage, "h3")
    assert settled(stage).verdict is Verdict.DONE
    assert stage.is_running("a")


def test_a_host_that_may_only_have_lost_its_network_does(stage: Stage) -> None:
    begun(stage, RESTARTED)
    shut_down_at(stage, "h3")
    stage.world.make_unreachable("h2")
    assert settled(stage).alarm
    assert not stage.is_running("a")


def test_one_that_a_person_shut_down_before_it_was_asked_for_is_left_off(stage: Stage) -> None:
    class ShutDownByAPerson(SimulatedPlatform):
        def begin_migration(self, order: MigrationOrder) -> None:
            shut_down_at(stage, "h1")
            raise PlatformError("h1", "migrate a", "a cold migration, and the guest is shut off")

    (outcome,) = stage.with_platform(ShutDownByAPerson(stage.world)).run(RESTARTED).outcomes
    assert outcome.result is Result.FAILED
    assert not stage.is_running("a")


def test_a_guest_that_was_off_before_is_not_started(stage: Stage) -> None:
    begun(stage, move("a", "h1", "h3", kind="cold"))
    shut_down_at(stage, "h3")
    assert settled(stage).verdict is Verdict.DONE
    assert not stage.is_running("a")


# -- what is refused


def test_a_disk_that_is_here_alone_is_not_left_behind(stage: Stage) -> None:
    stage.world.add_guest(GuestSpec("files", 2, 1024, constantly(0.5), storage="local", disk_gib=1.0), "h1")
    (outcome,) = stage.run(move("files", "h1", "h3", kind="live")).outcomes
    assert outcome.result is Result.REFUSED and "its disk is on h1 alone" in outcome.detail
    (outcome,) = stage.run(move("files", "h1", "h3", kind="live", options=DISK)).outcomes
    assert outcome.result is Result.DONE


# -- what each has taught


def foretold(vm: str, **more: object) -> Step:
    facts = {"copied_mib": 1000.0, "modelled_mib": 1024.0, "link_mib_per_s": 1000.0, "kind": "live", **more}
    return move(vm, "h1", "h3", **facts)


def test_what_arrived_is_remembered_as_foretold_and_as_measured(stage: Stage) -> None:
    stage.run(foretold("a"))
    (past,) = stage.store.past_migrations.latest()
    assert (past.source, past.target, past.predicted_seconds, past.modelled_mib) == ("h1", "h3", 5.0, 1024.0)
    assert past.seconds == pytest.approx(1024 / 980, rel=0.01) and past.mib == pytest.approx(1024 / 0.98, rel=0.01)
    assert past.cap_mib_per_s is None and past.downtime_ms == 50.0


def test_what_failed_teaches_nothing(stage: Stage) -> None:
    stage.world.fail_migration("a")
    stage.run(foretold("a"))
    assert stage.store.past_migrations.latest() == ()


def test_the_past_is_read_newest_first_and_survives_a_restart(stage: Stage) -> None:
    stage.run(foretold("a"), foretold("b"))
    again = stage.after_restart().store.past_migrations.latest(1)
    assert [each.vm_key for each in again] == [stage.world.id_of("b")]
