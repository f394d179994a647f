"""Measures how long the server takes for each page of a large cluster: `python -m tests.web.scale [HOSTS GUESTS]`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from starlette.testclient import TestClient

from balancer.cycle import think
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Mode
from balancer.policy import DEFAULT_POLICY, Policy
from balancer.store.tokens import Role
from tests.bench.clusters import BenchCase, cluster_of
from tests.web.stage import stage

PAGES = ["/", "/hosts", "/hosts/{host}", "/guests", "/guests?words=vm&sort=cores&page=50", "/guests/{vm}", "/plan"]
PAGES += ["/runs", "/power", "/policy", "/history", "/audit", "/api/v1/status", "/api/v1/hosts", "/api/v1/guests"]
TIMES = 5


def measure(hosts: int, guests: int) -> None:
    """Print the median and the worst of a few answers, page by page."""
    cluster = cluster_of(BenchCase(hosts, guests))
    policy: Policy = DEFAULT_POLICY.in_mode(Mode.CONFIRM)
    cycle = think(cluster, policy, NOTHING_REMEMBERED)
    with tempfile.TemporaryDirectory() as directory, stage(Path(directory)) as site:
        site.service.board.publish(cycle, policy, site.service._watched.loaded, None)
        site.store.proposals.propose(cycle.plan, cluster.taken_at)
        browser = site.browser(Role.ADMIN).client
        print(f"{hosts} hosts, {guests} guests, {len(cycle.plan.moves)} moves; milliseconds in the server")
        paths = [path.format(host=cluster.hosts[0].name, vm=cluster.vms[0].name) for path in PAGES]
        for path in [*paths, f"/plans/{cycle.plan.id}"]:
            print(f"{path[:40]:40} {_said(browser, path)}", flush=True)


def _said(browser: TestClient, path: str) -> str:
    took, size = [], 0
    for _ in range(TIMES):
        since = time.perf_counter()
        answer = browser.get(path, follow_redirects=False)
        took.append((time.perf_counter() - since) * 1000)
        size = len(answer.content)
    median = sorted(took)[TIMES // 2]
    return f"median {median:6.0f}  worst {max(took):6.0f}  {size / 1024:6.0f} KiB  {answer.status_code}"


if __name__ == "__main__":
    measure(*(map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (96, 10_000)))
