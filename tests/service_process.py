"""The real service process on a small simulated site in real time: `python -m tests.service_process STATE POLICY`."""

from __future__ import annotations

import sys
from pathlib import Path

from balancer.clock import WallClock
from balancer.commands.logs import set_up_logs
from balancer.domain.site_file import PlatformChoice, SiteFile, SiteHost
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World
from balancer.site import site_from

CLUSTER = "small"
HOSTS = ("h1", "h2")
LEASE_SECONDS = 3.0
MIGRATION_SECONDS = 8.0
GUEST_MIB = 4096.0


def serve(state: Path, policy: Path) -> None:
    """Run the service on two hosts, one of which has all four guests."""
    set_up_logs(verbose=False)
    clock = WallClock()
    link = GUEST_MIB / MIGRATION_SECONDS
    world = World(clock, [HostSpec(name, 16, 65536, migration_mib_per_s=link) for name in HOSTS], CLUSTER)
    for name in ("a", "b", "c", "d"):
        world.add_guest(GuestSpec(name, 2, GUEST_MIB, constantly(2.0), dirty_mib_per_s=0), "h1")
    hosts = tuple(SiteHost(name=name) for name in HOSTS)
    platform = PlatformChoice(kind="simulated")
    file = SiteFile(cluster=CLUSTER, platform=platform, hosts=hosts, store=store_url(state))
    site = site_from(file, state, state, clock, world)
    site.is_private = False  # as a site of real hypervisors: another balancer might act on it
    try:
        Service(site, WatchedPolicy(policy, CLUSTER), state, LEASE_SECONDS).run()
    finally:
        site.close()


def store_url(state: Path) -> str:
    return f"sqlite:///{state / 'balancer.db'}"


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
