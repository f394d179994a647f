"""What each guest needed in each five minutes of the last nine days, ready to be calculated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from balancer.domain.vm import ABSURD_ABOVE

SLOT_SECONDS: Final = 300
SLOTS_A_DAY: Final = 288
DAYS: Final = 9  # the day that methods are judged by, and before it a day of each name
SETTLING_SLOTS: Final = 2  # a guest that starts reads its disks and fills its caches: that says nothing about later
ABSENT_SLOTS: Final = 3  # shorter gaps are a missed look, not a start

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Diary:
    """Cores by slot and guest, oldest first; NaN is a gap. `last` is the number of the newest slot since 1970."""

    keys: tuple[str, ...]
    last: int
    cores: Floats

    @property
    def is_empty(self) -> bool:
        return not self.keys

    @property
    def read_again_from(self) -> datetime:
        """Since when readings have to be read for the next entry: the newest slot may have been half over."""
        return datetime.fromtimestamp((self.last - 1) * SLOT_SECONDS, UTC)

    def with_readings(self, readings: pd.DataFrame, vcpus: Mapping[str, int], until: datetime) -> Diary:
        """Return the diary with these readings entered, each slot that they touch anew; what is too old goes.

        vcpus: of the guests that are there, by key; readings of others are left out
        """
        last = max(slot_of(until), self.last)
        entries = entered(readings, vcpus, last - DAYS * SLOTS_A_DAY + 1, last)
        keys = tuple(sorted({*self.keys, *entries.columns}))
        cores = np.full((DAYS * SLOTS_A_DAY, len(keys)), np.nan, dtype=np.float32)
        place = {key: column for column, key in enumerate(keys)}
        kept = len(cores) - (last - self.last)
        if self.keys and kept > 0:
            cores[:kept, [place[key] for key in self.keys]] = self.cores[-kept:]
        block = np.ix_(entries.index.to_numpy(dtype=int) - last + len(cores) - 1, [place[key] for key in entries])
        fresh = entries.to_numpy(dtype=np.float32)
        cores[block] = np.where(np.isnan(fresh), cores[block], fresh)
        spoken = ~np.isnan(cores).all(axis=0)
        return Diary(tuple(key for key, has in zip(keys, spoken, strict=True) if has), last, cores[:, spoken])

    def of(self, keys: Sequence[str], slots: int) -> Floats:
        """Return the newest slots of some guests; one that the diary does not know has gaps alone."""
        place = {key: column for column, key in enumerate(self.keys)}
        columns = np.array([place.get(key, -1) for key in keys], dtype=np.intp)
        if not self.keys:
            return np.full((slots, len(keys)), np.nan, dtype=np.float32)
        found = np.take(self.cores[-slots:], columns, axis=1)
        found[:, columns < 0] = np.nan
        return found


EMPTY_DIARY: Final = Diary((), 0, np.empty((DAYS * SLOTS_A_DAY, 0), dtype=np.float32))


def slot_of(moment: datetime) -> int:
    """Return the number of the slot that a moment falls in; a slot includes its end."""
    return int(-(-moment.timestamp() // SLOT_SECONDS))


def entered(readings: pd.DataFrame, vcpus: Mapping[str, int], first: int, last: int) -> pd.DataFrame:
    """Return the mean need by slot and guest. A reading that is repeated counts once; one to come, or absurd, never."""
    keys = pd.Categorical(readings["key"], categories=sorted(vcpus))
    # Seconds of a whole column at once: a Timestamp each would take minutes for a day of ten thousand guests.
    seconds = readings["at"].dt.as_unit("ms").astype("int64").to_numpy() / 1000.0
    rows = pd.DataFrame({"key": keys.codes, "at": seconds})
    rows["slot"] = np.ceil(rows["at"] / SLOT_SECONDS).astype(int)
    size = np.array([*(float(vcpus[key]) for key in keys.categories), np.nan])[keys.codes]
    rows["cores"] = wanted_cores(readings, size)
    rows["weight"] = readings["samples"].fillna(1.0).clip(lower=1.0).to_numpy() if "samples" in readings else 1.0
    sound = (rows["cores"] >= 0) & (readings["cpu_cores"].to_numpy(dtype=float) <= ABSURD_ABOVE * size)
    rows = rows[sound & (rows["slot"] >= first) & (rows["slot"] <= last)].drop_duplicates(["key", "at"], keep="last")
    rows["weighted"] = rows["cores"] * rows["weight"]
    sums = rows.groupby(["slot", "key"], sort=False)[["weighted", "weight"]].sum()
    return (sums["weighted"] / sums["weight"]).unstack("key").rename(columns=dict(enumerate(keys.categories)))


def wanted_cores(readings: pd.DataFrame, vcpus: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what guests would have used had they not waited: the cores in use, and those that they waited for.

    wanted = used + wait share * vCPUs          at most all vCPUs, never less than what was used

    To take for its need what a starved guest got would keep it starved.
    """
    used = readings["cpu_cores"].to_numpy(dtype=float)
    if "wait_share" not in readings:
        return used
    waited = np.nan_to_num(readings["wait_share"].to_numpy(dtype=float).clip(0.0, 1.0)) * vcpus
    return np.fmax(used, np.fmin(used + waited, vcpus))


def without_starts(cores: Floats) -> Floats:
    """Return the slots with the first minutes of each guest after a start blanked.

    A start is a first reading after a quarter of an hour without any, while others were read; that nobody was read is
    the balancer's own silence and no start of anybody.
    """
    settled = cores.copy()
    silent = np.zeros(cores.shape[1], dtype=np.int32)
    settling = np.zeros_like(silent)
    for slot, reading in enumerate(cores):
        is_gap = np.isnan(reading)
        if is_gap.all():
            continue
        settling = np.where(~is_gap & (silent >= ABSENT_SLOTS), SETTLING_SLOTS, settling)
        settled[slot, settling > 0] = np.nan
        settling = np.maximum(settling - 1, 0)
        silent = np.where(is_gap, silent + 1, 0)
    return settled
