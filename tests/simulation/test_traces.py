"""Records are read as they come: what is odd is named, nothing crashes, and no guest is invented."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancer.domain.rehearsed import Odd
from balancer.errors import BalancerError, MissingExtra
from balancer.simulation.traces import Trace, reader_of

HEAD = "at,guest,cpu_cores,vcpus,memory_mib\n"
GWA = (
    "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tMemory capacity provisioned [KB]\n"
)


def csv(folder: Path, *rows: str, head: str = HEAD) -> Trace:
    path = folder / "load.csv"
    path.write_text(head + "".join(row + "\n" for row in rows))
    return reader_of(path).read(path)


def archive(folder: Path, files: Mapping[str, bytes]) -> Path:
    path = folder / "20110303.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"20110303/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return path


def odd(trace: Trace) -> set[tuple[Odd, str]]:
    return {(one.what, one.guest) for one in trace.oddities}


def test_a_gap_is_named_and_the_guest_needs_what_it_did(tmp_path: Path) -> None:
    trace = csv(tmp_path, *(f"2026-03-02T00:{m:02}:00Z,a,{c},4,1024" for m, c in ((5, 1), (10, 2), (25, 3), (30, 3))))
    assert trace.needs[:, 0].tolist() == [1, 2, 2, 2, 3, 3]
    assert [(one.what, one.guest, one.where) for one in trace.oddities] == [(Odd.GAP, "a", "2026-03-02 00:10")]


def test_guests_come_and_go(tmp_path: Path) -> None:
    rows = [f"2026-03-02T00:{m:02}:00Z,{g},1,4,1024" for g, ms in (("a", (5, 10, 15)), ("b", (10,))) for m in ms]
    trace = csv(tmp_path, *rows)
    assert odd(trace) == {(Odd.APPEARS, "b"), (Odd.DISAPPEARS, "b")}
    assert np.isnan(trace.needs[:, 1]).tolist() == [True, False, True]


def test_readings_that_cannot_be_are_gaps_with_a_name(tmp_path: Path) -> None:
    needs = ("1", "-5", "word", "1e9", "1", "1", "1", "1")
    trace = csv(tmp_path, *(f"2026-03-02T00:{5 * n + 5:02}:00Z,a,{need},4,1024" for n, need in enumerate(needs)))
    assert {what for what, _ in odd(trace)} == {Odd.NEGATIVE, Odd.NOT_A_NUMBER, Odd.ABOVE_ITS_SIZE, Odd.GAP}
    assert trace.needs[:, 0].tolist() == [1] * 8


def test_the_hour_that_comes_twice_is_told_apart_by_its_zone(tmp_path: Path) -> None:
    zoned = csv(tmp_path, *(f"2026-10-25T02:30:00+0{zone}:00,a,{c},4,1024" for zone, c in ((2, 1), (1, 2))))
    assert zoned.needs[[0, -1], 0].tolist() == [1, 2]
    assert (Odd.TWICE, "a") not in odd(zoned)
    bare = csv(tmp_path, *(f"2026-10-25T02:{m}:00,a,{c},4,1024" for m, c in ((30, 1), (35, 1), (30, 3))))
    assert {(Odd.TWICE, "a"), (Odd.GOES_BACK, "a")} <= odd(bare)
    assert bare.needs[0, 0] == 2


def test_the_hour_that_never_was_is_a_gap_unless_zones_say_otherwise(tmp_path: Path) -> None:
    zoned = csv(tmp_path, *(f"2026-03-29T{at},a,1,4,1024" for at in ("01:55:00+01:00", "03:00:00+02:00")))
    assert zoned.needs[:, 0].tolist() == [1, 1]
    assert odd(zoned) == set()
    ticks = (("01:45", 1), ("01:50", 1), ("01:55", 1), ("03:00", 2), ("03:05", 2))
    bare = csv(tmp_path, *(f"2026-03-29T{at}:00,a,{c},4,1024" for at, c in ticks))
    assert odd(bare) == {(Odd.GAP, "a")}
    assert (bare.needs[0, 0], bare.needs[-1, 0]) == (1, 2)


def test_a_counter_that_began_anew_leaves_a_named_gap_and_no_load(tmp_path: Path) -> None:
    """What exports a counter's steps as a rate gives a fall below nothing where the counter begins anew."""
    needs = ("1", "1", "-86400", "1", "1")
    trace = csv(tmp_path, *(f"2026-03-02T00:{5 * n + 5:02}:00Z,a,{need},4,1024" for n, need in enumerate(needs)))
    assert odd(trace) == {(Odd.NEGATIVE, "a"), (Odd.GAP, "a")}
    assert trace.needs[:, 0].tolist() == [1] * 5


