"""GWA / Bitbrains: a csv with ';' a guest, or `trace.parquet` and `meta.parquet` in one folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from balancer.domain.rehearsed import Odd
from balancer.errors import Fault, InputError
from balancer.simulation.traces.base import ABSENT_SECONDS, Notes, Trace, TracedGuest, trace_of_rows
from balancer.simulation.traces.tables import parquet

KIB_A_MIB = 1024.0
CORES, CAPACITY, USED, MEMORY, TIME = (
    "CPU cores",
    "CPU capacity provisioned [MHZ]",
    "CPU usage [MHZ]",
    "Memory capacity provisioned [KB]",
    "Timestamp [ms]",
)


def is_gwa_parquet(path: Path) -> bool:
    """Whether it is a folder with a trace and what its guests were ordered with, or its trace."""
    folder = path if path.is_dir() else path.parent
    return (path.is_dir() or path.name == "trace.parquet") and (folder / "meta.parquet").exists()


def read_gwa_parquet(path: Path) -> Trace:
    """Read MHz by guest and moment; a row stands for its `duration`, the time before it."""
    folder, notes = path if path.is_dir() else path.parent, Notes()
    rows = parquet(folder / "trace.parquet", ("id", "timestamp", "cpu_usage"))
    meta = parquet(folder / "meta.parquet", ("id", "cpu_count", "cpu_capacity", "mem_capacity"))
    meta["id"] = meta["id"].astype(str)
    meta = meta.drop_duplicates("id").set_index("id")
    mhz = meta["cpu_capacity"] / meta["cpu_count"].where(meta["cpu_count"] > 0)
    guests = {
        name: TracedGuest(name, _positive(row["cpu_count"]), _positive(row["mem_capacity"] / KIB_A_MIB))
        for name, row in meta.iterrows()
        if isinstance(name, str)
    }
    keys = rows["id"].astype(str)
    for name in sorted(set(keys) - set(guests)):
        notes.add(Odd.NO_SIZE, name, "meta.parquet", "left out: its speed is not known")
    need = rows["cpu_usage"].astype(float) / keys.map(mhz)
    seconds = rows["timestamp"].dt.as_unit("ms").astype("int64") / 1000.0
    read = pd.DataFrame({"guest": keys, "at": seconds, "need": need})
    if "duration" in rows:
        read = _spread_back(read, rows["duration"].astype(float) / 1000.0)
    return trace_of_rows(folder.name, read[read["guest"].isin(guests)], guests, notes)


def _spread_back(read: pd.DataFrame, seconds: pd.Series[float]) -> pd.DataFrame:
    """Have each row stand for all steps of the time that it covers; after a longer absence it is one like any other."""
    step = float(seconds.median())
    times = (seconds / step).round().where(seconds <= ABSENT_SECONDS, 1.0).fillna(1.0).clip(lower=1.0).astype(int)
    back = read.loc[read.index.repeat(times)]
    back = back.assign(at=back["at"] - step * back.groupby(level=0).cumcount())
    back = back.assign(row=back.index, is_spread=back.index.duplicated(), slot=np.ceil(back["at"] / step - 1e-6))
    back = back.sort_values("is_spread", kind="stable")
    # What jitters may reach back into a step that another row has measured: that one counts.
    once = back[~(back["is_spread"] & back.duplicated(["guest", "slot"]))]
    return once.sort_values(["row", "at"])[["guest", "at", "need"]]


def is_gwa_csv(path: Path) -> bool:
    """Whether it is a csv with ';' of the Grid Workloads Archive, or a folder of such."""
    first = next(iter(sorted(path.glob("*.csv"))), None) if path.is_dir() else path
    if first is None or first.suffix != ".csv":
        return False
    with first.open("rb") as file:
        return b";" in file.readline()


def read_gwa_csv(path: Path) -> Trace:
    """Read one guest a file; its name is the file's."""
    files, notes = sorted(path.glob("*.csv")) if path.is_dir() else [path], Notes()
    guests: dict[str, TracedGuest] = {}
    parts = []
    for file in files:
        rows = _numbers(file, notes)
        if rows.empty:
            notes.add(Odd.EMPTY, file.stem, file.name, "left out")
            continue
        cores, capacity = rows[CORES].max(), rows[CAPACITY].max()
        guests[file.stem] = TracedGuest(file.stem, _positive(cores), _positive(rows[MEMORY].max() / KIB_A_MIB))
        mhz = capacity / cores if cores > 0 and capacity > 0 else np.nan
        if np.isnan(mhz):
            notes.add(Odd.NO_SIZE, file.stem, file.name, "left out: its speed is not known")
            continue
        seconds = rows[TIME] / (1000.0 if rows[TIME].median() > 1e11 else 1.0)  # some files say ms and mean seconds
        parts.append(pd.DataFrame({"guest": file.stem, "at": seconds, "need": rows[USED] / mhz}))
    if not parts:
        raise InputError([Fault(str(path), "holds no guest that can be read", f"columns such as {CAPACITY}")])
    return trace_of_rows(path.stem, pd.concat(parts, ignore_index=True), guests, notes)


def _numbers(file: Path, notes: Notes) -> pd.DataFrame:
    try:
        rows = pd.read_csv(
            file, sep=";", dtype=str, skipinitialspace=True, on_bad_lines="skip", encoding_errors="replace"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError):
        return pd.DataFrame()
    rows.columns = [str(name).strip() for name in rows.columns]
    lacking = [name for name in (TIME, CORES, CAPACITY, USED, MEMORY) if name not in rows.columns]
    if lacking:
        raise InputError(
            [Fault(str(file), f"has no column `{lacking[0]}`", "the columns of the archive's fastStorage")]
        )
    wanted = rows[[TIME, CORES, CAPACITY, USED, MEMORY]]
    numbers: pd.DataFrame = wanted.apply(lambda column: pd.to_numeric(column.str.strip(), "coerce"))
    return numbers


def _positive(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None
