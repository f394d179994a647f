"""What a simulated world does not allow, in the words of a hypervisor; empty where nothing speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from balancer.domain.vm import Movable
from balancer.simulation.machines import Orders, Phase, SimGuest

if TYPE_CHECKING:
    from balancer.simulation.world import World


def why_not_start(world: World, guest: SimGuest, host: str) -> str:
    """Say why a guest cannot be started on a host."""
    if guest.is_active:
        return f"it runs already, on {guest.host}"
    if world.transit.of(guest) is not None:
        return "its definition is on its way"
    if world.hosts[host].phase is not Phase.UP:
        return f"the host is {world.hosts[host].phase}"
    return _why_no_memory(world, guest, host)


def why_not_migrate(world: World, guest: SimGuest, target: str, orders: Orders) -> str:
    """Say why a guest cannot be sent to a host."""
    if (migration := world.transit.of(guest)) is not None:
        return f"it is on its way to {migration.target} already"
    if target not in world.hosts or target == guest.host:
        return "there is no such host" if target not in world.hosts else "it is there already"
    if guest.spec.movable is Movable.NEVER or (orders.kind != "cold" and guest.spec.movable is Movable.COLD):
        return guest.spec.why_not or "it cannot be migrated"
    if why_not := _why_not_so(guest, orders):
        return why_not
    return _why_not_received(world, guest, target)


def _why_not_so(guest: SimGuest, orders: Orders) -> str:
    """Say why a guest cannot be migrated in this way."""
    needs_running = orders.kind != "cold" or orders.options.restart
    if guest.is_active is not needs_running:
        return f"a {orders.kind} migration, and the guest is {guest.state}"
    if orders.options.restart and not guest.spec.persistent:
        return "it is transient: shut down, it would be gone"
    if guest.spec.storage == "local" and not orders.options.copies_storage:
        return "Unsafe migration: its disk is on this host alone"
    return ""


def _why_not_received(world: World, guest: SimGuest, target: str) -> str:
    down = [host for host in (guest.host, target) if world.hosts[host].phase is not Phase.UP]
    if down:
        return f"{down[0]} is {world.hosts[down[0]].phase}"
    models = guest.spec.cpu_models
    if models is not None and world.hosts[target].spec.cpu_model not in models:
        return "guest CPU is not compatible with the host CPU there"
    return _why_no_memory(world, guest, target) if guest.is_active else ""


def _why_no_memory(world: World, guest: SimGuest, host: str) -> str:
    free = world.hosts[host].spec.memory_mib - world.memory_taken_mib(host)
    if guest.spec.memory_mib <= free:
        return ""
    return f"cannot allocate {guest.spec.memory_mib:.0f} MiB, {max(0.0, free):.0f} MiB are free"
