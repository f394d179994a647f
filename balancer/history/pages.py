"""Pages: the readings of all guests, or all hosts, at one moment or over one bucket, packed.

A row for each guest and bucket would be a hundred million rows for ten thousand guests. A page is one row, is read in
one piece, and takes less than half the room.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import structlog

log = structlog.get_logger()

SUBJECT: Final = "subject"
MEASURES: Final = ("cpu_cores", "memory_mib", "wait_share", "cpu_cores_p95", "cpu_cores_max", "samples")
_LAYOUT: Final = ((SUBJECT, np.dtype("<i4")), *((name, np.dtype("<f4")) for name in MEASURES))
_BYTES_PER_READING: Final = sum(dtype.itemsize for _, dtype in _LAYOUT)


def page_of_samples(
    subjects: npt.NDArray[np.int32],
    cpu_cores: Sequence[float],
    memory_mib: Sequence[float],
    wait_share: Sequence[float],
) -> pd.DataFrame:
    """Make a page of what was measured at one moment; NaN is what was not."""
    cpu = np.asarray(cpu_cores, dtype=np.float32)
    return pd.DataFrame(
        {
            SUBJECT: subjects,
            "cpu_cores": cpu,
            "memory_mib": np.asarray(memory_mib, dtype=np.float32),
            "wait_share": np.asarray(wait_share, dtype=np.float32),
            "cpu_cores_p95": cpu,
            "cpu_cores_max": cpu,
            "samples": np.ones(len(cpu), dtype=np.float32),
        }
    )


def pack(page: pd.DataFrame) -> bytes:
    """Pack a page, column by column."""
    return zlib.compress(b"".join(page[name].to_numpy().astype(dtype).tobytes() for name, dtype in _LAYOUT), level=1)


def unpack(packed: bytes) -> pd.DataFrame:
    """Return the page that was packed. One that is damaged is empty: a gap, and gaps count as busy."""
    try:
        raw = zlib.decompress(packed)
    except zlib.error as failed:
        log.warning("a page of the history is damaged and counts as a gap; is the disk sound?", cause=str(failed))
        raw = b""
    rows = len(raw) // _BYTES_PER_READING
    columns, place = {}, 0
    for name, dtype in _LAYOUT:
        columns[name] = np.frombuffer(raw, dtype=dtype, count=rows, offset=place)
        place += rows * dtype.itemsize
    return pd.DataFrame(columns)


def bucket_of_samples(pages: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge the samples of a bucket: mean, 95th percentile and greatest; a gap counts for nothing, not for zero."""
    samples = pd.concat(pages, ignore_index=True)
    # Sorted once, the percentile of all subjects is a look-up; groupby.quantile takes ten times as long.
    cpu = samples[[SUBJECT, "cpu_cores"]].dropna().sort_values([SUBJECT, "cpu_cores"], ignore_index=True)
    place = cpu.groupby(SUBJECT).cumcount() + 1
    count = cpu.groupby(SUBJECT)["cpu_cores"].transform("size")
    reaching = cpu[place >= np.ceil(0.95 * count)].groupby(SUBJECT)["cpu_cores"]
    by_subject = samples.groupby(SUBJECT)
    bucket = by_subject[["cpu_cores", "memory_mib", "wait_share"]].mean()
    bucket["cpu_cores_p95"] = reaching.first().astype(np.float32)
    bucket["cpu_cores_max"] = by_subject["cpu_cores"].max()
    bucket["samples"] = by_subject.size().astype(np.float32)
    return bucket.reset_index()


def bucket_of_buckets(pages: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge small buckets into a large one.

    The true percentile is lost with the samples. The greatest of the small buckets' stands for it: at most a twentieth
    of the samples lie above, so it is never below the true one.
    """
    buckets = pd.concat(pages, ignore_index=True)
    merged = pd.DataFrame(index=pd.Index(sorted(buckets[SUBJECT].unique()), name=SUBJECT))
    for name in ("cpu_cores", "memory_mib", "wait_share"):
        weight = buckets["samples"].where(buckets[name].notna(), 0.0)
        total = (buckets[name].fillna(0.0) * weight).groupby(buckets[SUBJECT]).sum()
        merged[name] = total / weight.groupby(buckets[SUBJECT]).sum().replace(0.0, np.nan)
    by_subject = buckets.groupby(SUBJECT)
    merged["cpu_cores_p95"] = by_subject["cpu_cores_p95"].max()
    merged["cpu_cores_max"] = by_subject["cpu_cores_max"].max()
    merged["samples"] = by_subject["samples"].sum()
    return merged.reset_index()
