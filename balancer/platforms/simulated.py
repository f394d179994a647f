"""Guests and hosts of a simulated world, seen and moved as those of a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.host import Host, HostState
from balancer.domain.placement import Move
from balancer.domain.units import in_words
from balancer.domain.vm import Vm, VmState
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder, MigrationPhase, MigrationStatus, Whereabouts
from balancer.simulation import laws, readings
from balancer.simulation.machines import Migration, Orders, SimHost
from balancer.simulation.transit import STOP_SECONDS
from balancer.simulation.world import World

_NO_ANSWER = "the hypervisor does not answer"
_LOOK_AT_IT = "is it on, and does its hypervisor run?"


class SimulatedPlatform:
    """Hypervisors that know what the world lets them know: one that is off, or cut off, does not answer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen_hosts: dict[str, Host] = {}
        self._seen_vms: dict[str, Vm] = {}  # by UUID

    @property
    def last_seen(self) -> tuple[tuple[Host, ...], tuple[Vm, ...]]:
        """What the last look has left, for hosts that are silent at the next."""
        return tuple(self._seen_hosts.values()), tuple(self._seen_vms.values())

    @last_seen.setter
    def last_seen(self, seen: tuple[tuple[Host, ...], tuple[Vm, ...]]) -> None:
        hosts, vms = seen
        self._seen_hosts = {host.name: host for host in hosts}
        self._seen_vms = {vm.key: vm for vm in vms}

    # -- looking

    def observe(self) -> Cluster:
        with self._world.seen():
            now = self._world.clock.now()
            doubts: list[Doubt] = []
            hosts = tuple(self._look_at(host, now, doubts) for host in self._world.hosts.values())
            vms = self._look_at_vms(doubts)
            self._seen_hosts = {host.name: host for host in hosts if host.id is not None}
            self._seen_vms = {vm.key: vm for vm in vms}
            return Cluster(taken_at=now, cluster=self._world.cluster, hosts=hosts, vms=vms, doubts=tuple(doubts))

    def glance(self) -> Mapping[str, float]:
        with self._world.settled():
            now = self._world.clock.now()
            hosts = (
                readings.of_host(self._world, host, now, []) for host in self._world.hosts.values() if host.answers
            )
            return {host.name: host.cpu_used_cores for host in hosts if host.cpu_used_cores is not None}

    def compare_with_the_last_glances(self) -> None:
        """A world says what is used at this moment."""

    def allow_for(self, begun: Callable[[], Mapping[str, Move]]) -> None:
        """A world knows what is under way in it."""

    def _look_at(self, host: SimHost, now: datetime, doubts: list[Doubt]) -> Host:
        if host.answers:
            return readings.of_host(self._world, host, now, doubts)
        seen = self._seen_hosts.get(host.spec.name)
        since = (
            f"last seen {in_words((now - seen.seen_at).total_seconds())} ago" if seen and seen.seen_at else "never seen"
        )
        doubts.append(Doubt(subject=f"host:{host.spec.name}", kind="unreachable", detail=since))
        unread = {"state": HostState.UNREACHABLE, "cpu_used_cores": None, "memory_used_mib": None}
        return (seen or readings.unseen_host(host)).model_copy(update=unread)

    def _look_at_vms(self, doubts: list[Doubt]) -> tuple[Vm, ...]:
        listed = {vm.key: vm for vm in readings.of_guests(self._world, doubts)}
        remembered = [self._as_remembered(vm) for key, vm in self._seen_vms.items() if key not in listed]
        return (*listed.values(), *(vm for vm in remembered if vm is not None))

    def _as_remembered(self, vm: Vm) -> Vm | None:
        """Keep a guest that nobody lists now, if a host that may have it does not answer."""
        silent = [end for end in (vm.host, vm.moving_to) if end is not None and not self._world.hosts[end].answers]
        if not silent:
            return None
        if not vm.is_active:
            return vm
        goal = vm.moving_to if vm.host in silent else None
        unread = {"state": VmState.UNKNOWN, "cpu_used_cores": None, "cpu_wait_share": None}
        return vm.model_copy(update={**unread, "host": silent[0], "moving_to": goal})

    def whereabouts(self, vm_id: str) -> Whereabouts:
        with self._world.seen():
            not_asked = {name: _NO_ANSWER for name, host in self._world.hosts.items() if not host.answers}
            guest = self._world.guest_by_id(vm_id)
            if guest is None:
                return Whereabouts(not_asked=not_asked)
            defined = {guest.host, *guest.stale_definitions} if guest.spec.persistent else guest.stale_definitions
            return Whereabouts(
                active_on=(guest.host,) if guest.is_active and guest.host not in not_asked else (),
                defined_on=tuple(sorted(defined - set(not_asked))),
                not_asked=not_asked,
            )

    def answers(self, host: str) -> bool:
        with self._world.seen():
            return host in self._world.hosts and self._world.hosts[host].answers

    def host_uuid(self, host: str) -> str | None:
        with self._world.seen():
            asked = self._world.hosts.get(host)
            if asked is not None and asked.answers:
                return asked.spec.id
            return self._seen_hosts[host].id if host in self._seen_hosts else None

    def reasons_to_stay_on(self, host: str) -> tuple[str, ...]:
        with self._asking(host, "list what runs here"):
            guests = self._world.guests_on(host)
            active = [f"{guest.spec.name} is {guest.state}" for guest in guests if guest.is_active]
            jobs = [f"a disk of {guest.spec.name} is being copied" for guest in guests if guest.disk_job]
            moves = [
                f"{m.guest.spec.name} is on its way from {m.source} to {m.target}"
                for m in self._world.transit.touching(host)
            ]
            return (*active, *jobs, *moves)

    def shut_off_guests_on(self, host: str) -> tuple[str, ...]:
        with self._asking(host, "list the guests that are shut off"):
            here = {guest.spec.name for guest in self._world.guests_on(host) if not guest.is_active}
            stale = {name for name, guest in self._world.guests.items() if host in guest.stale_definitions}
            return tuple(sorted(here | stale))

    # -- moving

    def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
        move = order.move
        operation = f"ask what speaks against moving {move.vm} to {move.target}"
        with self._asking(move.source, operation), self._asking(move.target, operation):
            guest = self._world.guest_by_id(order.vm_id)
            if guest is None or guest.host != move.source:
                return (f"{move.source} has no guest {move.vm} ({order.vm_id})",)
            return tuple(filter(None, (laws.why_not_migrate(self._world, guest, move.target, _orders_of(order)),)))

    def begin_migration(self, order: MigrationOrder) -> None:
        move = order.move
        operation = f"migrate {move.vm} to {move.target}"
        with self._asking(move.source, operation), self._asking(move.target, operation):
            guest = self._world.guest_by_id(order.vm_id)
            if guest is None or guest.host != move.source:
                raise PlatformError(move.source, operation, f"it has no guest {move.vm} ({order.vm_id})")
            self._world.begin_migration(order.vm_id, move.target, _orders_of(order))

    def migration_status(self, order: MigrationOrder) -> MigrationStatus:
        with self._world.seen():
            migration = self._migration(order)
            if migration is None or not self._world.hosts[migration.source].answers:
                return MigrationStatus(MigrationPhase.UNKNOWN)
            return MigrationStatus(
                _phase_of(migration),
                share_done=migration.share_done,
                remaining_mib=migration.work_mib - migration.copied_mib,
                error=migration.error,
                prospect=migration.fate.prospect,
                seconds=migration.seconds if migration.ended else None,
                copied_mib=migration.sent_mib,
                downtime_ms=1000 * max(migration.stopped_seconds, STOP_SECONDS) if migration.ended else None,
            )

    def mend_migration(self, order: MigrationOrder) -> None:
        with self._asking(order.move.source, f"go on with the migration of {order.move.vm}"):
            migration = self._migration(order)
            if migration is not None and migration.is_cut:
                self._world.mend_migration(migration.guest.spec.name)

    def start_guest(self, vm_id: str, host: str) -> None:
        with self._asking(host, "start a guest"):
            guest = self._world.guest_by_id(vm_id)
            if guest is None or guest.host != host:
                raise PlatformError(host, "start a guest", f"no guest {vm_id} is defined here")
            if not guest.is_active:
                self._world.start_guest(guest.spec.name)

    def abort_migration(self, order: MigrationOrder) -> None:
        with self._asking(order.move.source, f"abort the migration of {order.move.vm}"):
            if self._migration(order) is not None:
                self._world.abort_migration(order.vm_id)

    def _migration(self, order: MigrationOrder) -> Migration | None:
        last = self._world.transit.last_of(order.vm_id)
        return last if last is not None and last.ends == (order.move.source, order.move.target) else None

    @contextmanager
    def _asking(self, host: str, operation: str) -> Iterator[None]:
        with self._world.seen():
            if host not in self._world.hosts:
                raise PlatformError(host, operation, "there is no such host")
            if not self._world.hosts[host].answers:
                raise PlatformError(host, operation, _NO_ANSWER, _LOOK_AT_IT)
            yield

    def close(self) -> None:
        """Nothing is held open."""


def _orders_of(order: MigrationOrder) -> Orders:
    return Orders(order.kind, order.options, order.bandwidth_mib_per_s)


def _phase_of(migration: Migration) -> MigrationPhase:
    if migration.ended:
        return MigrationPhase.ENDED
    return MigrationPhase.CUT if migration.is_cut else MigrationPhase.RUNNING
