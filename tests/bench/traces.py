"""Recorded guests to try forecasts on: PlanetLab days and the Bitbrains sample, from a directory that you name."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from balancer.demand.diary import SLOT_SECONDS, SLOTS_A_DAY, Floats


@dataclass(frozen=True)
class Trace:
    """Cores by slot of five minutes and guest, NaN where nothing was measured; `tried_from` leaves days to learn."""

    name: str
    cores: Floats
    vcpus: tuple[int, ...]
    tried_from: int
    stride: int


def traces_in(directory: Path) -> list[Trace]:
    """Return what is found below a directory; what cannot be read is left out with a sentence."""
    found = [
        trace
        for trace in (_planetlab(directory / "planetlab"), _bitbrains(directory / "bitbrains-small"))
        if trace is not None
    ]
    if not found:
        raise FileNotFoundError(f"{directory} holds neither planetlab/DAY.tar.xz nor bitbrains-small/trace.parquet")
    return found


def _planetlab(directory: Path) -> Trace | None:
    """Join the two days that have most guests in common, as if one followed the other."""
    days = [_planetlab_day(path) for path in sorted(directory.glob("*.tar.xz"))]
    pairs = [(first, second) for first, second in pairwise(days) if first.keys() & second.keys()]
    if not pairs:
        return None
    first, second = max(pairs, key=lambda pair: len(pair[0].keys() & pair[1].keys()))
    guests = sorted(first.keys() & second.keys())
    cores = np.stack([np.concatenate([first[guest], second[guest]]) for guest in guests], axis=1)
    return Trace("planetlab", cores, (1,) * len(guests), SLOTS_A_DAY + 24, stride=7)


def _planetlab_day(path: Path) -> dict[str, Floats]:
    """Read whole percentages of one core, one a line, a file a guest."""
    found: dict[str, Floats] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                percent = np.array(file.read().split()[:SLOTS_A_DAY], dtype=np.float32)
                if len(percent) == SLOTS_A_DAY:
                    found[Path(member.name).name] = (percent / 100).astype(np.float32)
    return found


def _bitbrains(directory: Path) -> Trace | None:
    if not (directory / "trace.parquet").exists():
        return None
    try:
        rows = pd.read_parquet(directory / "trace.parquet")
        guests = pd.read_parquet(directory / "meta.parquet").set_index("id")
    except ImportError:
        print("bitbrains is left out: pip install pyarrow, it is a parquet file")
        return None
    mhz = guests["cpu_capacity"] / guests["cpu_count"]
    rows["cores"] = rows["cpu_usage"] / rows["id"].map(mhz)
    rows["slot"] = (rows["timestamp"].dt.as_unit("ms").astype("int64") / 1000 / SLOT_SECONDS).round().astype(int)
    # A row stands for the time since the row before it; beyond a quarter of an hour that is a gap.
    lasting = (rows["duration"] / 1000 / SLOT_SECONDS).round().clip(1, 3).astype(int)
    parts = [rows[lasting > back].assign(slot=rows["slot"] - back) for back in (2, 1, 0)]
    spread = pd.concat(parts)
    table = spread.drop_duplicates(["id", "slot"], keep="last").pivot(index="slot", columns="id", values="cores")
    table = table.reindex(range(table.index.min(), table.index.max() + 1)).reindex(columns=guests.index)
    vcpus = tuple(int(number) for number in guests["cpu_count"])
    return Trace("bitbrains", table.to_numpy(dtype=np.float32), vcpus, 8 * SLOTS_A_DAY, stride=41)
