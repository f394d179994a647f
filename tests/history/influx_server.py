"""A real InfluxDB for the tests, as Debian packs it: version 1 on loopback ports, with what Telegraf would write."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.history.exporters import EVERY, UNSEEN

NANO = 10**9
CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{control}"
[meta]
dir = "{directory}/meta"
[data]
dir = "{directory}/data"
wal-dir = "{directory}/wal"
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {with_users}
log-enabled = false
[subscriber]
enabled = false
[monitor]
store-enabled = false
[continuous_queries]
enabled = false
"""


def skip_without_influxdb() -> None:
    """Leave the test out where there is no server; on CI that is a failure."""
    if shutil.which("influxd"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("influxd is missing: apt install influxdb")
    pytest.skip("influxd is missing: apt install influxdb")


class InfluxDB:
    """A server, and the database that is written to."""

    def __init__(self, directory: Path, with_users: bool = False) -> None:
        port, control = _free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        config = directory / "influxdb.conf"
        said = {"directory": directory, "port": port, "control": control, "with_users": str(with_users).lower()}
        config.write_text(CONFIG.format(**said))
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(["influxd", "-config", str(config)], stdout=quiet, stderr=quiet)
        self._credentials: dict[str, str] = {}
        self._wait_until_it_answers()
        if with_users:
            self.ask("CREATE USER admin WITH PASSWORD 'pass-word' WITH ALL PRIVILEGES")
            self._credentials = {"u": "admin", "p": "pass-word"}
        self.database = ""
        self.begin_a_database("telegraf")

    def begin_a_database(self, name: str) -> None:
        """Have another database, with nothing in it; the ones before stay."""
        self.ask(f"CREATE DATABASE {name}")
        self.database = name

    def ask(self, query: str) -> None:
        """Have the server do something."""
        where = urlencode({"q": query, **self._credentials})
        with urlopen(Request(f"{self.url}/query?{where}", method="POST"), timeout=10):
            pass

    def write(self, lines: Iterable[str]) -> None:
        """Write lines of its protocol, in nanoseconds."""
        where = urlencode({"db": self.database, **self._credentials})
        with urlopen(Request(f"{self.url}/write?{where}", "\n".join(lines).encode()), timeout=10):
            pass

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        for _ in range(200):
            try:
                with urlopen(f"{self.url}/ping", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("influxd does not answer")


def lines_of_telegraf(used: Mapping[datetime, float | None]) -> Iterator[str]:
    """Yield five minutes of samples before each moment; None is a gap in what is known of guests."""
    user = system = delay = 1000.0
    for until, cores in sorted(used.items()):
        for sample in range(5):
            at = until - 4 * EVERY + sample * EVERY
            passed = EVERY.total_seconds() * NANO
            worked = (UNSEEN if cores is None else cores) * passed  # a guest goes on while nobody looks
            user, system, delay = user + 0.75 * worked, system + 0.25 * worked, delay + 0.02 * passed
            if cores is not None:
                yield from of_guest(at, user, system, delay)
            yield from of_host(at)


def of_guest(at: datetime, user: float, system: float, delay: float = 0.0) -> Iterator[str]:
    """Yield what the libvirt input says of `u-1`: its field `time` is dropped by InfluxDB."""
    where, when = "domain_name=u-1,host=h1", nanoseconds(at)
    yield f"libvirt_cpu,{where} time={user + system:.0f}i,user={user:.0f}i,system={system:.0f}i {when}"
    yield f"libvirt_balloon,{where} rss={512 * 1024}i {when}"
    yield from (f"libvirt_vcpu,{where},vcpu_id={vcpu} delay={delay:.0f}i {when}" for vcpu in range(4))


def of_host(at: datetime) -> Iterator[str]:
    """Yield what the inputs cpu and mem say of `h1`."""
    when = nanoseconds(at)
    yield f"cpu,cpu=cpu-total,host=h1 usage_idle=75 {when}"
    yield from (f"cpu,cpu=cpu{core},host=h1 usage_idle=75 {when}" for core in range(36))
    yield f"mem,host=h1 used={4 * 1024**3}i {when}"


def nanoseconds(at: datetime) -> int:
    return round((at - datetime.fromtimestamp(0, at.tzinfo)) / timedelta(microseconds=1)) * 1000


def _free_ports(number: int) -> list[int]:
    holders = [socket.socket() for _ in range(number)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports
