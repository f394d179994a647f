"""A store that an older version wrote is taken over with all that it remembers, or left as it was."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer.domain.plan import Action, Step
from balancer.errors import StoreError
from balancer.store import open_store, upgrades
from balancer.store.journal import JournalEntry, Phase
from balancer.store.keeping import restore
from balancer.store.tables import SCHEMA_VERSION

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOVE = Step(id="s1", action=Action.MOVE, vm="db1", source="h1", target="h2")
NEW = ("reservations", "failures", "setbacks", "shunned", "halts", "give_ups", "sightings", "strays")


def first_version(folder: Path) -> str:
    """Write a store as the first version did: an open step in its journal, and none of the newer tables."""
    url = f"sqlite:///{folder}/balancer.db"
    store = open_store(url, "lab")
    store.journal.begin(JournalEntry(NOON, "plan-1", MOVE))
    store.close()
    with sqlite3.connect(folder / "balancer.db") as raw:
        for table in NEW:
            raw.execute(f"DROP TABLE {table}")
        raw.execute("ALTER TABLE journal DROP COLUMN phase")
        raw.execute("UPDATE about SET schema_version = 1")
    return url


def version_of(folder: Path) -> int:
    with sqlite3.connect(folder / "balancer.db") as raw:
        (version,) = raw.execute("SELECT schema_version FROM about").fetchone()
    return int(version)


def test_an_older_store_is_brought_up_with_what_it_remembers(tmp_path: Path) -> None:
    store = open_store(first_version(tmp_path), "lab")
    (entry,) = store.journal.unsettled()
    assert (entry.step.vm, entry.phase) == ("db1", None)
    assert store.journal.enter(entry, Phase.TRANSFER).phase is Phase.TRANSFER
    assert store.reservations.all() == ()
    assert version_of(tmp_path) == SCHEMA_VERSION


def test_an_upgrade_that_fails_half_way_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = first_version(tmp_path)
    good = upgrades.CHANGES
    monkeypatch.setattr(upgrades, "CHANGES", {1: (*good[1], "ALTER TABLE nowhere ADD COLUMN nothing VARCHAR")})
    with pytest.raises(StoreError, match="nowhere"):
        open_store(url, "lab")
    assert version_of(tmp_path) == 1
    monkeypatch.setattr(upgrades, "CHANGES", good)
    assert open_store(url, "lab").journal.unsettled()


def test_an_upgrade_leaves_a_copy_of_what_was_with_its_old_version(tmp_path: Path) -> None:
    open_store(first_version(tmp_path), "lab").close()
    copy = tmp_path / f"balancer.db.before-v{SCHEMA_VERSION}"
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as raw:
        assert raw.execute("SELECT schema_version FROM about").fetchone() == (1,)
        assert raw.execute("SELECT vm FROM journal").fetchall() == [("db1",)]
        assert "phase" not in [column[1] for column in raw.execute("PRAGMA table_info(journal)")]


def test_a_store_of_this_version_is_not_copied(tmp_path: Path) -> None:
    for _ in range(2):
        open_store(f"sqlite:///{tmp_path}/balancer.db", "lab").close()
    assert [file.name for file in tmp_path.iterdir()] == ["balancer.db"]


def test_nothing_is_upgraded_where_no_copy_can_be_made(tmp_path: Path) -> None:
    url = first_version(tmp_path)
    (tmp_path / f"balancer.db.before-v{SCHEMA_VERSION}").mkdir()
    with pytest.raises(StoreError, match="copy it"):
        open_store(url, "lab")
    assert version_of(tmp_path) == 1


def test_the_copy_of_an_upgrade_can_be_restored(tmp_path: Path) -> None:
    url = first_version(tmp_path)
    open_store(url, "lab").close()
    restore(url, tmp_path / f"balancer.db.before-v{SCHEMA_VERSION}", "lab", NOON)
    assert version_of(tmp_path) == 1
    assert open_store(url, "lab").journal.unsettled()
