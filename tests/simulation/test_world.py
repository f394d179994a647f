"""Migrations take the time that memory takes, and what has no power runs nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import pytest

from balancer.domain.vm import Movable
from balancer.errors import PlatformError
from balancer.simulation.machines import GuestSpec, GuestState, HostSpec, Phase, constantly
from balancer.simulation.world import World
from tests.simulation.worlds import guest, phase_of, place_of, world_of

# -- time on the way: 1000 MiB over a link of 100 MiB/s


@pytest.mark.parametrize(
    ("dirty_mib_per_s", "seconds"),
    [(0, 10), (50, 20), (80, 50), (90, 100)],  # memory / bandwidth * 1 / (1 - x)
)
def test_a_migration_takes_longer_the_faster_its_guest_dirties_memory(dirty_mib_per_s: float, seconds: float) -> None:
    world, clock = world_of(guest("a", dirty_mib_per_s=dirty_mib_per_s))
    world.move_by_hand("a", "h2")
    clock.sleep(seconds - 0.1)
    assert place_of(world, "a") == "h1"
    clock.sleep(0.2)
    assert place_of(world, "a") == "h2"


def test_two_migrations_from_one_host_share_its_link_until_one_has_ended() -> None:
    world, clock = world_of(guest("small", 500), guest("large", 1000))
    world.move_by_hand("small", "h2")
    world.move_by_hand("large", "h3")
    clock.sleep(10.1)  # 50 MiB/s each
    assert (place_of(world, "small"), place_of(world, "large")) == ("h2", "h1")
    clock.sleep(5)  # and then 100 MiB/s for the half that is left
    assert place_of(world, "large") == "h3"


def test_it_does_not_matter_how_often_somebody_looks() -> None:
    seldom, often = world_of(guest("a", dirty_mib_per_s=30)), world_of(guest("a", dirty_mib_per_s=30))
    for world, clock in (seldom, often):
        world.move_by_hand("a", "h2")
        for _ in range(1 if world is seldom[0] else 100):
            clock.sleep(10 if world is seldom[0] else 0.1)
            world.settle()
    copied = [world.transit.under_way[0].copied_mib for world, _ in (seldom, often)]
    assert copied == pytest.approx([700, 700], abs=0.1)


# -- memory


def test_memory_is_taken_at_both_ends_while_a_guest_is_on_its_way() -> None:
    world, clock = world_of(guest("a", 1000))
    world.move_by_hand("a", "h2")
    assert [world.memory_taken_mib(name) for name in ("h1", "h2", "h3")] == [3048, 3048, 2048]
    clock.sleep(11)
    world.settle()
    assert [world.memory_taken_mib(name) for name in ("h1", "h2", "h3")] == [2048, 3048, 2048]


def test_a_guest_finds_no_room_where_another_is_about_to_arrive() -> None:
    world, _ = world_of(guest("a", 31000), guest("b", 31000))
    world.add_guest(guest("c", 31000), "h2")
    world.move_by_hand("a", "h2")
    with pytest.raises(PlatformError, match=r"h1: migrate b to h2: cannot allocate 31000 MiB, 1488 MiB are free"):
        world.move_by_hand("b", "h2")
    with pytest.raises(PlatformError, match="cannot allocate"):
        world.add_guest(guest("d", 2000), "h2")


# -- refusals


def test_what_a_hypervisor_would_refuse_is_refused() -> None:
    world, _ = world_of(guest("a"))
    world.add_guest(GuestSpec("key", 1, 512, constantly(0), movable=Movable.NEVER, why_not="a USB key"), "h1")
    world.add_guest(GuestSpec("old", 1, 512, constantly(0), cpu_models=("EPYC-Rome",)), "h1")
    world.cut_power("h3")
    for vm, target, why in (
        ("a", "h1", "it is there already"),
        ("a", "h9", "there is no such host"),
        ("a", "h3", "h3 is off"),
        ("key", "h2", "a USB key"),
        ("old", "h2", "not compatible"),
    ):
        with pytest.raises(PlatformError, match=why):
            world.move_by_hand(vm, target)
    with pytest.raises(PlatformError, match="it runs already, on h1"):
        world.start_guest("a", "h2")


def test_a_guest_is_not_started_while_its_definition_is_on_its_way() -> None:
    world, clock = world_of()
    world.add_guest(guest("a"), "h1", running=False)
    world.move_by_hand("a", "h2")
    with pytest.raises(PlatformError, match="its definition is on its way"):
        world.start_guest("a")
    clock.sleep(1)
    assert place_of(world, "a") == "h2"


# -- migrations that go wrong


def test_a_migration_that_fails_leaves_its_guest_and_the_next_one_is_free_to_succeed() -> None:
    world, clock = world_of(guest("a"))
    world.fail_migration("a", at_share=0.5, error="lost connection")
    world.move_by_hand("a", "h2")
    clock.sleep(6)
    assert place_of(world, "a") == "h1"
    failed = world.transit.last_of(world.id_of("a"))
    assert failed is not None and (failed.ended, failed.error, failed.share_done) == (True, "lost connection", 0.5)
    world.move_by_hand("a", "h2")
    clock.sleep(11)
    assert place_of(world, "a") == "h2"


def test_a_migration_that_hangs_ends_when_it_is_aborted_and_not_before() -> None:
    world, clock = world_of(guest("a"))
    world.move_by_hand("a", "h2")
    world.hang_migration("a")
    clock.sleep(86400)
    world.settle()
    assert [migration.share_done for migration in world.transit.under_way] == [0.5]
    world.abort_migration(world.id_of("a"))
    assert world.transit.under_way == []
    assert place_of(world, "a") == "h1"


def test_a_migration_that_hung_may_go_on() -> None:
    world, clock = world_of(guest("a"))
    world.hang_migration("a")
    world.move_by_hand("a", "h2")
    clock.sleep(60)
    world.settle()
    world.mend_migration("a")
    clock.sleep(5.1)
    assert place_of(world, "a") == "h2"


def test_a_guest_survives_its_target_and_not_its_source() -> None:
    world, _ = world_of(guest("stays"), guest("dies"))
    world.move_by_hand("stays", "h2")
    world.crash("h2")
    assert (place_of(world, "stays"), world.guests["stays"].state) == ("h1", GuestState.RUNNING)
    world.move_by_hand("dies", "h3")
    world.crash("h1")
    assert (place_of(world, "dies"), world.guests["dies"].state) == ("h1", GuestState.SHUT_OFF)


# -- power


def test_a_host_takes_its_time_to_go_off_and_to_come_up() -> None:
    world, clock = world_of()
    world.shut_down("h2")
    clock.sleep(29)
    assert phase_of(world, "h2") is Phase.SHUTTING_DOWN
    clock.sleep(1)
    world.power_on("h2")
    clock.sleep(99)
    assert phase_of(world, "h2") is Phase.BOOTING
    clock.sleep(1)
    assert phase_of(world, "h2") is Phase.UP


def test_a_power_cut_takes_the_guests_down_and_says_which() -> None:
    world, clock = world_of(guest("a"), guest("b", autostart=True))
    world.cut_power("h1")
    assert [(lost.vm, lost.host, lost.why) for lost in world.casualties] == [
        ("a", "h1", "the power of its host was cut"),
        ("b", "h1", "the power of its host was cut"),
    ]
    world.power_on("h1")
    clock.sleep(100)
    world.settle()
    assert world.guests["a"].state is GuestState.SHUT_OFF
    assert world.guests["b"].state is GuestState.RUNNING


def test_a_guest_that_was_started_by_hand_on_a_host_that_goes_off_goes_down_too() -> None:
    world, clock = world_of(guest("a"))
    world.stop_guest("a")
    world.start_guest("a", "h3")
    world.shut_down("h3")
    clock.sleep(30)
    world.settle()
    assert [lost.vm for lost in world.casualties] == ["a"]


def test_a_transient_guest_is_gone_with_its_host() -> None:
    world, _ = world_of(GuestSpec("brief", 1, 512, constantly(0), persistent=False))
    world.cut_power("h1")
    assert world.guest_by_id(world.id_of("brief")) is None


def test_a_host_that_crashed_comes_back_by_a_power_cycle_alone() -> None:
    world, clock = world_of()
    world.crash("h1")
    world.shut_down("h1")
    world.power_on("h1")
    world.heal("h1")
    clock.sleep(1000)
    assert phase_of(world, "h1") is Phase.CRASHED
    world.cut_power("h1")
    world.power_on("h1")
    clock.sleep(100)
    assert phase_of(world, "h1") is Phase.UP


# -- whatever happens


@pytest.mark.parametrize("seed", range(10))
def test_whatever_people_do_nothing_runs_without_power_nor_beyond_memory(seed: int) -> None:
    chance = random.Random(seed)
    world, clock = world_of(*(guest(f"g{n}", 9000, dirty_mib_per_s=20 * n, autostart=n % 2 == 0) for n in range(7)))
    for _ in range(400):
        _do_something(world, chance)
        clock.sleep(chance.choice([0, 1, 20, 120]))
        world.settle()
        for name, server in world.hosts.items():
            assert world.memory_taken_mib(name) <= server.spec.memory_mib
            assert server.phase in {Phase.UP, Phase.SHUTTING_DOWN} or not any(
                vm.is_active for vm in world.guests_on(name)
            )
        assert all(world.hosts[end].has_power for migration in world.transit.under_way for end in migration.ends)


def _do_something(world: World, chance: random.Random) -> None:
    vm, name = chance.choice(list(world.guests)), chance.choice(list(world.hosts))
    acts: list[Callable[[], None]] = [
        lambda: world.move_by_hand(vm, name),
        lambda: world.move_by_hand(vm, name),
        lambda: world.start_guest(vm, name),
        lambda: world.stop_guest(vm),
        lambda: world.hang_migration(vm),
        lambda: world.mend_migration(vm),
        lambda: world.abort_migration(world.id_of(vm)),
        lambda: world.power_on(name),
        lambda: world.shut_down(name),
        lambda: world.cut_power(name),
        lambda: world.crash(name),
    ]
    with suppress(PlatformError):  # some of it cannot be done, and says so
        chance.choice(acts)()


def test_several_threads_may_act_at_once() -> None:
    clock = world_of()[1]
    world = World(clock, [HostSpec("h1", 64, 400000), HostSpec("h2", 64, 400000)])
    for number in range(40):
        world.add_guest(guest(f"g{number}"), "h1")
    movers = [Thread(target=world.move_by_hand, args=(f"g{number}", "h2")) for number in range(40)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    clock.sleep(1000)
    assert {place_of(world, vm) for vm in world.guests} == {"h2"}
