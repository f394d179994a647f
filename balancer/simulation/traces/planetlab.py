"""PlanetLab: an archive, or a folder, with a file a guest, and in it whole percentages, one each five minutes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from balancer.domain.rehearsed import Odd
from balancer.errors import Fault, InputError
from balancer.simulation.traces.base import A_MONDAY, STEP_SECONDS, Notes, Trace, trace_of_rows


def is_planetlab(path: Path) -> bool:
    """Whether it is an archive of guests' files, or a folder of nothing but such."""
    if path.is_dir():
        return not list(path.glob("*.parquet")) and not list(path.glob("*.csv")) and any(path.iterdir())
    return path.name.endswith((".tar.xz", ".tar.gz", ".tgz", ".tar"))


def read_planetlab(path: Path) -> Trace:
    """Read shares of each guest's size, by guest. The day is the one that the archive's name says."""
    begin, notes = _day_of(path), Notes()
    names: list[str] = []
    parts: list[pd.DataFrame] = []
    try:
        for name, text in _files(path):
            words = text.split()
            needs = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").to_numpy(dtype=float) / 100.0
            names.append(name)
            if not len(needs):
                notes.add(Odd.EMPTY, name, path.name, "left out")
                continue
            ends = begin.timestamp() + STEP_SECONDS * (1 + np.arange(len(needs)))
            needs = np.where(needs > 1.05, np.nan, needs)
            parts.append(pd.DataFrame({"guest": name, "at": ends, "need": needs}))
    except (tarfile.TarError, OSError, EOFError, ValueError) as cause:
        raise InputError([Fault(str(path), f"cannot be read: {cause}", "an archive with a file a guest")]) from cause
    if not parts:
        raise InputError([Fault(str(path), "holds no guest", "an archive with a file a guest, one percentage a line")])
    longest = max(map(len, parts))
    for part in parts:
        if len(part) < longest:
            notes.add(Odd.SHORTER, part["guest"].iloc[0], f"{len(part)} of {longest} steps", "is gone afterwards")
    return trace_of_rows(path.name, pd.concat(parts, ignore_index=True), {}, notes, is_share=True)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        yield from ((each.name, each.read_bytes()) for each in sorted(path.iterdir()) if each.is_file())
        return
    with tarfile.open(path) as archive:
        members = sorted((one for one in archive.getmembers() if one.isfile()), key=lambda one: one.name)
        for member in members:
            file = archive.extractfile(member)
            if file is not None:
                yield Path(member.name).name, file.read()


def _day_of(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name.partition(".")[0], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return A_MONDAY
