"""The simulated platform keeps the contract, and says what it was told to get wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from balancer.clock import HandSetClock
from balancer.domain.host import CPU, HostState
from balancer.domain.placement import Move
from balancer.domain.vm import VmState
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder, MigrationPhase, Platform
from balancer.platforms.simulated import SimulatedPlatform
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World
from tests.contracts.platform_contract import PlatformContract, order_for, see_it_end


class SimulatedBench:
    """Three hosts, one guest that runs on the first and one that is shut off there."""

    hosts = ("h1", "h2", "h3")
    runner, sleeper = "web-1", "old-1"
    slow_mib_per_s = 50.0

    def __init__(self) -> None:
        self.clock = HandSetClock(datetime(2026, 11, 23, tzinfo=UTC))
        self.world = World(self.clock, [HostSpec(name, 16, 65536) for name in self.hosts])
        self.world.add_guest(GuestSpec("web-1", 4, 4096, constantly(1.0), autostart=True), "h1")
        self.world.add_guest(GuestSpec("old-1", 2, 2048, constantly(0.5), autostart=True), "h1", running=False)
        self.platform = SimulatedPlatform(self.world)

    def another_platform(self) -> Platform:
        return SimulatedPlatform(self.world)

    def let_time_pass(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def let_it_boot(self, vm: str) -> None:
        """It hears it at once."""

    def make_unreachable(self, host: str) -> None:
        self.world.make_unreachable(host)

    def heal(self, host: str) -> None:
        self.world.heal(host)


@pytest.fixture
def bench() -> SimulatedBench:
    return SimulatedBench()


class TestSimulatedPlatform(PlatformContract):
    pass


def test_a_host_without_power_does_not_answer_and_its_guest_is_down(bench: SimulatedBench) -> None:
    bench.platform.observe()
    bench.world.cut_power("h1")
    assert bench.platform.observe().vm("web-1").state is VmState.UNKNOWN  # a hypervisor cannot say that it is off
    bench.world.power_on("h1")
    bench.let_time_pass(120)
    assert [casualty.vm for casualty in bench.world.casualties] == ["web-1"]
    assert bench.platform.observe().vm("web-1").state is VmState.RUNNING  # autostart


def test_missing_readings_are_doubted_and_count_as_busy(bench: SimulatedBench) -> None:
    bench.world.forget_metrics("web-1")
    bench.world.forget_metrics("h2")
    seen = bench.platform.observe()
    assert [(doubt.subject, doubt.kind) for doubt in seen.doubts] == [("host:h2", "missing"), ("vm:web-1", "missing")]
    assert seen.vm("web-1").need(CPU) == 4


@pytest.mark.parametrize("cores", [-1.0, 17.0, float("nan"), float("inf")])
def test_absurd_readings_are_doubted_and_not_used(bench: SimulatedBench, cores: float) -> None:
    bench.world.absurd_metrics("web-1", cores)
    bench.world.absurd_metrics("h1", cores)
    seen = bench.platform.observe()
    assert [(doubt.subject, doubt.kind) for doubt in seen.doubts] == [("host:h1", "absurd"), ("vm:web-1", "absurd")]
    assert seen.host("h1").cpu_used_cores is None
    assert seen.vm("web-1").need(CPU) == 4


def test_a_job_that_says_it_failed_may_have_moved_the_guest(bench: SimulatedBench) -> None:
    bench.world.succeed_but_report_failure("web-1", "timed out")
    order = order_for(bench, "web-1")
    bench.platform.begin_migration(order)
    assert see_it_end(bench, order) == "timed out"
    assert bench.platform.whereabouts(order.vm_id).is_settled_on("h2")


def test_a_migration_whose_source_is_silent_is_unknown_and_its_guest_stays_in_flight(bench: SimulatedBench) -> None:
    order = order_for(bench, "web-1", slowly=True)
    bench.platform.begin_migration(order)
    bench.platform.observe()
    bench.make_unreachable("h1")
    assert bench.platform.migration_status(order).phase is MigrationPhase.UNKNOWN
    guest = bench.platform.observe().vm("web-1")
    assert (guest.host, guest.moving_to, guest.state) == ("h1", "h2", VmState.UNKNOWN)


def test_a_guest_that_went_to_a_silent_host_is_not_lost_from_sight(bench: SimulatedBench) -> None:
    bench.platform.begin_migration(order_for(bench, "web-1"))
    bench.platform.observe()
    bench.make_unreachable("h2")
    bench.let_time_pass(60)
    guest = bench.platform.observe().vm("web-1")
    assert (guest.host, guest.state) == ("h2", VmState.UNKNOWN)


def test_a_guest_of_another_kind_of_order_is_refused(bench: SimulatedBench) -> None:
    order = MigrationOrder(Move("old-1", "h1", "h2"), bench.world.id_of("old-1"))
    with pytest.raises(PlatformError, match=r"h1: migrate old-1 to h2: a live migration, and the guest is shut off"):
        bench.platform.begin_migration(order)


def test_a_disk_that_is_being_copied_keeps_its_host_on(bench: SimulatedBench) -> None:
    bench.world.start_disk_job("old-1")
    assert "a disk of old-1 is being copied" in bench.platform.reasons_to_stay_on("h1")


def test_a_stale_definition_is_seen_before_its_host_is_used(bench: SimulatedBench) -> None:
    bench.world.leave_stale_definition("web-1", "h3")
    assert bench.platform.shut_off_guests_on("h3") == ("web-1",)
    assert bench.platform.whereabouts(bench.world.id_of("web-1")).defined_on == ("h1", "h3")


def test_contention_shows_as_waiting(bench: SimulatedBench) -> None:
    for number in range(5):
        bench.world.add_guest(GuestSpec(f"hot-{number}", 4, 1024, constantly(4.0)), "h2")
    seen = bench.platform.observe()
    assert seen.host("h2").cpu_used_cores == pytest.approx(16)
    assert seen.vm("hot-0").cpu_used_cores == pytest.approx(15.8 / 5)
    assert seen.vm("hot-0").cpu_wait_share == pytest.approx((4 - 15.8 / 5) / 4)
    assert seen.vm("web-1").cpu_wait_share == 0


def test_a_host_that_is_booting_does_not_answer_yet(bench: SimulatedBench) -> None:
    bench.world.cut_power("h3")
    bench.world.power_on("h3")
    bench.let_time_pass(119)
    assert bench.platform.observe().host("h3").state is HostState.UNREACHABLE
    bench.let_time_pass(1)
    assert bench.platform.observe().host("h3").state is HostState.UP


def test_a_transient_guest_that_ended_is_listed_no_more(bench: SimulatedBench) -> None:
    bench.world.add_guest(GuestSpec("brief", 1, 512, constantly(0), persistent=False), "h2")
    assert bench.platform.observe().has_vm("brief")
    bench.world.stop_guest("brief")
    assert not bench.platform.observe().has_vm("brief")


def test_an_order_is_not_taken_for_the_migration_that_led_back(bench: SimulatedBench) -> None:
    there = order_for(bench, "web-1")
    bench.platform.begin_migration(there)
    see_it_end(bench, there)
    bench.platform.begin_migration(MigrationOrder(Move("web-1", "h2", "h1"), there.vm_id))
    assert bench.platform.migration_status(there).phase is MigrationPhase.UNKNOWN
