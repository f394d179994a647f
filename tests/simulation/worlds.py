"""Small worlds on virtual time."""

from __future__ import annotations

from datetime import UTC, datetime

from balancer.clock import HandSetClock
from balancer.simulation.machines import GuestSpec, HostSpec, Phase, constantly
from balancer.simulation.world import World

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def host(name: str, migration_mib_per_s: float = 100.0) -> HostSpec:
    """16 cores, 64 GiB, and a link slow enough to count along."""
    return HostSpec(name, 16, 65536, migration_mib_per_s=migration_mib_per_s, boot_seconds=100, shutdown_seconds=30)


def guest(name: str, memory_mib: float = 1000, dirty_mib_per_s: float = 0, autostart: bool = False) -> GuestSpec:
    return GuestSpec(name, 2, memory_mib, constantly(1.0), dirty_mib_per_s=dirty_mib_per_s, autostart=autostart)


def world_of(*guests: GuestSpec) -> tuple[World, HandSetClock]:
    """Three hosts, with all guests on the first."""
    clock = HandSetClock(MIDNIGHT)
    world = World(clock, [host("h1"), host("h2"), host("h3")])
    for spec in guests:
        world.add_guest(spec, "h1")
    return world, clock


def place_of(world: World, vm: str) -> str:
    world.settle()
    return world.guests[vm].host


def phase_of(world: World, host: str) -> Phase:
    world.settle()
    return world.hosts[host].phase
