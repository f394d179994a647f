"""A backup is whole while others write; a restore brings all back, or leaves the store as it was."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.errors import BalancerError, InputError, StoreError
from balancer.store import Store, open_store
from balancer.store.audit import AuditLine
from balancer.store.cycles import CycleLine
from balancer.store.keeping import back_up, restore
from balancer.store.tables import SCHEMA_VERSION

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/balancer.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url, "lab")
    opened.audit.add(AuditLine(NOON, "anna", "drained", "host:h1"))
    opened.marks.fell_asleep("h2", NOON)
    yield opened
    opened.close()


def says(store: Store) -> tuple[list[str], list[str]]:
    """What the audit holds, and which hosts are marked asleep."""
    asleep = [host for host, mark in store.marks.all().items() if mark.asleep_by_us]
    return [line.what for line in store.audit.latest()], asleep


def opened(file: Path) -> tuple[list[str], list[str]]:
    store = open_store(f"sqlite:///{file}", "lab")
    try:
        return says(store)
    finally:
        store.close()


def version_of(file: Path) -> int:
    with sqlite3.connect(file) as raw:
        (version,) = raw.execute("SELECT schema_version FROM about").fetchone()
    return int(version)


def set_version(file: Path, version: int) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE about SET schema_version = ?", (version,))


def test_a_backup_taken_while_somebody_writes_is_whole_and_holds_what_was_committed(
    url: str, store: Store, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    with sqlite3.connect(tmp_path / "balancer.db", isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE audit SET what = 'half written'")
        back_up(url, backup)
        writer.execute("COMMIT")
    assert says(store)[0] == ["half written"]
    assert opened(backup) == (["drained"], ["h2"])


def test_a_backup_is_one_file_that_its_owner_alone_may_read(url: str, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    before = os.umask(0)
    try:
        back_up(url, folder / "backup.db")
    finally:
        os.umask(before)
    assert [file.name for file in folder.iterdir()] == ["backup.db"]
    assert stat.S_IMODE((folder / "backup.db").stat().st_mode) == 0o600
    with sqlite3.connect(folder / "backup.db") as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # it needs no second file to be read


def test_a_backup_writes_over_nothing_unless_it_is_told_to(url: str, store: Store, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    backup.write_text("precious")
    with pytest.raises(InputError, match="is there already; another name, or --force"):
        back_up(url, backup)
    assert backup.read_text() == "precious"
    back_up(url, backup, over=True)
    assert opened(backup) == (["drained"], ["h2"])


def test_a_backup_never_writes_over_the_store_itself(url: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is the store itself"):
        back_up(url, tmp_path / "balancer.db", over=True)
    with pytest.raises(InputError, match="is the store itself"):
        restore(url, tmp_path / "balancer.db", "lab", NOON)
    assert says(store) == (["drained"], ["h2"])


def test_a_backup_keeps_its_version(url: str, store: Store, tmp_path: Path) -> None:
    set_version(tmp_path / "balancer.db", 1)
    assert back_up(url, tmp_path / "backup.db").schema == 1
    assert (version_of(tmp_path / "backup.db"), version_of(tmp_path / "balancer.db")) == (1, 1)


def test_a_restore_brings_back_audit_and_marks_also_to_who_has_the_store_open(
    url: str, store: Store, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    back_up(url, backup)
    store.audit.add(AuditLine(NOON, "oskar", "undrained", "host:h1"))
    store.marks.woke("h2")
    kept = restore(url, backup, "lab", NOON)
    assert says(store) == (["drained"], ["h2"])
    assert kept == tmp_path / "balancer.db.before-restore-20261123T120000Z"
    assert opened(kept) == (["undrained", "drained"], [])
    assert opened(backup) == (["drained"], ["h2"])


def test_a_restore_where_there_is_no_store_makes_one(url: str, store: Store, tmp_path: Path) -> None:
    back_up(url, tmp_path / "backup.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert restore(f"sqlite:///{elsewhere}/new.db", tmp_path / "backup.db", "lab", NOON) is None
    assert [file.name for file in elsewhere.iterdir()] == ["new.db"]
    assert opened(elsewhere / "new.db") == (["drained"], ["h2"])


def test_a_restore_is_refused_while_a_balancer_acts(url: str, store: Store, tmp_path: Path) -> None:
    back_up(url, tmp_path / "backup.db")
    store.audit.add(AuditLine(NOON, "oskar", "undrained", "host:h1"))
    token = store.lease.acquire("hv9:1", 60, NOON)
    assert token is not None
    with pytest.raises(StoreError, match=r"hv9:1 acts with it, until 12:01:00 UTC \(stop the balancer first"):
        restore(url, tmp_path / "backup.db", "lab", NOON)
    assert says(store)[0] == ["undrained", "drained"]
    assert store.lease.holds(token, NOON)


def test_a_token_of_the_lease_is_never_given_twice_across_a_restore(url: str, store: Store, tmp_path: Path) -> None:
    back_up(url, tmp_path / "backup.db")
    given = {store.lease.acquire(owner, 1, NOON + timedelta(minutes=n)) for n, owner in enumerate("abc")}
    later = NOON + timedelta(hours=1)
    restore(url, tmp_path / "backup.db", "lab", later)
    assert store.lease.holder(later) is None
    token = store.lease.acquire("d", 60, later)
    assert token is not None and token not in given


def garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1000)


def another_database(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE recipes (cake VARCHAR)")


def newer(file: Path) -> None:
    set_version(file, SCHEMA_VERSION + 1)


def another_cluster(file: Path) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE about SET cluster = 'office'")


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8192])


def damaged(file: Path) -> None:
    with sqlite3.connect(file) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'audit'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as raw_file:
        raw_file.seek((page - 1) * size)
        raw_file.write(b"\xff" * size)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (garbage, "file is not a database"),
        (another_database, "it is no store of a balancer"),
        (newer, f"its schema is {SCHEMA_VERSION + 1}, this version knows 1 to {SCHEMA_VERSION}"),
        (another_cluster, "it belongs to cluster office, not lab"),
        (cut_short, "malformed|damaged"),
        (damaged, "it is damaged"),
        (Path.unlink, "is no file"),
    ],
)
def test_what_is_no_store_of_ours_is_refused_and_changes_nothing(
    spoil: Callable[[Path], None], words: str, url: str, store: Store, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    back_up(url, backups / "backup.db")
    spoil(backups / "backup.db")
    store.close()
    live = tmp_path / "balancer.db"
    before = live.read_bytes()
    with pytest.raises(BalancerError, match=words):
        restore(url, backups / "backup.db", "lab", NOON)
    assert live.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["backups", "balancer.db"]


def test_a_store_on_a_server_is_left_to_its_own_tools(tmp_path: Path) -> None:
    url = "postgresql+psycopg://balancer:hush@db.example/lab"
    with pytest.raises(
        InputError, match=r"pg_dump --format=custom .* postgresql://balancer@db\.example/lab$"
    ) as refused:
        back_up(url, tmp_path / "backup.dump")
    assert "hush" not in str(refused.value)
    with pytest.raises(InputError, match="pg_restore --clean"):
        restore(url, tmp_path / "backup.dump", "lab", NOON)


@pytest.fixture
def site(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text(f"schema: balancer.site/1\ncluster: lab\nplatform: {{kind: simulated}}\nhosts: []\nstore: {url}\n")
    monkeypatch.setenv("BALANCER_SITE", str(file))
    monkeypatch.setenv("BALANCER_STATE", str(tmp_path))
    return tmp_path


def test_the_commands_back_up_show_and_restore(site: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for at in (NOON, NOON + timedelta(days=2)):
        store.cycles.add(CycleLine(f"plan-{at:%d}", at, "Nothing to do", "act", 0, 2, 300.0, 0.1, 0.0, 0))
    backup = str(site / "backup.db")
    assert run(["store", "backup", backup]) == 0
    assert f"schema {SCHEMA_VERSION}, cluster lab" in capsys.readouterr().out
    assert run(["store", "show"]) == 0
    shown = capsys.readouterr().out
    assert "2026-11-23 12:00 to 2026-11-25 12:00" in shown and "nobody" in shown
    store.marks.woke("h2")
    assert run(["store", "restore", backup]) == 0
    assert "before-restore-" in capsys.readouterr().out
    assert says(store) == (["restored the store", "drained"], ["h2"])
    assert run(["store", "backup", backup]) == 1
    assert "--force" in capsys.readouterr().err


def test_show_upgrades_nothing(site: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    set_version(site / "balancer.db", 1)
    assert run(["store", "show"]) == 0
    assert f"1; the next start brings it to {SCHEMA_VERSION}" in capsys.readouterr().out
    assert version_of(site / "balancer.db") == 1
