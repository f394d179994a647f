"""A store that a pair of balancers shares: nothing interleaves, one clock counts, and a server may go and come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.clock import WallClock
from balancer.domain.plan import Action, Step
from balancer.domain.site_file import PlatformChoice, SiteFile
from balancer.errors import StoreError
from balancer.simulation.world import World
from balancer.site import site_from
from balancer.store import Store, open_store
from balancer.store.database import IDLE_SECONDS, open_database
from balancer.store.journal import JournalEntry
from balancer.store.lease import LeaseLost, refuse_unless_held
from tests.store.postgres import Server, a_server, skip_without_postgres

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOVE = Step(id="s1", action=Action.MOVE, vm="db1", vm_id="8a52", source="h1", target="h2", seconds=12.0)


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.new_database()


@pytest.fixture
def pair(url: str) -> Iterator[tuple[Store, Store]]:
    """The stores of two balancers on one database."""
    one, other = open_store(url, "lab"), open_store(url, "lab")
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Do something beside the test."""
    with ThreadPoolExecutor() as pool:
        yield pool


def test_who_takes_over_waits_for_an_action_that_is_being_begun(
    pair: tuple[Store, Store], url: str, aside: ThreadPoolExecutor
) -> None:
    leader, standby = pair
    token = leader.lease.acquire("leader", 0.3, NOON)
    assert token is not None
    database = open_database(url, "lab")
    with database.writing("begin an action") as connection:
        refuse_unless_held(database, connection, token, NOON)
        taking = aside.submit(lambda: standby.lease.acquire("standby", 30, NOON))
        time.sleep(0.6)
        assert not taking.done(), "it took over between the check and the entry in the journal"
    assert taking.result() == token + 1
    with pytest.raises(LeaseLost):
        leader.journal.begin(JournalEntry(NOON, "plan-1", MOVE), token=token)
    database.close()


def test_an_action_that_waited_for_its_turn_too_long_is_not_begun(
    pair: tuple[Store, Store], url: str, aside: ThreadPoolExecutor
) -> None:
    leader, _ = pair
    token = leader.lease.acquire("leader", 0.3, NOON)
    database = open_database(url, "lab")
    with database.writing("take its time"):
        begun = aside.submit(lambda: leader.journal.begin(JournalEntry(NOON, "plan-1", MOVE), token=token))
        time.sleep(0.6)
    with pytest.raises(LeaseLost):
        begun.result()
    assert leader.journal.unsettled() == ()
    database.close()


def test_a_leader_that_stands_still_in_a_transaction_keeps_nobody_from_taking_over(
    pair: tuple[Store, Store], url: str
) -> None:
    leader, standby = pair
    assert leader.lease.acquire("leader", 0.3, NOON) == 1
    database = open_database(url, "lab")
    since = time.monotonic()
    with pytest.raises(StoreError, match="idle-in-transaction"), database.writing("stand still"):
        assert standby.lease.acquire("standby", 30, NOON) == 2
    assert time.monotonic() - since < IDLE_SECONDS + 1
    database.close()


def test_the_servers_clock_alone_says_what_has_run_out(pair: tuple[Store, Store]) -> None:
    leader, standby = pair
    behind, ahead = NOON - timedelta(days=365), datetime.now(UTC) + timedelta(days=365)
    token = leader.lease.acquire("leader", 30, behind)
    assert token is not None
    assert standby.lease.acquire("standby", 30, ahead) is None
    assert leader.lease.renew(token, 30, ahead)
    assert leader.lease.holds(token, ahead)
    assert leader.journal.begin(JournalEntry(ahead, "plan-1", MOVE), token=token).at == ahead


def test_two_balancers_that_start_in_the_same_instant_share_a_new_store(url: str) -> None:
    gate = threading.Barrier(4)

    def start(number: int) -> int | None:
        gate.wait()
        store = open_store(url, "lab")
        try:
            return store.lease.acquire(f"balancer {number}", 30, NOON)
        finally:
            store.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(str(token) for token in pool.map(start, range(4))) == ["1", "None", "None", "None"]


def test_a_server_that_goes_and_comes_back_is_used_again() -> None:
    skip_without_postgres()
    with a_server() as server:
        url = server.new_database()
        store = open_store(url, "lab")
        begun = store.journal.begin(JournalEntry(NOON, "plan-1", MOVE))
        server.stop()
        with pytest.raises(StoreError, match="does its server run, and is it reached"):
            store.journal.unsettled()
        with pytest.raises(StoreError, match="does its server run, and is it reached"):
            open_store(url, "lab")
        server.start()
        assert store.journal.unsettled() == (begun,)
        store.close()


def test_a_password_comes_from_its_own_file_and_is_shown_nowhere(postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_database()
    postgres.asks_for_a_password("balancer", "very secret")
    try:
        with pytest.raises(StoreError, match="password"):
            open_store(url, "lab")
        open_store(url, "lab", "very secret").close()
        with pytest.raises(StoreError, match="password") as refused:
            open_store(url, "lab", "not so secret")
        assert "not so secret" not in str(refused.value)
        (tmp_path / "store").write_text("very secret\n")
        platform = PlatformChoice(kind="simulated")
        file = SiteFile(cluster="lab", platform=platform, hosts=(), store=url, store_secret_ref="file:store")
        clock = WallClock()
        site_from(file, tmp_path, tmp_path, clock, World(clock, [])).close()
    finally:
        postgres.trusts_everybody()
