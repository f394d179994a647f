"""The product as an administrator of the lab uses it: its own commands, a site file, a policy, a store."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from balancer.domain.cluster import Cluster
from balancer.formats import read, read_text
from balancer.saved import SavedCycle

from .lab import Lab

LEASE_SECONDS = 5  # short, because stories kill the holder and want to go on


class Product:
    """Runs `balancer` against a lab, each story with a store of its own."""

    def __init__(self, lab: Lab, directory: Path, store: str | None = None) -> None:
        self.lab, self.directory = lab, directory
        self.policy = directory / "policy.yaml"
        self.saved = directory / "cycle.json"
        self.log = directory / "log"
        self.store = directory / "balancer.db"
        self.store_url = store or f"sqlite:///{self.store}"
        self.site = directory / "site.yaml"
        self.secrets = lab.secrets_dir

    def has_site(self, **changes: Any) -> None:
        """Write the site file; `changes` as `Lab.site_file` takes them."""
        self.lab.site_file(self.site, store=self.store_url, shutdown_deadline_seconds=60.0, **changes)

    def has_policy(self, text: str) -> None:
        self.policy.write_text(f"schema: balancer.policy/1\n{text}\n")

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BALANCER_SITE": str(self.site),
            "BALANCER_POLICY": str(self.policy),
            "BALANCER_SECRETS": str(self.secrets),
            "BALANCER_STATE": str(self.directory),
            "BALANCER_LEASE_SECONDS": str(LEASE_SECONDS),
        }

    def start(self, *arguments: str, by_way_of: Sequence[str] = ("balancer",)) -> subprocess.Popen[str]:
        """Start a command and leave it running; `by_way_of` another module that starts it."""
        command = [sys.executable, "-m", *by_way_of, *arguments]
        return subprocess.Popen(
            command, env=self.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def serves(self, *, by_way_of: Sequence[str] = ("balancer",)) -> subprocess.Popen[bytes]:
        """Start the service in a session of its own, so that it and its hands can be frozen together; it logs."""
        command = [sys.executable, "-m", *by_way_of, "run", "--mode", "act"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=self.environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def says(self, *arguments: str, code: int | None = 0, timeout: float = 300) -> str:
        """Run a command to its end, insist on its exit code (None: any), and return all that it said."""
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=timeout)
        if code is not None:
            assert process.returncode == code, f"balancer {' '.join(arguments)} left with {process.returncode}:\n{said}"
        return said

    def acts(self, code: int | None = 0) -> tuple[SavedCycle, str]:
        """Run one acting cycle; return what it decided, and what it said."""
        said = self.says("run", "--once", "--mode", "act", "--save", str(self.saved), code=code)
        return read(self.saved, SavedCycle), said

    def sees(self) -> Cluster:
        """Return a snapshot."""
        target = self.directory / "seen.json"
        self.says("snapshot", "--output", str(target))
        return read_text(target.read_text(), Cluster, str(target))

    def proves_power(self, *hosts: str) -> None:
        """Put empty hosts through their power test, so that they may sleep."""
        for host in hosts:
            assert "passed its power test" in self.says("power", "test", host)

    def remembers(self, store: Path) -> None:
        """Begin with what another story's balancer has kept."""
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as kept, sqlite3.connect(self.store) as own:
            kept.backup(own)

    def journal(self) -> list[tuple[str, str, str]]:
        """Return (action, subject, state) of each journal entry, oldest first, read behind the product's back."""
        rows = self._read("select action, step, state from journal order by id")
        return [(action, _subject(json.loads(step)), state) for action, step, state in rows]

    def moves(self) -> list[tuple[str, str]]:
        """Return (phase, state) of each move in the journal, oldest first."""
        return self._read("select phase, state from journal where action = 'move' order by id")

    def reservations(self) -> list[tuple[str, str]]:
        """Return (guest, target) of all room that is held for a move."""
        return self._read("select vm, target from reservations order by entry")

    def _read(self, question: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
            return db.execute(question).fetchall()


def _subject(step: dict[str, Any]) -> str:
    return str(step.get("vm") or step.get("host"))