def test_zeros_all_day_are_named(tmp_path: Path) -> None:
    trace = csv(tmp_path, *(f"2026-03-02T00:{m:02}:00Z,a,0,4,1024" for m in (5, 10)))
    assert odd(trace) == {(Odd.ALL_ZERO, "a")}


def test_planetlab_guests_of_unequal_length_end_when_they_end(tmp_path: Path) -> None:
    path = archive(tmp_path, {"b": b"10\n20\n30\n", "a": b"1\n", "empty": b""})
    trace = reader_of(path).read(path)
    assert [guest.name for guest in trace.guests] == ["a", "b"]
    assert trace.needs[:, 1].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert {(Odd.SHORTER, "a"), (Odd.EMPTY, "empty")} <= odd(trace)


def test_the_archive_of_grid_workloads_is_read(tmp_path: Path) -> None:
    rows = [f"{1376314846 + 300 * n};\t2;\t4000;\t{use};\t2097152" for n, use in enumerate((1000, 2000))]
    trace = csv(tmp_path, *rows, head=GWA)
    assert (trace.guests[0].cores, trace.guests[0].memory_mib) == (2.0, 2048.0)
    assert trace.needs[:, 0].tolist() == [0.5, 1.0]


NOON_SECONDS = 1_772_452_800


def test_a_row_stands_for_the_time_that_it_covers_and_not_for_more(tmp_path: Path) -> None:
    """The second row covers a quarter of an hour; the last one comes after two days away."""
    pytest.importorskip("pyarrow")
    minutes, lasts = (5, 20, 25, 30, 30 + 2 * 1440), (5, 15, 5, 5, 2 * 1440)
    at = pd.to_datetime([NOON_SECONDS + 60 * m for m in minutes], unit="s", utc=True)
    rows = {"id": "a", "timestamp": at, "duration": [60_000 * m for m in lasts], "cpu_usage": [1e3, 2e3, 1e3, 1e3, 3e3]}
    pd.DataFrame(rows).to_parquet(tmp_path / "trace.parquet")
    meta = {"id": ["a"], "cpu_count": [2], "cpu_capacity": [4000.0], "mem_capacity": [2097152.0]}
    pd.DataFrame(meta).to_parquet(tmp_path / "meta.parquet")
    trace = reader_of(tmp_path).read(tmp_path)
    assert trace.needs[:6, 0].tolist() == [0.5, 1, 1, 1, 0.5, 0.5]
    assert np.isnan(trace.needs[6:-1, 0]).all()
    assert trace.needs[-1, 0] == 1.5
    assert odd(trace) == {(Odd.GAP, "a")}


def test_the_extra_is_named_where_parquet_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "load.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(MissingExtra, match=r"\[traces\]"):
        reader_of(path).read(path)


CELL = st.one_of(
    st.sampled_from(["", "a", "b", "nan", "-1", "1e400", "2026-03-02T00:05:00Z", "5", "300", ";"]), st.text(max_size=6)
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=1, max_size=6), max_size=8), st.sampled_from([HEAD, GWA, ""]))
def test_whatever_stands_in_a_table_it_is_read_or_refused_in_words(
    tmp_path: Path, rows: list[list[str]], head: str
) -> None:
    sign = ";" if head == GWA else ","
    path = tmp_path / "load.csv"
    path.write_text(head + "\n".join(sign.join(row) for row in rows), encoding="utf-8", errors="replace")
    try:
        trace = reader_of(path).read(path)
    except BalancerError:
        return
    assert not np.isinf(trace.needs).any() and not (trace.needs < 0).any()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.binary(max_size=40), max_size=3))
def test_whatever_stands_in_an_archive_no_guest_is_invented(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = archive(tmp_path, files)
    try:
        trace = reader_of(path).read(path)
    except BalancerError:
        return
    assert {guest.name for guest in trace.guests} <= set(files)
