"""Our own tables, as csv or parquet: a row a guest and moment.

at           when the stretch ended that the row stands for: ISO 8601 with its zone, or seconds since 1970
guest        its name
cpu_cores    what it needed, the mean in cores; or cpu_percent, of its vcpus
vcpus, memory_mib, host      optional: its size, and where it was
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from balancer.domain.rehearsed import Odd
from balancer.errors import Fault, InputError, MissingExtra
from balancer.simulation.traces.base import Notes, Trace, TracedGuest, trace_of_rows

COLUMNS = "at, guest, cpu_cores (or cpu_percent), and vcpus, memory_mib, host where they are known"


def is_csv(path: Path) -> bool:
    return path.suffix == ".csv"


def is_parquet(path: Path) -> bool:
    return path.suffix == ".parquet"


def read_csv(path: Path) -> Trace:
    """Read a csv file with our columns."""
    try:
        rows = pd.read_csv(path, dtype=str, skipinitialspace=True, on_bad_lines="skip", encoding_errors="replace")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as cause:
        raise InputError([Fault(str(path), f"cannot be read: {cause}", f"columns: {COLUMNS}")]) from cause
    return _trace(path, rows)


def read_parquet(path: Path) -> Trace:
    """Read a parquet file with our columns."""
    return _trace(path, parquet(path, ("at", "guest")))


def parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a parquet file that has to have these columns; MissingExtra where nothing can read it."""
    try:
        rows = pd.read_parquet(path)
    except ImportError as cause:
        raise MissingExtra(f"reading {path.name}", "traces") from cause
    except Exception as cause:  # the libraries beneath raise errors of their own, of many kinds
        raise InputError([Fault(str(path), f"cannot be read: {cause}", "is it a parquet file?")]) from cause
    lacking = [name for name in columns if name not in rows.columns]
    if lacking:
        raise InputError([Fault(str(path), f"has no column `{lacking[0]}`", f"it has {', '.join(map(str, rows))}")])
    return rows


def _trace(path: Path, rows: pd.DataFrame) -> Trace:
    rows.columns = [str(name).strip() for name in rows.columns]
    if not {"at", "guest"} <= set(rows.columns) or not {"cpu_cores", "cpu_percent"} & set(rows.columns):
        raise InputError([Fault(f"{path}:1", "lacks a column", f"columns: {COLUMNS}")])
    rows = rows.dropna(subset=["guest"])
    rows = rows[rows["guest"].astype(str).str.strip() != ""]
    names = rows["guest"].astype(str).str.strip()
    notes, guests = Notes(), _guests(rows, names)
    if "cpu_cores" in rows:
        need = _number(rows, "cpu_cores")
    else:
        size = names.map({name: guest.cores or np.nan for name, guest in guests.items()}).astype(float)
        need = _number(rows, "cpu_percent") / 100.0 * size
        for name in sorted(set(names[size.isna()])):
            notes.add(Odd.NO_SIZE, name, path.name, "left out: of how many vcpus its percentages are is not said")
    return trace_of_rows(
        path.stem, pd.DataFrame({"guest": names, "at": _seconds(rows["at"]), "need": need}), guests, notes
    )


def _guests(rows: pd.DataFrame, names: pd.Series[str]) -> dict[str, TracedGuest]:
    facts = pd.DataFrame({"cores": _number(rows, "vcpus"), "memory_mib": _number(rows, "memory_mib")})
    facts = facts.where((facts > 0) & np.isfinite(facts)).groupby(names).max()
    homes = rows["host"].astype(str).groupby(names).first().to_dict() if "host" in rows else {}
    return {
        str(name): TracedGuest(
            str(name),
            None if pd.isna(row["cores"]) else float(row["cores"]),
            None if pd.isna(row["memory_mib"]) else float(row["memory_mib"]),
            homes.get(name),
        )
        for name, row in facts.iterrows()
    }


def _number(rows: pd.DataFrame, name: str) -> pd.Series[float]:
    if name not in rows:
        return pd.Series(np.nan, index=rows.index)
    return pd.to_numeric(rows[name], errors="coerce").astype(float)


def _seconds(at: pd.Series[str]) -> pd.Series[float]:
    """Return seconds since 1970; a time of day that a clock change repeats is told apart by its zone alone."""
    if pd.api.types.is_datetime64_any_dtype(at):
        return pd.to_datetime(at, utc=True).dt.as_unit("ms").astype("int64") / 1000.0
    numbers = pd.to_numeric(at, errors="coerce")
    moments = pd.to_datetime(at.where(numbers.isna()), utc=True, errors="coerce", format="ISO8601")
    seconds = moments.dt.as_unit("ms").astype("int64").astype(float) / 1000.0
    return numbers.astype(float).where(numbers.notna(), seconds.where(moments.notna()))
