"""Two balancers on real hypervisors and one store on PostgreSQL: one leads, and nothing is done twice or too late."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from balancer.leadership import LeaseTimes
from balancer.service import role_in_words, why_unhealthy
from balancer.store import Store, open_store
from balancer.store.journal import EntryState, JournalEntry
from tests.store.postgres import Server, a_server, skip_without_postgres

from .commands import LabError, wait_until
from .guests import Counter
from .lab import Lab
from .product import LEASE_SECONDS, Product
from .test_interrupted import is_at_rest_on
from .test_stories import EVEN, start_guests

pytestmark = pytest.mark.lab

TIMES = LeaseTimes(LEASE_SECONDS)
BUSY_SECONDS = 3.0  # what a machine that emulates guests besides adds to a take-over
POLICY = EVEN + "\ninterval_seconds: 2\nbudget: {concurrent_per_host: 1}\n"
SLOW = "migration: {bandwidth_mib_per_s: 3}\n"  # so that a guest is on its way for longer than a lease


@dataclass
class Balancer:
    """One of the two: its service, and what it says of itself."""

    product: Product
    process: subprocess.Popen[bytes]

    def has_role(self, role: str) -> bool:
        return role_in_words(self.product.directory).startswith(role)

    @property
    def log(self) -> str:
        return self.product.log.read_text()

    def hands(self) -> list[int]:
        """Return the processes that act for it; they share its session."""
        return [pid for pid in in_session(self.process.pid) if b"balancer.hands.child" in command_of(pid)]

    def is_told(self, number: signal.Signals) -> None:
        """Signal the balancer together with its hands, as one machine."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def is_ended(self) -> None:
        self.is_told(signal.SIGKILL)
        self.process.wait()

    def stands_still(self) -> bool:
        return state_of(self.process.pid) == "T"


@dataclass
class Pair:
    """Two balancers on one lab and one store."""

    lab: Lab
    server: Server
    store: Store
    policy: Path
    counters: dict[str, Counter]
    since: datetime
    balancers: list[Balancer] = field(default_factory=list)

    def has_policy(self, text: str) -> None:
        new = self.policy.with_suffix(".new")
        new.write_text(f"schema: balancer.policy/1\n{text}")
        new.replace(self.policy)

    def led_by(self, balancer: Balancer) -> bool:
        holder = self.store.lease.holder(datetime.now(UTC))
        return holder is not None and f":{balancer.process.pid}:" in holder.owner

    def waits_for(self, what: Callable[[], object], seconds: float, words: str) -> float:
        """Wait until it holds and return for how long; says what both balancers said if it never does."""
        since = time.monotonic()
        try:
            wait_until(what, seconds, words)
        except LabError as late:
            raise AssertionError("\n=== ".join([str(late), *(each.log for each in self.balancers)])) from None
        return time.monotonic() - since

    def sent(self) -> list[tuple[datetime, str, str]]:
        """Return when, to which host and with which guest a migration was begun, as the targets' libvirt says."""
        begun = [(when, host, vm) for vm in self.counters for when, host in self.lab.started(vm)]
        return sorted(each for each in begun if each[0] > self.since)

    def moves(self) -> list[JournalEntry]:
        return [entry for entry in reversed(self.store.journal.latest()) if entry.step.is_move]

    def is_spread(self) -> bool:
        """Whether each guest has a host of its own, and nothing is under way."""
        homes = [self.lab.where(vm) for vm in self.counters]
        is_quiet = not self.store.journal.unsettled() and not self.store.reservations.all()
        return is_quiet and all(len(home) == 1 for home in homes) and len({home[0] for home in homes}) == len(homes)

    def lived_on(self) -> bool:
        """Whether each guest runs on without a reboot, on one host, with its one definition there."""
        return all(is_at_rest_on(self.lab, vm, self.lab.where(vm)[0], since) for vm, since in self.counters.items())


@contextmanager
def a_pair(lab: Lab, directory: Path, guests: dict[str, str], slowly: str = "", one_dies: str = "") -> Iterator[Pair]:
    """Let one lead and the other stand by, on guests that want to be spread; nothing moves before both are there.

    one_dies: the moment at which the one that leads is stopped, as `tests.lab.dying` names it
    """
    skip_without_postgres()
    moments = ("tests.lab.dying", one_dies) if one_dies else ()
    with a_server() as server, ExitStack() as processes:
        url = server.new_database()
        counters = start_guests(lab, guests, load_percent=20)
        policy = directory / "policy.yaml"
        pair = Pair(lab, server, open_store(url, "lab"), policy, counters, datetime.now(UTC))
        processes.callback(pair.store.close)
        pair.has_policy(POLICY + slowly + "freeze: moves\n")
        for role, by_way_of in {"leads": moments, "stands by": ()}.items():
            balancer = started(lab, directory / role, url, policy, by_way_of)
            processes.callback(balancer.is_ended)
            pair.balancers.append(balancer)
            pair.waits_for(partial(balancer.has_role, role), 60, f"a balancer that {role}")
        pair.has_policy(POLICY + slowly)
        yield pair


