"""Each kind of migration does to a simulated guest what the real one does."""

from __future__ import annotations

import pytest

from balancer.domain.migration import MigrationOptions
from balancer.errors import PlatformError
from balancer.simulation.machines import GuestSpec, GuestState, Orders, constantly
from balancer.simulation.world import World
from tests.simulation.worlds import guest, place_of, world_of

SLOWED = Orders("live", MigrationOptions(auto_converge=True))
POST_COPY = Orders("live", MigrationOptions(post_copy=True))
WITH_DISK = Orders("live", MigrationOptions(copy_storage="all"))
WARM = Orders("warm", MigrationOptions(stop_seconds=20))
RESTARTED = Orders("cold", MigrationOptions(restart=True))


def send(world: World, orders: Orders, vm: str = "a") -> None:
    world.begin_migration(world.id_of(vm), "h2", orders)


def disk_of(gib: float) -> GuestSpec:
    return GuestSpec("a", 2, 1000, constantly(1.0), dirty_mib_per_s=0, storage="local", disk_gib=gib)


def state_of(world: World) -> GuestState:
    world.settle()
    return world.guests["a"].state


# 1000 MiB over a link of 100 MiB/s


def test_a_guest_that_writes_faster_than_the_line_is_never_copied_by_itself() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=100))
    send(world, Orders())
    clock.sleep(100_000)
    assert place_of(world, "a") == "h1" and world.transit.under_way


def test_slowed_down_it_arrives_and_gets_less_done_meanwhile() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=500))
    send(world, SLOWED)
    clock.sleep(99.9)
    world.settle()
    assert world.demand_of(world.guests["a"]) == pytest.approx(90 / 500)
    clock.sleep(0.2)
    assert place_of(world, "a") == "h2"
    assert world.demand_of(world.guests["a"]) == 1.0


def test_by_post_copy_it_arrives_after_two_passes_at_most_and_never_stands_still() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=500))
    send(world, POST_COPY)
    clock.sleep(19.9)
    world.settle()
    assert (place_of(world, "a"), world.guests["a"].state) == ("h1", GuestState.RUNNING)
    clock.sleep(0.2)
    assert place_of(world, "a") == "h2"


def test_post_copy_is_not_begun_where_copying_keeps_up() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=50))
    send(world, POST_COPY)
    clock.sleep(20.1)
    assert place_of(world, "a") == "h2"


def test_in_post_copy_there_is_no_way_back_and_a_cut_line_can_be_mended() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=500))
    world.hang_migration("a", at_share=0.75)
    send(world, POST_COPY)
    clock.sleep(60)
    world.settle()
    (migration,) = world.transit.under_way
    assert migration.is_cut
    with pytest.raises(PlatformError, match="post-copy"):
        world.abort_migration(world.id_of("a"))
    world.mend_migration("a")
    clock.sleep(5.1)
    assert place_of(world, "a") == "h2"


def test_in_post_copy_a_guest_needs_both_its_ends() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=500))
    send(world, POST_COPY)
    clock.sleep(15)
    world.cut_power("h2")
    assert [casualty.vm for casualty in world.casualties] == ["a"]


def test_warm_it_stands_still_for_what_one_pass_has_left() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=50))
    send(world, WARM)
    clock.sleep(9.9)
    world.settle()
    assert state_of(world) is GuestState.RUNNING
    clock.sleep(0.2)
    assert state_of(world) is GuestState.PAUSED
    clock.sleep(5)
    world.settle()
    migration = world.transit.last_of(world.id_of("a"))
    assert migration is not None and migration.stopped_seconds == pytest.approx(5)
    assert (place_of(world, "a"), world.guests["a"].state) == ("h2", GuestState.RUNNING)


def test_a_warm_migration_that_is_given_up_lets_its_guest_go_on() -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=50))
    send(world, WARM)
    clock.sleep(12)
    world.abort_migration(world.id_of("a"))
    assert (place_of(world, "a"), world.guests["a"].state) == ("h1", GuestState.RUNNING)


def test_a_local_disk_takes_as_long_as_the_line_makes_it_and_stays_behind_by_no_other_way() -> None:
    world, clock = world_of(disk_of(gib=2))
    with pytest.raises(PlatformError, match="its disk is on this host alone"):
        send(world, Orders())
    send(world, WITH_DISK)
    clock.sleep(30.4)  # 2048 MiB of disk and 1000 of memory
    assert place_of(world, "a") == "h1"
    clock.sleep(0.2)
    assert place_of(world, "a") == "h2"


def test_a_restarted_guest_stands_still_and_keeps_its_memory_free_at_both_ends() -> None:
    world, clock = world_of(guest("a", 9000))
    send(world, RESTARTED)
    taken = [world.memory_taken_mib(host) for host in ("h1", "h2")]
    assert world.guests["a"].state is GuestState.SHUT_OFF
    assert min(taken) >= 9000
    clock.sleep(1)
    assert (place_of(world, "a"), world.guests["a"].state) == ("h2", GuestState.RUNNING)


def test_a_restart_that_fails_starts_its_guest_where_it_was() -> None:
    world, clock = world_of(guest("a"))
    world.fail_migration("a")
    send(world, RESTARTED)
    clock.sleep(1)
    assert (place_of(world, "a"), world.guests["a"].state) == ("h1", GuestState.RUNNING)


def test_a_restart_is_refused_to_a_guest_that_would_be_gone() -> None:
    world, _ = world_of(GuestSpec("a", 1, 512, constantly(0), persistent=False))
    with pytest.raises(PlatformError, match="transient"):
        send(world, RESTARTED)
