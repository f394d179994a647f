"""A world of servers and guests that obeys physics.

A guest is on one host. Its memory is taken at both ends of a migration. A server without power runs nothing, and what
ran on it is down. The world has no thread of its own: it catches up with its clock whenever somebody looks or acts.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from balancer.clock import Clock
from balancer.errors import PlatformError
from balancer.simulation import laws
from balancer.simulation.machines import (
    GuestSpec,
    GuestState,
    HostSpec,
    Leg,
    MigrationFate,
    Orders,
    Phase,
    SimGuest,
    SimHost,
)
from balancer.simulation.transit import Transit
from balancer.simulation.trouble import Trouble

A_MOMENT = 0.001  # seconds, after which what was due has certainly happened


@dataclass(frozen=True)
class Casualty:
    """A guest that went down with its host."""

    at: datetime
    vm: str
    host: str
    why: str


@dataclass(frozen=True)
class CpuOnHost:
    """What the guests of a host want and what it gives: each gets the same share of what it wants."""

    used_cores: float
    share_given: float


class World(Trouble):
    """Servers, guests and their migrations, up to the present moment of a clock."""

    def __init__(self, clock: Clock, hosts: Iterable[HostSpec], cluster: str = "simulated") -> None:
        self.clock = clock
        self.cluster = cluster
        self.casualties: list[Casualty] = []
        self._now = clock.now()
        self.hosts = {spec.name: SimHost(spec, spec.name, since=self._now.timestamp()) for spec in hosts}
        self.guests: dict[str, SimGuest] = {}
        self.transit = Transit(self.hosts)
        self._loads: dict[str, float] = {}  # what curves say of this moment, by guest: a look asks more than once
        self._due: float | None = None  # when something happens next by itself; None where it has to be found out
        self._homes: dict[str, list[SimGuest]] | None = None  # guests by host; likewise
        self._lock = threading.RLock()

    # -- time

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Hold the world still at the present moment, for somebody who acts."""
        with self._lock:
            self._settle()
            try:
                yield
            finally:
                self._forget()

    @contextmanager
    def seen(self) -> Iterator[None]:
        """Hold the world still at the present moment, for somebody who only looks: that is asked for very often."""
        with self._lock:
            self._settle()
            yield

    def _forget(self) -> None:
        """What was found out holds no longer."""
        self._due = self._homes = None

    def settle(self) -> None:
        """Let everything happen that is due by now."""
        with self.settled():
            pass

    def _settle(self) -> None:
        now = max(self.clock.now(), self._now)
        while (due := self._next_due()) <= now.timestamp():
            event = min(self._events(), key=lambda event: event[0])
            self._let_pass_until(datetime.fromtimestamp(due, now.tzinfo))
            event[1]()
            self._forget()
        self._let_pass_until(now)

    def seconds_to_next(self, most: float) -> float:
        """Return how long nothing begins or ends by itself: nobody sees anything new before."""
        with self.seen():
            return min(most, max(self._next_due() - self._now.timestamp(), 0.0) + A_MOMENT)

    def _next_due(self) -> float:
        if self._due is None:
            self._due = min((due for due, _ in self._events()), default=float("inf"))
        return self._due

    def _events(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Find what will happen if nobody acts before; what comes first may change the rest."""
        for host in self.hosts.values():
            if host.phase is Phase.BOOTING and not host.never_boots:
                yield host.since + host.spec.boot_seconds, partial(self._come_up, host)
            elif host.phase is Phase.SHUTTING_DOWN:
                yield host.since + host.spec.shutdown_seconds, partial(self._go_off, host, "its host was shut down")
        for migration in self.transit.under_way:
            if not migration.fate.hangs or migration.leg_ends_at_mib < migration.stops_at_mib:
                due = self._now.timestamp() + self.transit.seconds_left(migration)
                yield due, partial(self.transit.go_on, migration)

    def _let_pass_until(self, moment: datetime) -> None:
        if moment > self._now:
            self.transit.copy((moment - self._now).total_seconds())
            self._now = moment
            self._loads.clear()

    # -- looking (inside `settled`)

    def demand_of(self, guest: SimGuest) -> float:
        """Return the cores that a guest would use now if it got them."""
        if guest.state is not GuestState.RUNNING:
            return 0.0
        name = guest.spec.name
        if name not in self._loads:
            self._loads[name] = min(float(guest.spec.vcpus), max(0.0, guest.spec.load(self._now)))
        return self._loads[name] * self.transit.slowed(guest)

    def cpu_on(self, host: SimHost) -> CpuOnHost:
        """Return how busy a host is, and which share of what they want its guests get."""
        wanted = sum(self.demand_of(guest) for guest in self.guests_on(host.spec.name))
        room = host.spec.cores - host.spec.hypervisor_cores
        share = 1.0 if wanted <= room else room / wanted
        return CpuOnHost(host.spec.hypervisor_cores + wanted * share, share)

    def watts_of(self, host: str) -> float | None:
        """Return what a server draws now; None where its maker did not say."""
        server = self.hosts[host]
        power = server.spec.power
        if power is None:
            return None
        if not server.has_power:
            return power.off_watts
        busy = self.cpu_on(server).used_cores / server.spec.cores if server.phase is Phase.UP else 1.0
        return power.at(busy)

    def guests_on(self, host: str) -> list[SimGuest]:
        """Return the guests that live on a host, running or not."""
        if self._homes is None:
            self._homes = defaultdict(list)
            for guest in self.guests.values():
                if guest.state is not GuestState.GONE:
                    self._homes[guest.host].append(guest)
        return list(self._homes.get(host, ()))

    def id_of(self, vm: str) -> str:
        """Return the UUID of a guest."""
        return self.guests[vm].spec.id

    def guest_by_id(self, vm_id: str) -> SimGuest | None:
        return next((g for g in self.guests.values() if g.spec.id == vm_id and g.state is not GuestState.GONE), None)

    def memory_taken_mib(self, host: str) -> float:
        """Return the memory that is taken on a host: hypervisor, active guests, and guests on their way to it."""
        touching = self.transit.touching(host)
        coming = [m.guest for m in touching if m.target == host]
        back = {m.guest.spec.name for m in touching if m.interrupts}  # it stands still, and will want its memory again
        wanted = (g for g in self.guests_on(host) + coming if g.is_active or g.spec.name in back)
        guests = sum(guest.spec.memory_mib for guest in wanted)
        return self.hosts[host].spec.hypervisor_memory_mib + guests

    # -- guests

    def add_guest(self, spec: GuestSpec, host: str, running: bool = True) -> None:
        """Create a guest on a host."""
        with self.settled():
            if spec.name in self.guests:
                raise ValueError(f"a guest {spec.name} is there already")
            self.guests[spec.name] = SimGuest(spec, host, GuestState.SHUT_OFF)
            if running:
                self.start_guest(spec.name)

    def start_guest(self, vm: str, host: str | None = None) -> None:
        """Let somebody start a guest by hand, on a host where it may be started."""
        with self.settled():
            guest = self.guests[vm]
            goal = host or guest.host
            self._refuse(goal, f"start {vm}", laws.why_not_start(self, guest, goal))
            guest.host, guest.state = goal, GuestState.RUNNING

    def stop_guest(self, vm: str) -> None:
        """Let somebody shut a guest off; one that is transient is gone."""
        with self.settled():
            guest = self.guests[vm]
            migration = self.transit.of(guest)
            if migration is not None:
                self.transit.end(migration, "the guest was shut off")
            guest.state = GuestState.SHUT_OFF if guest.spec.persistent else GuestState.GONE

    def pause_guest(self, vm: str) -> None:
        """Let somebody pause a guest that runs."""
        with self.settled():
            self.guests[vm].state = GuestState.PAUSED

    # -- migrations

    def move_by_hand(self, vm: str, target: str) -> None:
        """Let somebody migrate a guest without asking us."""
        with self.settled():
            self.begin_migration(self.guests[vm].spec.id, target)

    def begin_migration(self, vm_id: str, target: str, orders: Orders | None = None) -> None:
        """Start to migrate a guest; without orders live where it runs, cold where it is shut off."""
        with self.settled():
            guest = self.guest_by_id(vm_id)
            if guest is None:
                raise PlatformError(target, f"migrate {vm_id} here", "no hypervisor has such a guest")
            orders = orders or Orders("live" if guest.is_active else "cold")
            why_not = laws.why_not_migrate(self, guest, target, orders)
            self._refuse(guest.host, f"migrate {guest.spec.name} to {target}", why_not)
            self.transit.begin(guest, target, self._agreed(orders, guest.host, target))

    def _agreed(self, orders: Orders, *ends: str) -> Orders:
        line = min(self.hosts[end].spec.migration_mib_per_s for end in ends)
        return replace(orders, agreed_mib_per_s=min(line, orders.mib_per_s or line))

    def abort_migration(self, vm_id: str) -> None:
        """Give a migration up; the guest stays at its source. One that is over already is left as it is."""
        with self.settled():
            migration = self.transit.last_of(vm_id)
            if migration is not None and migration.leg is Leg.AT_TARGET and not migration.ended:
                raise PlatformError(migration.source, "abort", "it goes on at its target already (post-copy)")
            if migration is not None and not migration.ended:
                self.transit.end(migration, "aborted on request")

    def _doom(self, vm: str, fate: MigrationFate) -> None:
        with self.settled():
            self.transit.doom(self.guests[vm], fate)

    # -- power

    def power_on(self, host: str) -> None:
        """Give a server power; one that has it already is left as it is."""
        with self.settled():
            if not self.hosts[host].has_power:
                self._enter(self.hosts[host], Phase.BOOTING)

    def shut_down(self, host: str) -> None:
        """Ask a server's operating system to shut down; only one that is up hears it."""
        with self.settled():
            if self.hosts[host].phase is Phase.UP and not self.hosts[host].refuses_soft_shutdown:
                self._enter(self.hosts[host], Phase.SHUTTING_DOWN)

    def cut_power(self, host: str) -> None:
        """Cut a server's power; what runs on it is down."""
        with self.settled():
            if self.hosts[host].has_power:
                self._go_off(self.hosts[host], "the power of its host was cut")

    def crash(self, host: str) -> None:
        """Let a server die with its power on; what runs on it is down."""
        with self.settled():
            if self.hosts[host].has_power:
                self._stop_all(self.hosts[host], "its host crashed")
                self._enter(self.hosts[host], Phase.CRASHED)

    def _enter(self, host: SimHost, phase: Phase) -> None:
        host.phase, host.since = phase, self._now.timestamp()

    def _come_up(self, host: SimHost) -> None:
        self._enter(host, Phase.UP)
        for guest in self.guests_on(host.spec.name):
            if guest.spec.autostart and not laws.why_not_start(self, guest, host.spec.name):
                guest.state = GuestState.RUNNING

    def _go_off(self, host: SimHost, why: str) -> None:
        self._stop_all(host, why)
        self._enter(host, Phase.OFF)

    def _stop_all(self, host: SimHost, why: str) -> None:
        name = host.spec.name
        for migration in self.transit.touching(name):
            self.transit.end(migration, f"{name} went away: {why}")
            if migration.leg is Leg.AT_TARGET:  # either end held a part of it
                self._go_down(migration.guest, why)
        for guest in self.guests_on(name):
            if guest.is_active:
                self._go_down(guest, why)

    def _go_down(self, guest: SimGuest, why: str) -> None:
        self.casualties.append(Casualty(self._now, guest.spec.name, guest.host, why))
        guest.state = GuestState.SHUT_OFF if guest.spec.persistent else GuestState.GONE

    @staticmethod
    def _refuse(host: str, operation: str, why: str) -> None:
        if why:
            raise PlatformError(host, operation, why)
