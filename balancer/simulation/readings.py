"""What hypervisors say of a simulated world, and what cannot be believed of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from balancer.domain.cluster import Doubt
from balancer.domain.host import Host
from balancer.domain.vm import Vm, VmState
from balancer.simulation.machines import GuestState, Metrics, SimGuest, SimHost
from balancer.simulation.world import CpuOnHost, World

BELIEVABLE = 1.05  # of all cores or vCPUs: rounding of counters goes a little above 1, never far

_STATES = {
    GuestState.RUNNING: VmState.RUNNING,
    GuestState.PAUSED: VmState.PAUSED,
    GuestState.SHUT_OFF: VmState.SHUT_OFF,
}


def of_host(world: World, host: SimHost, now: datetime, doubts: list[Doubt]) -> Host:
    """Return a host that answers, as it says it is."""
    name = host.spec.name
    used = _believed(host, world.cpu_on(host).used_cores, host.spec.cores, f"host:{name}", doubts)
    reading = {"id": host.spec.id, "seen_at": now, "cpu_used_cores": used, "memory_used_mib": _memory_used(world, host)}
    if host.lost:
        kept = {"pools": host.spec.pools, "networks": host.spec.networks}
        reading |= {kind: tuple(n for n in names or () if n not in host.lost) for kind, names in kept.items()}
    return unseen_host(host).model_copy(update=reading)


def unseen_host(host: SimHost) -> Host:
    """Return a host that never answered, as its entry in the site file has it."""
    return host.spec.as_bought


def of_guests(world: World, doubts: list[Doubt]) -> Iterator[Vm]:
    """Return the guests that any hypervisor that answers lists as its own."""
    cpu = {name: world.cpu_on(host) for name, host in world.hosts.items() if host.answers}
    for guest in world.guests.values():
        if guest.host in cpu and guest.state is not GuestState.GONE:
            yield _of_guest(world, guest, cpu[guest.host], doubts)


def _of_guest(world: World, guest: SimGuest, cpu: CpuOnHost, doubts: list[Doubt]) -> Vm:
    now: dict[str, object] = {"host": guest.host, "state": _STATES[guest.state]}
    if (migration := world.transit.of(guest)) is not None:
        in_flight = VmState.MIGRATING if guest.is_active or migration.interrupts else VmState.SHUT_OFF
        now |= {"state": in_flight, "moving_to": migration.target, "migration_phase": "copying"}
    if guest.state is GuestState.RUNNING:
        wanted = world.demand_of(guest)
        used = _believed(guest, wanted * cpu.share_given, guest.spec.vcpus, f"vm:{guest.spec.name}", doubts)
        waiting = wanted * (1.0 - cpu.share_given) / guest.spec.vcpus
        now |= {"cpu_used_cores": used, "cpu_wait_share": None if used is None else waiting}
    elif guest.is_active:
        now |= {"cpu_used_cores": 0.0, "cpu_wait_share": 0.0}
    return guest.spec.as_ordered.model_copy(update=now)


def _believed(thing: SimHost | SimGuest, cores: float, most: float, subject: str, doubts: list[Doubt]) -> float | None:
    """Return a reading, or nothing and a doubt where it is missing or cannot be."""
    reading = {Metrics.TRUE: cores, Metrics.MISSING: None, Metrics.ABSURD: thing.absurd_value}[thing.metrics]
    if reading is None:
        doubts.append(Doubt(subject=subject, kind="missing", detail="its CPU was not measured"))
        return None
    if not 0.0 <= reading <= most * BELIEVABLE:  # nor is a NaN
        detail = f"{reading:g} cores in use, of {most:g}"
        doubts.append(Doubt(subject=subject, kind="absurd", detail=detail))
        return None
    return reading


def _memory_used(world: World, host: SimHost) -> float | None:
    """Return the memory of the hypervisor and of the guests here.

    What has arrived of a guest on its way here is left out: a snapshot counts that guest in full at both ends already.
    """
    if host.metrics is Metrics.MISSING:
        return None
    guests = sum(guest.spec.memory_mib for guest in world.guests_on(host.spec.name) if guest.is_active)
    return host.spec.hypervisor_memory_mib + guests
