"""Two real services on one cluster: one leads, the other takes over within its time, and no action is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer import lifetime
from balancer.leadership import LeaseTimes
from balancer.service import role_in_words, why_unhealthy
from balancer.store import Store, open_store
from balancer.store.journal import EntryState
from tests.pair.balancer_process import LEASE_SECONDS
from tests.pair.world import CLUSTER, GUESTS, Given, orders_given, platform
from tests.store.conftest import postgres
from tests.store.postgres import Server, a_server, skip_without_postgres

__all__ = ["postgres"]

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90.0  # for a busy machine; nothing here takes that long
TIMES = LeaseTimes(LEASE_SECONDS)
BUSY_SECONDS = 3.0  # what a machine that does other things besides adds to a take-over
POLICY = """\
schema: balancer.policy/1
mode: act
objectives: {even_load: {weight: 1.0}}
stability: {hold_minutes: 0, no_return_minutes: 0}
budget: {concurrent_per_host: 1}
interval_seconds: 1
"""


@dataclass
class Balancer:
    """One of the two, with its hands."""

    name: str
    process: subprocess.Popen[bytes]
    state: Path

    @property
    def log(self) -> str:
        return (self.state / "log").read_text()

    @property
    def role(self) -> str:
        return role_in_words(self.state)

    @property
    def owner(self) -> str:
        return f":{self.process.pid}:"

    def hands(self) -> list[int]:
        """Return the processes that act for it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").parent.parent
        found = [int(pid) for task in children.iterdir() for pid in (task / "children").read_text().split()]
        return [pid for pid in found if b"tests.pair.hands" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def is_told(self, number: signal.Signals, *processes: int) -> None:
        for pid in (self.process.pid, *processes):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@dataclass
class Pair:
    """Two balancers on one world and one store."""

    socket: Path
    store: Store
    one: Balancer
    other: Balancer

    @property
    def leader(self) -> str:
        holder = self.store.lease.holder(datetime.now(UTC))
        return holder.owner if holder else ""

    def leads(self, balancer: Balancer) -> bool:
        return balancer.owner in self.leader

    def waits_for(self, what: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until something has come about; returns for how long."""
        since = time.monotonic()
        while not what():
            assert time.monotonic() - since < seconds, f"{self.one.log}\n=== the other\n{self.other.log}"
            time.sleep(0.05)
        return time.monotonic() - since

    def given(self, what: str = "begin_migration") -> list[Given]:
        return [given for given in orders_given(self.socket) if given.what == what]

    def homes(self) -> Counter[str]:
        seen = platform(self.socket).observe()
        return Counter(vm.host for vm in seen.vms if not vm.is_in_flight)

    def is_even(self) -> bool:
        return self.homes() == {"h1": 2, "h2": 2} and not self.store.journal.unsettled()


@contextmanager
def a_pair(directory: Path, store: str, order_takes_seconds: float = 0.0) -> Iterator[Pair]:
    socket = directory / "world"
    with process_of("tests.pair.world", str(socket), log=directory / "world.log"):
        while not socket.exists():
            time.sleep(0.05)
        policy = directory / "policy.yaml"
        policy.write_text(POLICY + "freeze: moves\n")

        def words(name: str) -> list[str]:
            (directory / name).mkdir()
            return [str(socket), store, str(directory / name), str(policy), str(order_takes_seconds)]

        at_the_store = open_store(store, CLUSTER)
        module, one_log, other_log = "tests.pair.balancer_process", directory / "one/log", directory / "other/log"
        with process_of(module, *words("one"), log=one_log) as first:
            one = Balancer("one", first, directory / "one")
            give_up = time.monotonic() + PATIENCE_SECONDS
            while one.role != "leads":
                assert first.poll() is None and time.monotonic() < give_up, one.log
                time.sleep(0.05)
            with process_of(module, *words("other"), log=other_log) as second:
                pair = Pair(socket, at_the_store, one, Balancer("other", second, directory / "other"))
                pair.waits_for(lambda: pair.other.role.startswith("stands by: "))
                policy.write_text(POLICY)
                yield pair
        at_the_store.close()


@contextmanager
def process_of(module: str, *words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", module, *words]
    with log.open("wb") as written, subprocess.Popen(command, stderr=written, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/balancer.db"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


def test_a_standby_takes_over_from_a_leader_that_is_killed_and_repeats_nothing(tmp_path: Path, store: str) -> None:
    with a_pair(tmp_path, store) as pair:
        assert pair.one.owner in pair.other.role
        assert why_unhealthy(pair.other.state, datetime.now(UTC)) == ""
        pair.waits_for(lambda: bool(pair.given()))
        hands = pair.one.hands()
        pair.one.is_told(signal.SIGKILL)
        took = pair.waits_for(lambda: pair.leads(pair.other))
        assert took <= TIMES.takeover_seconds + BUSY_SECONDS
        pair.waits_for(pair.is_even)
        pair.waits_for(lambda: pair.other.role == "leads")
        assert Counter(given.subject for given in pair.given()).most_common(1)[0][1] == 1, "a guest was sent off twice"
        assert len(pair.given()) == 2
        assert not [pid for pid in hands if Path(f"/proc/{pid}").exists()], "its hands outlived it"


def test_a_leader_that_freezes_in_mid_order_does_nothing_more_when_it_thaws(tmp_path: Path) -> None:
    """The order is written down and on its way to the hypervisor: the worst moment to freeze in."""
    store = f"sqlite:///{tmp_path}/balancer.db"
    with a_pair(tmp_path, store, order_takes_seconds=1.5) as pair:
        pair.waits_for(lambda: bool(pair.store.journal.unsettled()) and bool(pair.one.hands()))
        hands = pair.one.hands()
        assert not pair.given(), "it froze too late for the test"
        pair.one.is_told(signal.SIGSTOP, *hands)
        took = pair.waits_for(lambda: pair.leads(pair.other))
        passed_on_at = lifetime.moment()
        assert took <= TIMES.takeover_seconds + BUSY_SECONDS
        pair.one.is_told(signal.SIGCONT, *hands)
        pair.waits_for(pair.is_even)
        pair.waits_for(lambda: pair.one.role.startswith("stands by: "))
        late = [given for given in pair.given() if given.by in hands and given.at > passed_on_at]
        assert late == [], "an order of the one that was frozen took effect after the right to act had passed on"
        assert not [pid for pid in hands if Path(f"/proc/{pid}/exe").exists()]
        assert Counter(given.subject for given in pair.given()).most_common(1)[0][1] == 1
        assert "the right to act was lost" in pair.one.log


def test_a_leader_whose_balancer_alone_freezes_loses_its_hands_in_time(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/balancer.db"
    with a_pair(tmp_path, store) as pair:
        pair.waits_for(lambda: bool(pair.given()))
        (hands,) = pair.one.hands()
        pair.one.is_told(signal.SIGSTOP)
        frozen_at = time.monotonic()
        pair.waits_for(lambda: not is_running(hands))
        assert time.monotonic() - frozen_at <= TIMES.hands_live_seconds + 0.5
        assert not pair.leads(pair.other), "its hands were alive when another led"
        pair.one.is_told(signal.SIGCONT)
        pair.waits_for(pair.is_even)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def test_a_leader_that_leaves_hands_over_at_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/balancer.db"
    with a_pair(tmp_path, store) as pair:
        pair.waits_for(pair.is_even)
        pair.one.is_told(signal.SIGTERM)
        assert pair.one.process.wait(PATIENCE_SECONDS) == 0, pair.one.log
        assert pair.waits_for(lambda: pair.leads(pair.other)) <= TIMES.renew_every_seconds + BUSY_SECONDS
        assert [given.subject in GUESTS for given in pair.given()] == [True, True]


def test_a_store_that_goes_and_comes_back_in_mid_run_costs_nothing_but_time(tmp_path: Path) -> None:
    skip_without_postgres()
    with a_server() as server, a_pair(tmp_path, server.new_database()) as pair:
        pair.waits_for(lambda: bool(pair.given()))
        server.stop()
        begun_before = len(pair.given())
        time.sleep(LEASE_SECONDS + 2)
        assert len(pair.given()) == begun_before, "something was begun that could not be written down"
        for balancer in (pair.one, pair.other):
            assert balancer.process.poll() is None, balancer.log
            assert "does its server run" in why_unhealthy(balancer.state, datetime.now(UTC))
        server.start()
        pair.waits_for(pair.is_even)
        pair.waits_for(
            lambda: sorted(b.role.partition(":")[0] for b in (pair.one, pair.other)) == ["leads", "stands by"]
        )
        assert Counter(given.subject for given in pair.given()).most_common(1)[0][1] == 1
        assert {entry.state for entry in pair.store.journal.latest()} == {EntryState.DONE}
        assert "Traceback" not in pair.one.log + pair.other.log
