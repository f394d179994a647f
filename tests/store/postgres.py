"""A PostgreSQL server of the tests' own, on a socket in a directory that is thrown away, as a user without rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import pytest

DEBIAN = Path("/usr/lib/postgresql")
PATIENCE_SECONDS = 60
# Tests kill the balancer, never the machine: a server that does not wait for the disk is as good, and quick.
QUICK = "fsync=off\nlisten_addresses=''\nmax_connections=40\nshared_buffers=16MB\n"


@cache
def program(name: str) -> str | None:
    """Find one of PostgreSQL's programs; Debian keeps them beside the path."""
    beside = sorted(DEBIAN.glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or next(map(str, beside), None)


def missing() -> list[str]:
    """Say what this machine lacks for a store on PostgreSQL; empty where it lacks nothing."""
    lacks = [] if program("initdb") and program("pg_ctl") else ["the Debian package postgresql"]
    return lacks if find_spec("psycopg") else [*lacks, "the extra `postgres` (psycopg)"]


def skip_without_postgres() -> None:
    """Skip where PostgreSQL is missing, except in CI: there the proof has to be made."""
    if lacks := missing():
        reason = f"a store on PostgreSQL lacks: {', '.join(lacks)}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


class Server:
    """A server that can be stopped and started again, with its databases."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._data = directory, directory / "data"
        self._databases = 0

    def make(self) -> None:
        self._run("initdb", "--pgdata", str(self._data), "--auth", "trust", "--username", "balancer", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(f"{QUICK}unix_socket_directories='{self._directory}'\n")

    def start(self) -> None:
        self._run("pg_ctl", "--pgdata", str(self._data), "--log", str(self._directory / "log"), "--wait", "start")

    def stop(self, how: str = "immediate") -> None:
        self._run("pg_ctl", "--pgdata", str(self._data), "--wait", "--mode", how, "stop")

    def stop_if_it_runs(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._databases += 1
        name = f"cluster{self._databases}"
        self._run("createdb", "--host", str(self._directory), "--username", "balancer", name)
        return f"postgresql+psycopg://balancer@/{name}?host={self._directory}"

    def asks_for_a_password(self, user: str, password: str) -> None:
        """Let in whoever knows the password, and nobody else."""
        self._run(
            "psql",
            "--host",
            str(self._directory),
            "--username",
            user,
            "--dbname",
            "postgres",
            "--command",
            f"alter role {user} password '{password}'",
        )
        self._lets_in("scram-sha-256")

    def trusts_everybody(self) -> None:
        """Let in whoever reaches the socket."""
        self._lets_in("trust")

    def _lets_in(self, how: str) -> None:
        (self._data / "pg_hba.conf").write_text(f"local all all {how}\n")
        self._run("pg_ctl", "--pgdata", str(self._data), "reload")
        time.sleep(0.3)  # it does not say when it has read them

    def _run(self, name: str, *words: str) -> None:
        path = program(name)
        assert path is not None
        # A server refuses to run as root.
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_nobody, path, *words],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=(self._directory / "said").open("ab"),
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, (self._directory / "said").read_text()


@contextmanager
def a_server() -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    directory = Path(mkdtemp(prefix="balancer-pg-"))  # short: a socket's path may not be long
    directory.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(directory, 65534, 65534)
    server = Server(directory)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop_if_it_runs()
        shutil.rmtree(directory, ignore_errors=True)
