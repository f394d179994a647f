"""People who look at pages all the time, and one who is told the news as they come."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.web.served import token_of

PATHS = (
    "/",
    "/plan",
    "/runs",
    "/hosts",
    "/hosts/hv01",
    "/guests",
    "/guests/web-1",
    "/power",
    "/policy",
    "/history",
    "/audit",
    "/metrics",
    "/api/v1/status",
    "/api/v1/snapshot",
    "/api/v1/plan",
    "/api/v1/cycles",
    "/api/v1/hosts/hv01/history",
)
PAUSE_SECONDS = 1.0


@dataclass
class Visitors:
    """What they were answered."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    news: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def look(self, url: str) -> None:
        """Read one page after the other on one connection."""
        with _client(url) as client:
            while not self.gone.is_set():
                for path in PATHS:
                    self.answers[path, client.get(path, follow_redirects=False).status_code] += 1
                    if self.gone.wait(PAUSE_SECONDS):
                        return

    def listen(self, url: str) -> None:
        """Be told the news."""
        with _client(url) as client, client.stream("GET", "/live") as told:
            for line in told.iter_lines():
                if line.startswith("event:"):
                    self.news[line.partition(":")[2].strip()] += 1
                if self.gone.is_set():
                    return


def _client(url: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token_of('vera')}"}
    return httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False)


@contextmanager
def visitors(url: str) -> Iterator[Visitors]:
    """Have two look and one listen for as long as the block runs."""
    crowd = Visitors()

    def told_of(what: str) -> None:
        try:
            getattr(crowd, what)(url)
        except Exception as failed:
            crowd.trouble.append(f"{what}: {failed!r}")

    threads = [threading.Thread(target=told_of, args=(what,), daemon=True) for what in ("look", "look", "listen")]
    for thread in threads:
        thread.start()
    try:
        yield crowd
    finally:
        crowd.gone.set()
        for thread in threads:
            thread.join(30)
