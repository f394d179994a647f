"""The embedded history: what is remembered, for how long, in how much room."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pandas as pd
import pytest

from balancer.clock import HandSetClock
from balancer.domain.cluster import Cluster
from balancer.domain.host import Host
from balancer.domain.vm import Vm
from balancer.errors import HistoryError
from balancer.history.base import READING_COLUMNS, Event
from balancer.history.embedded import EmbeddedHistory
from balancer.history.keeping import Keeping
from tests.history.worlds import NOON, minutes, seen


@pytest.fixture
def history(tmp_path: Path) -> Iterator[EmbeddedHistory]:
    opened = EmbeddedHistory(tmp_path / "history.db", HandSetClock(NOON))
    yield opened
    opened.close()


def of_guest(history: EmbeddedHistory, key: str = "u-1", until: datetime = NOON + timedelta(days=900)) -> pd.DataFrame:
    table = history.guest_readings(NOON - minutes(1), until)
    return table[table["key"] == key].reset_index(drop=True)


def test_what_was_measured_comes_back(history: EmbeddedHistory) -> None:
    history.record(seen(NOON, cpu_cores=1.5))
    table = history.guest_readings(NOON - minutes(1), NOON)
    assert tuple(table.columns) == READING_COLUMNS
    reading = of_guest(history).iloc[0]
    assert reading["at"].to_pydatetime() == NOON
    assert (reading["cpu_cores"], reading["memory_mib"]) == (1.5, 512.0)
    assert reading["wait_share"] == pytest.approx(0.02)


def test_what_was_not_measured_is_a_gap_and_not_idle(history: EmbeddedHistory) -> None:
    history.record(seen(NOON))
    assert of_guest(history, "u-2")["cpu_cores"].isna().all()


@pytest.mark.parametrize("doubted", ["host:h1", "vm:db1"])
def test_numbers_under_doubt_are_not_remembered(history: EmbeddedHistory, doubted: str) -> None:
    history.record(seen(NOON, doubted=(doubted,)))
    assert of_guest(history).empty


def test_hosts_come_back_by_name(history: EmbeddedHistory) -> None:
    history.record(seen(NOON))
    assert history.host_readings(NOON - minutes(1), NOON)[["key", "cpu_cores", "memory_mib"]].to_numpy().tolist() == [
        ["h1", 9.0, 4096.0]
    ]


def test_a_window_excludes_its_beginning_and_includes_its_end(history: EmbeddedHistory) -> None:
    for minute in range(3):
        history.record(seen(NOON + minutes(minute), cpu_cores=float(minute)))
    table = history.guest_readings(NOON, NOON + minutes(1))
    assert table.loc[table["key"] == "u-1", "cpu_cores"].tolist() == [1.0]


def test_nothing_recorded_reads_as_an_empty_table(history: EmbeddedHistory) -> None:
    assert history.guest_readings(NOON, NOON + minutes(5)).empty


def test_a_renamed_guest_keeps_its_history(history: EmbeddedHistory) -> None:
    history.record(seen(NOON, name="db1"))
    history.record(seen(NOON + minutes(1), name="database-1"))
    assert len(of_guest(history)) == 2


def test_five_minutes_become_one_reading_that_remembers_the_peak(history: EmbeddedHistory) -> None:
    samples = [1.0] * 19 + [3.0]
    for place, cpu_cores in enumerate(samples, start=1):
        history.record(seen(NOON + timedelta(seconds=15 * place), cpu_cores))
    history.record(seen(NOON + minutes(6), cpu_cores=0.5))
    table = of_guest(history)
    assert table["at"].dt.to_pydatetime().tolist() == [NOON + minutes(5), NOON + minutes(6)]
    bucket = table.iloc[0]
    assert bucket["cpu_cores"] == pytest.approx(1.1)
    assert (bucket["cpu_cores_p95"], bucket["cpu_cores_max"], bucket["samples"]) == (1.0, 3.0, 20)


def test_a_gap_in_a_bucket_does_not_pull_its_mean_down(history: EmbeddedHistory) -> None:
    for minute, cpu_cores in enumerate([2.0, None, None, 2.0], start=1):
        history.record(seen(NOON + minutes(minute), cpu_cores))
    history.record(seen(NOON + minutes(6)))
    assert of_guest(history).iloc[0][["cpu_cores", "cpu_cores_p95"]].tolist() == [2.0, 2.0]
    assert of_guest(history, "u-2")["cpu_cores_p95"].isna().all()


def test_a_bucket_begun_before_a_restart_is_finished_after_it(tmp_path: Path) -> None:
    before = EmbeddedHistory(tmp_path / "history.db")
    before.record(seen(NOON + minutes(1), cpu_cores=1.0))
    before.close()
    after = EmbeddedHistory(tmp_path / "history.db")
    after.record(seen(NOON + minutes(2), cpu_cores=3.0))
    after.record(seen(NOON + minutes(6)))
    assert of_guest(after).iloc[0][["cpu_cores", "cpu_cores_max", "samples"]].tolist() == [2.0, 3.0, 2]
    after.close()


def test_after_35_days_an_hour_is_one_reading(history: EmbeddedHistory) -> None:
    for minute in range(1, 61):
        history.record(seen(NOON + minutes(minute), cpu_cores=3.0 if minute == 40 else 1.0))
    history.record(seen(NOON + timedelta(days=35, hours=2)))
    table = of_guest(history)
    assert table["at"].dt.to_pydatetime().tolist() == [NOON + minutes(60), NOON + timedelta(days=35, hours=2)]
    hour = table.iloc[0]
    assert hour["cpu_cores"] == pytest.approx(62 / 60)
    assert (hour["cpu_cores_p95"], hour["cpu_cores_max"], hour["samples"]) == (3.0, 3.0, 60)


def test_the_oldest_goes_when_the_room_is_used_up(tmp_path: Path) -> None:
    room = 250_000
    history = EmbeddedHistory(tmp_path / "history.db", keeping=Keeping(max_bytes=room))
    busy = random.Random(7)
    for bucket in range(60):
        history.record(crowd(NOON + minutes(5 * bucket), busy))
    assert history.size_bytes() <= room
    kept = history.guest_readings(NOON - minutes(1), NOON + minutes(600))["at"]
    assert kept.max().to_pydatetime() == NOON + minutes(5 * 59)
    assert kept.min().to_pydatetime() > NOON + minutes(60)
    history.close()


def crowd(at: datetime, busy: random.Random) -> Cluster:
    host = Host(name="h1", cpu_cores=32.0, memory_mib=65536.0)
    vms = tuple(
        Vm(name=f"vm{n}", id=str(UUID(int=n)), host="h1", vcpus=4, memory_mib=1024.0, cpu_used_cores=busy.random() * 4)
        for n in range(500)
    )
    return Cluster(taken_at=at, cluster="lab", hosts=(host,), vms=vms)


def test_events_come_back_in_order(history: EmbeddedHistory) -> None:
    history.record_event("move", "vm:db1", {"target": "h5", "seconds": 2.5, "due": NOON})
    history.record_event("power_off", "host:h4", {})
    assert history.events(NOON - minutes(1), NOON) == [
        Event(NOON, "move", "vm:db1", {"target": "h5", "seconds": 2.5, "due": str(NOON)}),
        Event(NOON, "power_off", "host:h4", {}),
    ]


def test_a_cycle_goes_on_when_the_file_cannot_be_written(history: EmbeddedHistory) -> None:
    history.record(seen(NOON))
    with sqlite3.connect(history.path) as other:
        other.execute("DROP TABLE pages")
    history.record(seen(NOON + minutes(1)))
    health = history.health()
    assert health.dropped == 1
    assert "history: keeping readings: no such table" in health.last_error


def test_a_file_of_a_later_version_is_refused_in_words(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "history.db") as other:
        other.execute("PRAGMA user_version = 9")
    with pytest.raises(HistoryError, match="the file is of version 9, this balancer knows 2"):
        EmbeddedHistory(tmp_path / "history.db")


def test_a_file_that_is_none_of_ours_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_text("shopping list: milk, eggs, bread\n" * 40)
    with pytest.raises(HistoryError, match="not a database"):
        EmbeddedHistory(tmp_path / "history.db")


def test_what_was_there_is_known_for_as_long_as_readings_are_and_no_longer(tmp_path: Path) -> None:
    history = EmbeddedHistory(tmp_path / "history.db", keeping=Keeping(max_bytes=400_000))
    vms = [Vm(name=f"g{n}", id=f"u-{n}", host="h1", vcpus=1, memory_mib=512, cpu_used_cores=0.5) for n in range(200)]
    hosts = (Host(name="h1", cpu_cores=64, memory_mib=262144, cpu_used_cores=9.0),)
    for hour in range(48):
        there = vms[:100] if hour % 2 else vms  # half of them are started each other hour, and deleted again
        at = NOON + timedelta(hours=hour)
        history.record(Cluster(taken_at=at, cluster="c", hosts=hosts, vms=tuple(there)))
    oldest = history.guest_readings(NOON, NOON + timedelta(days=9))["at"].min().to_pydatetime()
    with history._engine.connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM inventory").scalar_one()
    kept_hours = (NOON + timedelta(hours=47) - oldest) / timedelta(hours=1)
    assert 3 < kept_hours < 40
    assert history.size_bytes() <= 400_000
    assert count <= 401 + 200 * (kept_hours + 2)
    assert len(history.inventory(oldest + timedelta(minutes=1)).guests) in {100, 200}
    assert "u-0" in history.inventory(oldest).guests
    history.close()
