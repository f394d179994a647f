"""The platform itself: what the rest of the balancer asks for, and which host has to be asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from balancer.clock import Clock
from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.domain.vm import VmState
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder, MigrationPhase, MigrationStatus, Whereabouts
from balancer.platforms.libvirt import questions
from balancer.platforms.libvirt.assembling import StaleDefinition
from balancer.platforms.libvirt.capabilities import host_facts
from balancer.platforms.libvirt.library import library
from balancer.platforms.libvirt.link import HostLink, ask_all
from balancer.platforms.libvirt.mending import is_cut
from balancer.platforms.libvirt.migrating import RunningMigration
from balancer.platforms.libvirt.observing import Observer
from balancer.platforms.libvirt.passenger import Passenger
from balancer.platforms.libvirt.preflight import ask_source, ask_target, reasons_against
from balancer.platforms.libvirt.questions import Abort
from balancer.platforms.libvirt.settling import Ends

ABORT_TRIES = 10
SECONDS_BETWEEN_TRIES = 0.3  # a migration that was begun a moment ago cannot be aborted before it is under way


class LibvirtPlatform:
    """Hosts that run libvirtd and QEMU. Needs the extra `libvirt`; opens no connection before it is asked something."""

    def __init__(self, site: SiteFile, clock: Clock) -> None:
        library()
        self._site, self._clock = site, clock
        self._hosts = {host.name: host for host in site.hosts}
        deadline = site.platform.poll_deadline_seconds
        self._links = {host.name: HostLink(host.name, _uri(host), deadline) for host in site.hosts}
        self._observer = Observer(site, clock, self._links, self._in_flight)
        self._stale: tuple[StaleDefinition, ...] = ()
        self._begun_elsewhere: Callable[[], Mapping[str, Move]] = dict
        self._departing = threading.Lock()
        self._migrations: dict[str, RunningMigration] = {}  # by the guest's UUID, its last one
        self._seen_under_way: dict[str, Move] = {}  # likewise, whoever began it

    # -- looking

    def observe(self) -> Cluster:
        picture = self._observer.observe()
        self._stale = picture.stale
        return self._with_restarts(picture.cluster)

    def glance(self) -> Mapping[str, float]:
        return self._observer.glance()

    def compare_with_the_last_glances(self) -> None:
        self._observer.compare_with_the_last_glances()

    def _with_restarts(self, cluster: Cluster) -> Cluster:
        """A guest that is shut down to be moved wants its room again in a moment, so it counts as one on its way."""
        restarted = {m.order.vm_id for m in self._running() if m.restarts}
        if not restarted:
            return cluster
        vms = (
            vm.model_copy(update={"state": VmState.MIGRATING}) if vm.id in restarted and vm.is_in_flight else vm
            for vm in cluster.vms
        )
        return cluster.model_copy(update={"vms": tuple(vms)})

    def allow_for(self, begun: Callable[[], Mapping[str, Move]]) -> None:
        self._begun_elsewhere = begun

    def stale_definitions(self) -> tuple[StaleDefinition, ...]:
        """Return the definitions that guests had left behind on other hosts when they were last observed."""
        return self._stale

    def whereabouts(self, vm_id: str) -> Whereabouts:
        where = self._whereabouts(vm_id)
        if len(where.active_on) < 2:
            return where
        # Hosts do not answer in the same instant: a guest that arrives between two answers seems to be at both ends.
        self._clock.sleep(SECONDS_BETWEEN_TRIES)
        return self._whereabouts(vm_id)

    def _whereabouts(self, vm_id: str) -> Whereabouts:
        question = partial(questions.presence, vm_id=vm_id)
        found, failures = ask_all(self._links, "look for a guest", dict.fromkeys(self._links, question))
        return Whereabouts(
            active_on=tuple(host for host, here in found.items() if here.is_active),
            defined_on=tuple(host for host, here in found.items() if here.is_defined),
            not_asked={host: str(error) for host, error in failures.items()},
        )

    def answers(self, host: str) -> bool:
        try:
            self._link(host, "ask for a sign of life").ask("ask for a sign of life", lambda c: c.getLibVersion())
        except PlatformError:
            return False
        return True

    def host_uuid(self, host: str) -> str | None:
        operation = "ask for its UUID"
        try:
            return self._link(host, operation).ask(operation, lambda c: host_facts(c.getCapabilities()).uuid)
        except PlatformError:
            return self._observer.last_seen_uuid(host)

    def reasons_to_stay_on(self, host: str) -> tuple[str, ...]:
        operation = "list what runs here"
        here = self._link(host, operation).ask(operation, questions.reasons_to_stay)
        under_way = [m.order.move for m in self._running() if host in (m.order.move.source, m.order.move.target)]
        return (*here, *(f"{move.vm} is on its way from {move.source} to {move.target}" for move in under_way))

    def shut_off_guests_on(self, host: str) -> tuple[str, ...]:
        operation = "list the guests that are shut off"
        return self._link(host, operation).ask(operation, questions.shut_off_guests)

    # -- moving

    def preflight(self, order: MigrationOrder) -> tuple[str, ...]:
        move, operation = order.move, f"ask what speaks against moving {order.move.vm} to {order.move.target}"
        source, target = self._link(move.source, operation), self._link(move.target, operation)
        guest = source.ask(operation, partial(ask_source, vm_id=order.vm_id, shared_paths=self._site.shared_paths))
        there = target.ask(operation, partial(questions.presence, vm_id=order.vm_id))
        if guest is None:
            return reasons_against(order, None, None)
        offered = target.ask(operation, partial(ask_target, vm_id=order.vm_id, guest=guest, is_active=there.is_active))
        reasons = reasons_against(order, guest, offered)
        return (*reasons, f"{move.vm} is on its way already") if order.vm_id in self._in_flight() else reasons

    def begin_migration(self, order: MigrationOrder) -> None:
        move, operation = order.move, f"migrate {order.move.vm} to {order.move.target}"
        target = self._link(move.target, operation)
        guest = self._passenger(order, operation)
        there = target.ask(operation, partial(questions.presence, vm_id=order.vm_id))
        fit = _fit(order, operation, guest)
        if there.is_active:
            raise PlatformError(
                move.target, operation, f"{move.vm} is active here already", "see which of the two is real"
            )
        self._depart(order, operation, fit)

    def _passenger(self, order: MigrationOrder, operation: str) -> Passenger | None:
        source = self._link(order.move.source, operation)
        shared = self._site.shared_paths
        return source.ask(operation, partial(questions.passenger_of, vm_id=order.vm_id, shared_paths=shared))

    def _depart(self, order: MigrationOrder, operation: str, guest: Passenger, mends: bool = False) -> None:
        move = order.move
        links = (self._link(move.source, operation), self._link(move.target, operation))
        with self._departing:
            if order.vm_id in self._in_flight():
                raise PlatformError(move.source, operation, "it is on its way already", "wait until it has arrived")
            migration = RunningMigration(order, self._hosts[move.source], self._hosts[move.target], links, guest, mends)
            self._migrations[order.vm_id] = migration
            migration.start()

    def mend_migration(self, order: MigrationOrder) -> None:
        operation = f"go on with the migration of {order.move.vm}"
        if order.vm_id in self._in_flight():
            return  # whoever began it mends it
        if self._link(order.move.source, operation).ask(operation, partial(is_cut, vm_id=order.vm_id)):
            guest = self._passenger(order, operation)
            if guest is not None:
                self._depart(order, operation, guest, mends=True)

    def start_guest(self, vm_id: str, host: str) -> None:
        operation = "start a guest that was shut down to be moved"
        elsewhere = [other for other in self.whereabouts(vm_id).active_on if other != host]
        if elsewhere:
            raise PlatformError(host, operation, f"it runs on {elsewhere[0]}", "see where it belongs")
        self._link(host, operation).ask(operation, partial(questions.start, vm_id=vm_id))

    def migration_status(self, order: MigrationOrder) -> MigrationStatus:
        ours = self._ours(order)
        if ours is not None and not ours.is_running and not ours.lost:
            ended = MigrationStatus(MigrationPhase.ENDED, error=ours.error, prospect=ours.prospect)
            return ours.measured(ended)
        seen = self._status_at_source(order)
        if ours is not None and ours.is_running:
            # Its thread still waits for the end: until then, what the source says is but the progress.
            phase = MigrationPhase.CUT if ours.is_cut else MigrationPhase.RUNNING
            return replace(seen, phase=phase, error="")
        if ours is not None and seen.phase is MigrationPhase.ENDED:
            return ours.measured(replace(seen, error=ours.error, prospect=ours.prospect))
        return seen

    def _status_at_source(self, order: MigrationOrder) -> MigrationStatus:
        """One that was begun by us, or seen under way, and is no more, has ended; of any other nothing is known."""
        operation = f"ask how far {order.move.vm} has come"
        try:
            link = self._link(order.move.source, operation)
            seen = link.ask(operation, partial(questions.progress, vm_id=order.vm_id))
        except PlatformError as error:
            return MigrationStatus(MigrationPhase.UNKNOWN, error=str(error))
        if seen.phase in {MigrationPhase.RUNNING, MigrationPhase.CUT}:
            self._seen_under_way[order.vm_id] = order.move
        was_under_way = self._seen_under_way.get(order.vm_id) == order.move or self._ours(order) is not None
        return replace(seen, phase=MigrationPhase.ENDED) if _is_quiet(seen) and was_under_way else seen

    def abort_migration(self, order: MigrationOrder) -> None:
        operation = f"give up the migration of {order.move.vm}"
        last = self._ours(order)
        if order.kind == "cold" and last is not None:
            last.give_up()  # no job of the hypervisors carries it out, but a thread of ours
            return
        link = self._link(order.move.source, operation)
        for _ in range(ABORT_TRIES):
            came_of_it = link.ask(operation, partial(questions.give_up_migration, vm_id=order.vm_id))
            ours = self._ours(order)
            if came_of_it is not Abort.NO_MIGRATION or ours is None or not ours.is_running:
                return
            self._clock.sleep(SECONDS_BETWEEN_TRIES)
        raise PlatformError(order.move.source, operation, "it is about to begin or to end", "ask again in a moment")

    # -- keeping

    def close(self) -> None:
        """Let go of connections and threads; migrations under way are carried on by the hypervisors."""
        for link in self._links.values():
            link.close()

    def _link(self, host: str, operation: str) -> HostLink:
        if host not in self._links:
            raise PlatformError(host, operation, "there is no such host in the site file")
        return self._links[host]

    def _ours(self, order: MigrationOrder) -> RunningMigration | None:
        """Return the migration that this process began upon this order."""
        last = self._migrations.get(order.vm_id)
        return last if last is not None and last.order.move == order.move else None

    def _running(self) -> tuple[RunningMigration, ...]:
        return tuple(migration for migration in list(self._migrations.values()) if migration.is_running)

    def _in_flight(self) -> dict[str, Ends]:
        moves = {**self._begun_elsewhere(), **{m.order.vm_id: m.order.move for m in self._running()}}
        return {vm_id: (move.source, move.target) for vm_id, move in moves.items()}


def _is_quiet(status: MigrationStatus) -> bool:
    """Whether the source answered, has the guest, and knows of no migration."""
    return status.phase is MigrationPhase.UNKNOWN and not status.error


def _uri(host: SiteHost) -> str:
    if host.uri is None:
        way_out = f"write `uri: qemu+tls://{host.name}/system`, or however its libvirtd is reached"
        raise PlatformError(host.name, "read its entry in the site file", "it has no `uri`", way_out)
    return host.uri


def _fit(order: MigrationOrder, operation: str, guest: Passenger | None) -> Passenger:
    """Return the guest if it can leave as ordered; refuse what certainly cannot be begun."""
    why_unfit = _why_unfit(order, guest)
    if why_unfit or guest is None:
        raise PlatformError(order.move.source, operation, why_unfit, "look again where it is, and plan it anew")
    return guest


def _why_unfit(order: MigrationOrder, guest: Passenger | None) -> str:
    """Say why a guest cannot leave as ordered; empty where it can."""
    if guest is None:
        return f"it has no guest {order.move.vm} ({order.vm_id})"
    if guest.is_active is not order.needs_running:
        return f"a {order.kind} migration, and the guest is {'active' if guest.is_active else 'shut off'}"
    return ""
