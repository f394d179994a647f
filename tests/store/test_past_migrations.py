"""How migrations went outlives a restart, and grows no further than it is of use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.domain.pace import PastMigration
from balancer.store import open_store, past_migrations

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def gone(number: int) -> PastMigration:
    return PastMigration(
        at=NOON + timedelta(minutes=number),
        vm_key=f"vm-{number}",
        source="h1",
        target="h2",
        kind="live",
        predicted_seconds=9.0,
        seconds=10.0,
        predicted_mib=900.0,
        mib=1000.0,
        modelled_mib=800.0,
        link_mib_per_s=117.0,
        cap_mib_per_s=50.0 if number % 2 else None,
    )


def test_what_was_written_is_read_as_it_was_newest_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/balancer.db"
    store = open_store(url, "lab")
    for number in range(3):
        store.past_migrations.add(gone(number))
    store.close()
    assert open_store(url, "lab").past_migrations.latest() == (gone(2), gone(1), gone(0))
    assert open_store(url, "lab").past_migrations.latest(1) == (gone(2),)


def test_old_ones_are_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_migrations, "KEPT", 5)
    store = open_store(f"sqlite:///{tmp_path}/balancer.db", "lab")
    for number in range(8):
        store.past_migrations.add(gone(number))
    assert [each.vm_key for each in store.past_migrations.latest()] == ["vm-7", "vm-6", "vm-5", "vm-4", "vm-3"]
