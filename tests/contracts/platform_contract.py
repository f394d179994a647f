"""What every platform is held to. Subclass `PlatformContract` and give it a fixture `bench` with hosts and guests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest

from balancer.domain.host import CPU, MEMORY, HostState
from balancer.domain.migration import MigrationKind, MigrationOptions
from balancer.domain.placement import Move
from balancer.domain.vm import VmState
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder, MigrationPhase, Platform, Whereabouts


class PlatformBench(Protocol):
    """Three hosts that are up, the last one empty. Two persistent guests with autostart live on the first."""

    @property
    def platform(self) -> Platform: ...

    @property
    def hosts(self) -> tuple[str, str, str]: ...

    @property
    def runner(self) -> str:
        """A guest on the first host that runs and may be migrated live."""
        ...

    @property
    def sleeper(self) -> str:
        """A guest on the first host that is shut off."""
        ...

    @property
    def slow_mib_per_s(self) -> float:
        """So little bandwidth that a migration of the runner can be looked at while it lasts."""
        ...

    def another_platform(self) -> Platform:
        """Open the same hypervisors as a process would that has just been started."""
        ...

    def let_time_pass(self, seconds: float) -> None: ...

    def let_it_boot(self, vm: str) -> None:
        """Wait until a guest hears its power button."""
        ...

    def make_unreachable(self, host: str) -> None:
        """Cut a hypervisor off from us; what runs there runs on."""
        ...

    def heal(self, host: str) -> None: ...


def id_of(bench: PlatformBench, vm: str) -> str:
    vm_id = bench.platform.observe().vm(vm).id
    assert vm_id is not None
    return vm_id


def order_for(bench: PlatformBench, vm: str, kind: MigrationKind = "live", slowly: bool = False) -> MigrationOrder:
    """Return the order to take a guest from the first host to the second."""
    source, target, _ = bench.hosts
    bandwidth = bench.slow_mib_per_s if slowly else None
    return MigrationOrder(Move(vm, source, target), id_of(bench, vm), kind, bandwidth)


def begin_slowly(bench: PlatformBench) -> MigrationOrder:
    """Begin a migration of the runner and return once it is under way."""
    order = order_for(bench, bench.runner, slowly=True)
    bench.platform.begin_migration(order)
    wait_until(bench, lambda: bench.platform.observe().vm(bench.runner).is_in_flight)
    return order


def wait_until(bench: PlatformBench, happened: Callable[[], bool], seconds: int = 60) -> None:
    for _ in range(seconds * 5):
        if happened():
            return
        bench.let_time_pass(0.2)
    pytest.fail(f"did not happen within {seconds} s")


def see_it_end(bench: PlatformBench, order: MigrationOrder) -> str:
    """Wait for the end of a migration and return its error."""
    wait_until(bench, lambda: bench.platform.migration_status(order).phase is MigrationPhase.ENDED)
    return bench.platform.migration_status(order).error


class PlatformContract:
    """Guests are seen where they are, go where they are sent, and no silence is taken for an answer."""

    # -- looking

    def test_each_host_and_each_guest_is_listed_once(self, bench: PlatformBench) -> None:
        seen = bench.platform.observe()
        assert sorted(host.name for host in seen.hosts) == sorted(bench.hosts)
        assert all(host.state is HostState.UP for host in seen.hosts)
        assert sorted(vm.name for vm in seen.vms) == sorted([bench.runner, bench.sleeper])
        assert {vm.host for vm in seen.vms} == {bench.hosts[0]}

    def test_a_glance_says_how_busy_the_hosts_are_that_answer(self, bench: PlatformBench) -> None:
        first, _, empty = bench.hosts
        bench.platform.observe()
        bench.platform.glance()
        bench.let_time_pass(2)
        glanced = bench.platform.glance()
        assert sorted(glanced) == sorted(bench.hosts)
        seen = bench.platform.observe()
        assert all(0.0 <= glanced[host.name] <= host.cpu_cores for host in seen.hosts)
        bench.make_unreachable(empty)
        bench.let_time_pass(2)
        again = bench.platform.glance()
        assert first in again and empty not in again

    def test_guests_are_seen_as_they_are(self, bench: PlatformBench) -> None:
        seen = bench.platform.observe()
        assert seen.vm(bench.runner).state is VmState.RUNNING
        assert seen.vm(bench.sleeper).state is VmState.SHUT_OFF
        assert seen.vm(bench.runner).autostart
        assert bench.platform.shut_off_guests_on(bench.hosts[0]) == (bench.sleeper,)

    def test_a_host_is_known_by_its_uuid_also_once_it_is_silent(self, bench: PlatformBench) -> None:
        first = bench.hosts[0]
        uuid = bench.platform.observe().host(first).id
        assert uuid and bench.platform.host_uuid(first) == uuid
        bench.make_unreachable(first)
        assert bench.platform.host_uuid(first) == uuid

    def test_whereabouts_of_a_guest(self, bench: PlatformBench) -> None:
        first = bench.hosts[0]
        assert bench.platform.whereabouts(id_of(bench, bench.runner)) == Whereabouts((first,), (first,))
        assert bench.platform.whereabouts(id_of(bench, bench.sleeper)) == Whereabouts((), (first,))
        assert bench.platform.whereabouts("00000000-0000-4000-8000-00000000dead") == Whereabouts()

    def test_a_host_with_a_guest_has_a_reason_to_stay_on_and_an_empty_one_has_none(self, bench: PlatformBench) -> None:
        first, _, empty = bench.hosts
        reasons = bench.platform.reasons_to_stay_on(first)
        assert any(bench.runner in reason for reason in reasons)
        assert not any(bench.sleeper in reason for reason in reasons)
        assert bench.platform.reasons_to_stay_on(empty) == ()

    # -- moving

    def test_nothing_speaks_against_a_move_that_works_and_asking_touches_nothing(self, bench: PlatformBench) -> None:
        order = order_for(bench, bench.runner)
        assert bench.platform.preflight(order) == ()
        assert bench.platform.whereabouts(order.vm_id).is_settled_on(bench.hosts[0])
        assert bench.platform.migration_status(order).phase is MigrationPhase.UNKNOWN

    def test_what_speaks_against_a_move_is_said_before_it_is_begun(self, bench: PlatformBench) -> None:
        source, target, _ = bench.hosts
        (why,) = bench.platform.preflight(order_for(bench, bench.sleeper, kind="live"))
        assert "live migration" in why and "shut off" in why
        ghost = MigrationOrder(Move("ghost", source, target), "00000000-0000-4000-8000-00000000dead")
        assert any("ghost" in why for why in bench.platform.preflight(ghost))

    def test_an_end_that_cannot_be_asked_is_no_yes(self, bench: PlatformBench) -> None:
        order = order_for(bench, bench.runner)
        bench.make_unreachable(bench.hosts[1])
        with pytest.raises(PlatformError, match=bench.hosts[1]):
            bench.platform.preflight(order)

    def test_a_guest_in_flight_is_seen_and_counted_at_both_ends(self, bench: PlatformBench) -> None:
        source, target, _ = bench.hosts
        order = begin_slowly(bench)
        seen = bench.platform.observe()
        guest = seen.vm(bench.runner)
        assert (guest.host, guest.moving_to, guest.state) == (source, target, VmState.MIGRATING)
        for end in (source, target):
            assert seen.used(seen.host(end), MEMORY) >= guest.memory_mib
            assert any(bench.runner in reason for reason in bench.platform.reasons_to_stay_on(end))
        assert bench.platform.migration_status(order).phase is MigrationPhase.RUNNING

    def test_a_process_that_has_just_started_sees_how_a_migration_goes(self, bench: PlatformBench) -> None:
        order = begin_slowly(bench)
        assert bench.another_platform().migration_status(order).phase is MigrationPhase.RUNNING

    def test_a_guest_that_arrived_leaves_one_definition_and_takes_autostart_along(self, bench: PlatformBench) -> None:
        target = bench.hosts[1]
        order = order_for(bench, bench.runner)
        bench.platform.begin_migration(order)
        assert see_it_end(bench, order) == ""
        assert bench.platform.whereabouts(order.vm_id) == Whereabouts((target,), (target,))
        guest = bench.platform.observe().vm(bench.runner)
        assert (guest.host, guest.moving_to, guest.state) == (target, None, VmState.RUNNING)
        assert guest.autostart

    def test_a_guest_that_is_shut_off_goes_cold(self, bench: PlatformBench) -> None:
        target = bench.hosts[1]
        order = order_for(bench, bench.sleeper, kind="cold")
        bench.platform.begin_migration(order)
        assert see_it_end(bench, order) == ""
        assert bench.platform.whereabouts(order.vm_id) == Whereabouts((), (target,))
        assert bench.platform.observe().vm(bench.sleeper).autostart

    @pytest.mark.parametrize(
        ("kind", "options"),
        [("live", MigrationOptions(auto_converge=True, post_copy=True)), ("warm", MigrationOptions(stop_seconds=5.0))],
    )
    def test_each_kind_brings_a_running_guest_over_with_one_definition(
        self, bench: PlatformBench, kind: MigrationKind, options: MigrationOptions
    ) -> None:
        target = bench.hosts[1]
        order = replace(order_for(bench, bench.runner, kind), options=options)
        assert bench.platform.preflight(order) == ()
        bench.platform.begin_migration(order)
        assert see_it_end(bench, order) == ""
        assert bench.platform.whereabouts(order.vm_id) == Whereabouts((target,), (target,))
        status = bench.platform.migration_status(order)
        assert status.seconds and status.copied_mib and status.downtime_ms is not None
        assert bench.platform.observe().vm(bench.runner).state is VmState.RUNNING

    def test_a_running_guest_goes_cold_by_a_restart(self, bench: PlatformBench) -> None:
        target = bench.hosts[1]
        (why,) = bench.platform.preflight(order_for(bench, bench.runner, "cold"))
        assert "a cold migration" in why
        order = replace(order_for(bench, bench.runner, "cold"), options=MigrationOptions(restart=True))
        bench.let_it_boot(bench.runner)
        bench.platform.begin_migration(order)
        assert see_it_end(bench, order) == ""
        assert bench.platform.whereabouts(order.vm_id) == Whereabouts((target,), (target,))
        guest = bench.platform.observe().vm(bench.runner)
        assert guest.state is VmState.RUNNING and guest.autostart

    def test_a_guest_is_started_where_it_is_defined_and_only_there(self, bench: PlatformBench) -> None:
        source, target, _ = bench.hosts
        vm_id = id_of(bench, bench.sleeper)
        with pytest.raises(PlatformError, match=target):
            bench.platform.start_guest(vm_id, target)
        bench.platform.start_guest(vm_id, source)
        assert bench.platform.whereabouts(vm_id).is_settled_on(source)
        bench.platform.start_guest(vm_id, source)

    def test_only_a_migration_that_was_cut_is_mended(self, bench: PlatformBench) -> None:
        order = order_for(bench, bench.runner)
        bench.platform.mend_migration(order)
        assert bench.platform.whereabouts(order.vm_id).is_settled_on(bench.hosts[0])
        assert bench.platform.migration_status(order).phase is MigrationPhase.UNKNOWN

    def test_an_aborted_migration_leaves_the_guest_at_its_source(self, bench: PlatformBench) -> None:
        source = bench.hosts[0]
        order = begin_slowly(bench)
        bench.platform.abort_migration(order)
        assert see_it_end(bench, order) != ""
        assert bench.platform.whereabouts(order.vm_id) == Whereabouts((source,), (source,))
        assert bench.platform.observe().vm(bench.runner).state is VmState.RUNNING

    def test_a_migration_that_nobody_began_is_unknown(self, bench: PlatformBench) -> None:
        order = order_for(bench, bench.runner)
        assert bench.platform.migration_status(order).phase is MigrationPhase.UNKNOWN

    def test_a_guest_that_is_not_there_cannot_be_migrated(self, bench: PlatformBench) -> None:
        source, target, _ = bench.hosts
        ghost = MigrationOrder(Move("ghost", source, target), "00000000-0000-4000-8000-00000000dead")
        with pytest.raises(PlatformError, match="ghost"):
            bench.platform.begin_migration(ghost)

    def test_nothing_is_sent_to_a_host_that_does_not_answer(self, bench: PlatformBench) -> None:
        source, target, _ = bench.hosts
        order = order_for(bench, bench.runner)
        bench.make_unreachable(target)
        with pytest.raises(PlatformError, match=target):
            bench.platform.begin_migration(order)
        bench.heal(target)
        assert bench.platform.whereabouts(order.vm_id).is_settled_on(source)

    # -- silence

    def test_a_host_that_does_not_answer_is_doubted_and_its_guests_count_as_busy(self, bench: PlatformBench) -> None:
        first = bench.hosts[0]
        bench.platform.observe()
        bench.make_unreachable(first)
        seen = bench.platform.observe()
        assert seen.host(first).state is HostState.UNREACHABLE
        assert f"host:{first}" in seen.doubted
        guest = seen.vm(bench.runner)
        assert (guest.host, guest.state) == (first, VmState.UNKNOWN)
        assert guest.need(CPU) == guest.vcpus

    def test_a_host_that_never_answered_is_listed_all_the_same(self, bench: PlatformBench) -> None:
        first = bench.hosts[0]
        bench.make_unreachable(first)
        seen = bench.another_platform().observe()
        assert seen.host(first).state is HostState.UNREACHABLE
        assert f"host:{first}" in seen.doubted

    def test_no_answer_is_never_read_as_no_guest(self, bench: PlatformBench) -> None:
        first = bench.hosts[0]
        vm_id = id_of(bench, bench.runner)
        bench.make_unreachable(first)
        assert not bench.platform.answers(first)
        with pytest.raises(PlatformError, match=first):
            bench.platform.reasons_to_stay_on(first)
        whereabouts = bench.platform.whereabouts(vm_id)
        assert first in whereabouts.not_asked
        assert not whereabouts.is_settled_on(bench.hosts[1])

    def test_a_host_that_answers_again_is_doubted_no_more(self, bench: PlatformBench) -> None:
        first = bench.hosts[0]
        bench.make_unreachable(first)
        bench.platform.observe()
        bench.heal(first)
        wait_until(bench, lambda: bench.platform.answers(first))
        seen = bench.platform.observe()
        assert seen.host(first).state is HostState.UP
        assert seen.vm(bench.runner).state is VmState.RUNNING
        assert f"host:{first}" not in seen.doubted
