"""The real service in another's world: `-m tests.pair.balancer_process SOCKET STORE STATE POLICY SECONDS`."""

from __future__ import annotations

import sys
from pathlib import Path

from balancer.clock import WallClock
from balancer.commands.logs import set_up_logs
from balancer.domain.site_file import PlatformChoice, SiteFile, SiteHost
from balancer.execution import ActingSite
from balancer.hands import HandsInAChild
from balancer.history import open_history
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.site import Site
from balancer.store import open_store
from tests.pair.world import CLUSTER, HOSTS, platform, switches

LEASE_SECONDS = 4.0


def serve(socket: Path, store: str, state: Path, policy: Path, order_takes_seconds: str) -> None:
    set_up_logs(verbose=False)
    hosts = tuple(SiteHost(name=name) for name in HOSTS)
    file = SiteFile(cluster=CLUSTER, platform=PlatformChoice(kind="simulated"), hosts=hosts, store=store)
    acting = ActingSite(file, platform(socket), switches(socket), open_store(store, CLUSTER), WallClock())
    command = [sys.executable, "-m", "tests.pair.hands", str(socket), order_takes_seconds]
    history = open_history(file, state / "history.db", state, acting.clock)
    site = Site(acting, history, hands=HandsInAChild(file, state, command))
    try:
        Service(site, WatchedPolicy(policy, CLUSTER), state, LEASE_SECONDS).run()
    finally:
        site.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
