"""The store: durable, private to its owner, and honest about why it cannot be used; in a file and on a server."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy

from balancer.domain.plan import Action, Step
from balancer.errors import StoreError
from balancer.store import Store, open_store
from balancer.store.audit import AuditLine
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.lease import LeaseLost
from balancer.store.marks import CordonedBy, IdentityProof, ProofMethod
from balancer.store.memory import Spent
from tests.store.conftest import Time

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
MOVE = Step(id="s1", action=Action.MOVE, vm="db1", vm_id="8a52", source="h1", target="h2", seconds=12.0)


class TestOpening:
    def test_nobody_else_on_the_machine_can_read_it(self, tmp_path: Path) -> None:
        store = open_store(f"sqlite:///{tmp_path}/balancer.db", "lab")
        store.audit.add(AuditLine(NOON, "ada", "moved db1"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes and set(modes.values()) == {0o600}

    def test_a_missing_directory_is_named_with_the_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"there is no directory .*nowhere \(mkdir -p .*nowhere\)"):
            open_store(f"sqlite:///{tmp_path}/nowhere/balancer.db")

    def test_a_store_of_another_cluster_is_refused(self, store: Store, url: str) -> None:
        with pytest.raises(StoreError, match="it belongs to cluster lab, not shop"):
            open_store(url, "shop")

    def test_a_store_of_a_later_version_is_refused(self, store: Store, url: str) -> None:
        store.close()
        with sqlalchemy.create_engine(url).begin() as raw:
            raw.execute(sqlalchemy.text("UPDATE about SET schema_version = 99"))
        with pytest.raises(StoreError, match=r"its schema is 99, this is \d"):
            open_store(url, "lab")

    def test_a_file_that_is_no_database_is_refused_in_words(self, tmp_path: Path) -> None:
        (tmp_path / "balancer.db").write_text("something else entirely, and long enough to be looked at" * 20)
        with pytest.raises(StoreError, match="not a database"):
            open_store(f"sqlite:///{tmp_path}/balancer.db")

    def test_a_password_in_the_url_is_not_repeated(self) -> None:
        with pytest.raises(StoreError) as failed:
            open_store("nosuchkind://balancer:verysecret@db/balancer")
        assert "verysecret" not in str(failed.value)


class TestJournal:
    def test_a_step_that_was_begun_is_found_by_the_next_start(self, store: Store, url: str) -> None:
        begun = store.journal.begin(JournalEntry(NOON, "plan-1", MOVE, vm_id="8a52"))
        store.close()
        assert open_store(url, "lab").journal.unsettled() == (begun,)

    def test_a_settled_step_is_not_looked_for_again(self, store: Store) -> None:
        begun = store.journal.begin(JournalEntry(NOON, "plan-1", MOVE))
        store.journal.settle(begun.id, EntryState.DONE, "on h2", LATER)
        entry = store.journal.entry(begun.id)
        assert store.journal.unsettled() == ()
        assert entry and (entry.state, entry.detail, entry.settled_at) == (EntryState.DONE, "on h2", LATER)

    def test_an_unknown_step_stays_unsettled(self, store: Store) -> None:
        begun = store.journal.begin(JournalEntry(NOON, "plan-1", MOVE))
        store.journal.settle(begun.id, EntryState.UNKNOWN, "nobody answers", LATER)
        assert [entry.state for entry in store.journal.unsettled()] == [EntryState.UNKNOWN]

    def test_a_second_verdict_does_not_change_the_first(self, store: Store) -> None:
        begun = store.journal.begin(JournalEntry(NOON, "plan-1", MOVE))
        store.journal.settle(begun.id, EntryState.DONE, "on h2", LATER)
        store.journal.settle(begun.id, EntryState.FAILED, "a late report", LATER)
        entry = store.journal.entry(begun.id)
        assert entry and entry.state is EntryState.DONE

    def test_settling_what_was_never_begun_is_our_own_fault(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no such entry"):
            store.journal.settle(7, EntryState.DONE, "", NOON)

    def test_a_balancer_that_lost_its_lease_begins_nothing(self, store: Store, time: Time) -> None:
        old = store.lease.acquire("slow", time.units(30), time.now)
        time.passes(60)
        new = store.lease.acquire("quick", time.units(3000), time.now)
        with pytest.raises(LeaseLost):
            store.journal.begin(JournalEntry(time.now, "plan-1", MOVE), token=old)
        assert store.journal.unsettled() == ()
        begun = store.journal.begin(JournalEntry(time.now, "plan-2", MOVE), token=new)
        assert store.journal.unsettled() == (begun,)


class TestLease:
    def test_one_balancer_at_a_time(self, store: Store, time: Time) -> None:
        assert store.lease.acquire("a", time.units(30), time.now) == 1
        assert store.lease.acquire("b", time.units(30), time.now) is None
        time.passes(30)
        assert store.lease.acquire("b", time.units(30), time.now) == 2

    def test_who_was_overtaken_can_neither_act_nor_renew(self, store: Store, time: Time) -> None:
        first = store.lease.acquire("a", time.units(30), time.now)
        time.passes(60)
        store.lease.acquire("b", time.units(3000), time.now)
        assert first is not None
        assert not store.lease.holds(first, time.now)
        assert not store.lease.renew(first, time.units(30), time.now)

    def test_a_lease_that_ran_out_is_not_renewed_by_a_sleeper(self, store: Store, time: Time) -> None:
        token = store.lease.acquire("a", time.units(30), time.now)
        time.passes(60)
        assert token is not None
        assert not store.lease.renew(token, time.units(30), time.now)
        assert store.lease.holder(time.now) is None

    def test_a_renewed_lease_holds_for_longer(self, store: Store, time: Time) -> None:
        token = store.lease.acquire("a", time.units(30), time.now)
        assert token is not None and store.lease.renew(token, time.units(600), time.now)
        time.passes(60)
        assert store.lease.holds(token, time.now)
        assert not store.lease.holds(token, time.now, for_seconds=time.units(600))

    def test_a_released_lease_is_free_at_once(self, store: Store, time: Time) -> None:
        token = store.lease.acquire("a", time.units(3000), time.now)
        assert token is not None
        store.lease.release(token, time.now)
        assert store.lease.holder(time.now) is None
        assert store.lease.acquire("b", time.units(30), time.now) == 2

    def test_a_restart_under_the_same_name_fences_off_its_former_self(self, store: Store, time: Time) -> None:
        before, after = (store.lease.acquire("a", time.units(3000), time.now) for _ in range(2))
        assert before is not None and after is not None
        assert (store.lease.holds(before, time.now), store.lease.holds(after, time.now)) == (False, True)


class TestMarks:
    def test_the_balancer_does_not_lift_what_an_operator_closed(self, store: Store) -> None:
        store.marks.cordon("h1", "disk swap", NOON, by=CordonedBy.OPERATOR)
        store.marks.cordon("h1", "to sleep", LATER)
        assert not store.marks.uncordon("h1")
        cordon = store.marks.of("h1").cordon
        assert cordon and (cordon.why, cordon.since) == ("disk swap", NOON)

    def test_the_balancer_lifts_its_own_cordon(self, store: Store) -> None:
        store.marks.cordon("h1", "to sleep", NOON)
        assert store.marks.uncordon("h1")
        assert store.marks.of("h1").cordon is None

    def test_falling_asleep_twice_keeps_the_first_moment(self, store: Store) -> None:
        store.marks.fell_asleep("h1", NOON)
        store.marks.fell_asleep("h1", LATER)
        assert store.marks.of("h1").asleep_since == NOON

    def test_quarantine_takes_the_proof_of_waking_away(self, store: Store) -> None:
        store.marks.prove_wake("h1", NOON, boot_seconds=80)
        store.marks.quarantine("h1", "did not come", LATER)
        marks = store.marks.of("h1")
        assert (marks.wake_proven_at, marks.boot_seconds) == (None, 80)
        assert marks.quarantine and marks.quarantine.why == "did not come"

    def test_a_proof_of_identity_is_void_at_another_address_or_guid(self, store: Store) -> None:
        store.marks.prove_identity("h1", IdentityProof(NOON, ProofMethod.GUID, "10.1.0.1:623", "g1", "u1"))
        proof = store.marks.of("h1").identity
        assert proof is not None
        assert proof.covers("10.1.0.1:623", "g1", "u1")
        assert not proof.covers("10.1.0.2:623", "g1", "u1")
        assert not proof.covers("10.1.0.1:623", "g2", "u1")
        assert not proof.covers("10.1.0.1:623", "g1", "u2")
        assert not proof.covers("10.1.0.1:623", "g1", None)


class TestMemory:
    def test_failures_add_up_until_a_success(self, store: Store) -> None:
        for failed in (True, True):
            store.memory.touch("vm:8a52", NOON, failed)
        assert store.memory.touches()["vm:8a52"].failures == 2
        store.memory.touch("vm:8a52", LATER)
        assert store.memory.touches()["vm:8a52"].failures == 0

    def test_what_was_spent_is_counted_from_a_moment_on(self, store: Store) -> None:
        store.memory.spend(NOON, 2, 4096)
        store.memory.spend(LATER, 1, 512)
        assert store.memory.spent_since(LATER) == Spent(1, 512, LATER)
        assert store.memory.spent_since(NOON) == Spent(3, 4608, NOON)
        assert store.memory.spent_since(LATER + timedelta(seconds=1)) == Spent()

    def test_an_intention_keeps_its_age_until_it_is_dropped(self, store: Store) -> None:
        store.memory.intend_sleep("h1", "night", NOON)
        store.memory.intend_sleep("h1", "night again", LATER)
        assert [(i.host, i.since) for i in store.memory.intentions()] == [("h1", NOON)]
        store.memory.drop_intention("h1")
        assert store.memory.intentions() == ()


def test_the_audit_keeps_who_did_what_newest_first(store: Store) -> None:
    store.audit.add(AuditLine(NOON, "ada", "approved", "plan:1"))
    store.audit.add(AuditLine(LATER, "balancer", "moved", "vm:db1"))
    assert [line.who for line in store.audit.latest()] == ["balancer", "ada"]


def test_how_often_a_host_was_put_to_sleep_is_counted(store: Store) -> None:
    for hours, host, state in ((-30, "h1", "done"), (-2, "h1", "done"), (-1, "h1", "failed"), (-1, "h2", "done")):
        at = NOON + timedelta(hours=hours)
        entry = store.journal.begin(JournalEntry(at, "p1", Step(id="s1", action=Action.POWER_OFF, host=host)))
        store.journal.settle(entry.id, EntryState(state), "", at)
    assert store.journal.slept_since(NOON - timedelta(hours=24)) == {"h1": 1, "h2": 1}
