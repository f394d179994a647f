"""Measures how long the server takes for each page of a large cluster: `python -m tests.web.scale [HOSTS GUESTS]`.

Processor time counts, so that neighbours on the machine do not. It ends with 1 where a page takes longer than a page
may; what is thought about for a visitor is measured beside.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.testclient import TestClient

from balancer.cycle import think
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Mode
from balancer.policy import DEFAULT_POLICY, Policy
from balancer.store.tokens import Role
from tests.bench.clusters import BenchCase, cluster_of
from tests.web.stage import stage

MOST_MS = 300.0  # of a page, as the median of a few
PAGES = [
    *("/", "/plans/{plan}", "/runs", "/hosts", "/hosts/{host}"),
    *("/guests", "/guests?words=vm&sort=cores&page=50", "/guests/{vm}"),
    *("/power", "/policy", "/history", "/history/{plan}", "/audit", "/metrics"),
    *("/api/v1/status", "/api/v1/hosts", "/api/v1/guests"),
]
THOUGHT = [
    *("/guests/{vm}/why", "/policy/remarks"),
    *("/history/{plan}/whole", "/history/compare?first={plan}&second={plan}"),
    *("/api/v1/snapshot", "/api/v1/plan"),
    *("/api/v1/plans/last/file?format=html", "/api/v1/plans/last/file?format=csv"),
]
TIMES = 5


@dataclass(frozen=True)
class Answered:
    """How long some answers to one question took."""

    path: str
    took_ms: tuple[float, ...]
    kib: float

    @property
    def median_ms(self) -> float:
        return sorted(self.took_ms)[len(self.took_ms) // 2]

    def __str__(self) -> str:
        worst = max(self.took_ms)
        return f"{self.path[:48]:48} median {self.median_ms:6.0f}  worst {worst:6.0f}  {self.kib:6.0f} KiB"


@contextmanager
def large_site(hosts: int, guests: int) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """Serve a cluster of that size, whose plan waits for a person; gives a browser, and names to ask about."""
    cluster = cluster_of(BenchCase(hosts, guests))
    policy: Policy = DEFAULT_POLICY.in_mode(Mode.CONFIRM)
    cycle = think(cluster, policy, NOTHING_REMEMBERED)
    names = tuple(host.name for host in cluster.hosts)
    with tempfile.TemporaryDirectory() as directory, stage(Path(directory), hosts=names) as site:
        for _ in range(3):
            site.service.board.publish(cycle, policy, site.service._watched.loaded, None)
        site.service.chronicle.keep(cycle, policy)
        site.store.proposals.propose(cycle.plan, cluster.taken_at)
        about = {"host": names[0], "vm": cluster.vms[0].name, "plan": cycle.plan.id}
        print(f"{hosts} hosts, {guests} guests, a plan of {len(cycle.plan.moves)} moves; milliseconds of processor")
        yield site.browser(Role.ADMIN).client, about


def measure(hosts: int, guests: int) -> list[Answered]:
    """Print how long each page took; returns those that took too long."""
    with large_site(hosts, guests) as (browser, about):
        pages = list(_answers(browser, PAGES, about))
        print("what is thought about, read back from a file, or taken away as one")
        list(_answers(browser, THOUGHT, about))
    return [page for page in pages if page.median_ms > MOST_MS]


def _answers(browser: TestClient, paths: Sequence[str], about: dict[str, str]) -> Iterator[Answered]:
    for path in paths:
        took, size = [], 0
        for _ in range(TIMES):
            since = time.process_time()
            answer = browser.get(path.format(**about), follow_redirects=False)
            took.append((time.process_time() - since) * 1000)
            assert answer.status_code == 200, (path, answer.text)
            size = len(answer.content)
        answered = Answered(path, tuple(took), size / 1024)
        print(f"  {answered}", flush=True)
        yield answered


def main(words: list[str]) -> int:
    slow = measure(*(map(int, words) if words else (96, 10_000)))
    print(f"Each page takes less than {MOST_MS:.0f} ms." if not slow else f"Longer than {MOST_MS:.0f} ms:")
    for page in slow:
        print(f"- {page}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