def started(lab: Lab, directory: Path, store: str, policy: Path, by_way_of: Sequence[str]) -> Balancer:
    directory.mkdir()
    product = Product(lab, directory, store)
    product.policy = policy
    product.has_site()
    return Balancer(product, product.serves(by_way_of=by_way_of or ("balancer",)))


def in_session(leader: int) -> list[int]:
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and session_of(int(each)) == leader]


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def state_of(pid: int) -> str:
    """Return what the kernel says of a process: S, T (stopped), Z, ...; empty where it is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def is_gone(pid: int) -> bool:
    return state_of(pid) in {"", "Z", "X"}


@pytest.mark.long
def test_a_leader_killed_in_mid_migration_and_a_store_that_goes_cost_nothing_but_time(lab: Lab, tmp_path: Path) -> None:
    """One migration outlives first the leader that began it and then the store, and is counted once."""
    with a_pair(lab, tmp_path, {"kilo": "hv1", "lima": "hv1", "mike": "hv1"}, slowly=SLOW) as pair:
        one, other = pair.balancers
        pair.waits_for(lambda: len(pair.sent()) == 1, 60, "on its way: a guest")
        hands = one.hands()
        os.kill(one.process.pid, signal.SIGKILL)
        took = pair.waits_for(lambda: pair.led_by(other), 60, "led by the other")
        assert took <= TIMES.takeover_seconds + BUSY_SECONDS
        assert hands and all(map(is_gone, hands)), "its hands outlived it"

        pair.server.stop()
        begun_before = len(pair.sent())
        time.sleep(LEASE_SECONDS + 2)
        assert len(pair.sent()) == begun_before, "something was begun that could not be written down"
        assert other.process.poll() is None, other.log
        assert "does its server run" in why_unhealthy(other.product.directory, datetime.now(UTC))
        pair.has_policy(POLICY)  # the rest may go quickly
        pair.server.start()

        pair.waits_for(pair.is_spread, 120, "spread over the hosts: the guests")
        assert pair.lived_on()
        assert sorted(vm for _, _, vm in pair.sent()) == sorted({entry.step.move.vm for entry in pair.moves()})
        assert len(pair.sent()) == len(pair.moves()) == 2, "a guest was sent off twice"
        assert {entry.state for entry in pair.moves()} == {EntryState.DONE}
        assert "Traceback" not in one.log + other.log


def test_a_leader_that_froze_before_its_order_left_gives_it_no_more(lab: Lab, tmp_path: Path) -> None:
    """The move is written down and not yet ordered: what is ordered when it thaws would be another's to order."""
    with a_pair(lab, tmp_path, {"nova": "hv1", "oslo": "hv1"}, one_dies="frozen:request") as pair:
        one, other = pair.balancers
        pair.waits_for(one.stands_still, 60, "frozen: the one that leads")
        hands = one.hands()
        took = pair.waits_for(lambda: pair.led_by(other), 60, "led by the other")
        passed_on_at = datetime.now(UTC)
        assert took <= TIMES.takeover_seconds + BUSY_SECONDS
        assert pair.sent() == [], "it froze too late for the test"
        one.is_told(signal.SIGCONT)

        pair.waits_for(pair.is_spread, 120, "spread over the hosts: the guests")
        pair.waits_for(lambda: one.has_role("stands by: "), 30, "standing by: the one that was frozen")
        assert pair.lived_on()
        left_undone, *of_the_other = pair.moves()
        assert left_undone.at < passed_on_at and left_undone.state in {EntryState.UNDONE, EntryState.FAILED}
        assert [entry.state for entry in of_the_other] == [EntryState.DONE]
        assert len(pair.sent()) == 1, "a guest was sent off by both"
        assert pair.sent()[0][0] > of_the_other[0].at, "the order of the one that was frozen took effect"
        assert hands and all(map(is_gone, hands)), "its hands are alive after their time"
        assert "the right to act was lost" in one.log
