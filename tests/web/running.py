"""Starts the real service with its pages, and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.web.served import token_of

PATIENCE_SECONDS = 60.0


@dataclass
class Served:
    """A service that runs: its URL, its process, what it logs."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def as_(self, name: str) -> httpx.Client:
        """Return somebody who uses the API."""
        headers = {"Authorization": f"Bearer {token_of(name)}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30, trust_env=False)

    def waits_for(self, what: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.1)

    def leaves_with(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def served(state: Path, module: str = "tests.web.served", *words: str) -> Iterator[Served]:
    """Run a service on the embedded site until the block ends, from its first cycle on.

    module: that starts it, with these words; the usual one has its first plan wait for a person
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BALANCER_")}
    environment["BALANCER_WEB_LISTEN"] = "127.0.0.1:0"
    log = state / "log"
    command = [sys.executable, "-m", module, str(state), *words]
    root = Path(__file__).parents[2]
    with log.open("wb") as written, subprocess.Popen(command, stderr=written, cwd=root, env=environment) as process:
        try:
            running = Served("", process, log)
            running.waits_for(lambda: (state / "url").exists() and (state / "url").read_text() != "")
            running.url = (state / "url").read_text()
            client = running.as_("vera")
            running.waits_for(lambda: client.get("/status").status_code == 200)
            running.waits_for(lambda: module != "tests.web.served" or bool(client.get("/proposals").json()))
            yield running
        finally:
            process.kill()
