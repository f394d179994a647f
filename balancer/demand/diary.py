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
SLOTS: Final = DAYS * SLOTS_A_DAY
SETTLING_SLOTS: Final = 2  # a guest that starts reads its disks and fills its caches: that says nothing about later
ABSENT_SLOTS: Final = 3  # shorter gaps are a missed look, not a start

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


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
        entries = entered(readings, vcpus, last - SLOTS + 1, last)
        new = set(entries.columns) - set(self.keys)
        keys = (*self.keys, *sorted(new))
        cores = np.full((SLOTS, len(keys)), np.nan, dtype=np.float32)
        kept = SLOTS - (last - self.last)
        if self.keys and kept > 0:
            cores[:kept, : len(self.keys)] = self.cores[-kept:]
        place = {key: column for column, key in enumerate(keys)}
        rows = entries.index.to_numpy(dtype=int) - last + SLOTS - 1
        block = np.ix_(rows, np.array([place[key] for key in entries.columns.tolist()], dtype=np.intp))
        fresh = entries.to_numpy(dtype=np.float32)
        cores[block] = np.where(np.isnan(fresh), cores[block], fresh)
        return Diary(keys, last, cores)._without_strangers()

    def _without_strangers(self) -> Diary:
        """Return the diary without guests that have not been seen for as long as it goes back."""
        is_seen: npt.NDArray[np.bool_] = np.logical_not(np.isnan(self.cores).all(axis=0))
        if is_seen.all():
            return self
        keys = tuple(key for key, seen in zip(self.keys, is_seen.tolist(), strict=True) if seen)
        return Diary(keys, self.last, self.cores[:, is_seen])

    def of(self, keys: Sequence[str], slots: int) -> Floats:
        """Return the newest slots of some guests; one that the diary does not know has gaps alone."""
        place = {key: column for column, key in enumerate(self.keys)}
        columns = np.array([place.get(key, -1) for key in keys], dtype=np.intp)
        if not self.keys:
            return np.full((slots, len(keys)), np.nan, dtype=np.float32)
        found = np.take(self.cores[-slots:], columns, axis=1)
        found[:, columns < 0] = np.nan
        return found


EMPTY_DIARY: Final = Diary((), 0, np.empty((SLOTS, 0), dtype=np.float32))


def slot_of(moment: datetime) -> int:
    """Return the number of the slot that a moment falls in; a slot includes its end."""
    return int(-(-moment.timestamp() // SLOT_SECONDS))


def begin_of_diary(moment: datetime) -> datetime:
    """Return since when readings are of use at a moment."""
    return datetime.fromtimestamp((slot_of(moment) - SLOTS) * SLOT_SECONDS, UTC)


def entered(readings: pd.DataFrame, vcpus: Mapping[str, int], first: int, last: int) -> pd.DataFrame:
    """Return the mean need by slot and guest. A reading that is repeated counts once; one to come, or absurd, never."""
    if readings.empty:
        return pd.DataFrame(dtype=float)
    keys = sorted(vcpus)
    # Seconds of a whole column at once: a Timestamp each would take minutes for a day of ten thousand guests.
    seconds = readings["at"].dt.as_unit("ms").astype("int64").to_numpy() / 1000.0
    rows = pd.DataFrame(
        {"key": pd.Index(keys, dtype=object).get_indexer(pd.Index(readings["key"], dtype=object)), "at": seconds}
    )
    rows["slot"] = np.ceil(rows["at"] / SLOT_SECONDS).astype(int)
    size = np.array([*(float(vcpus[key]) for key in keys), np.nan])[rows["key"]]
    used = readings["cpu_cores"].to_numpy(dtype=float)
    rows["cores"] = (
        with_wait(used, readings["wait_share"].to_numpy(dtype=float), size) if "wait_share" in readings else used
    )
    rows["weight"] = readings["samples"].fillna(1.0).clip(lower=1.0).to_numpy() if "samples" in readings else 1.0
    sound = (rows["cores"] >= 0) & (used <= ABSURD_ABOVE * size)
    rows = rows[sound & (rows["slot"] >= first) & (rows["slot"] <= last)].drop_duplicates(["key", "at"], keep="last")
    rows["weighted"] = rows["cores"] * rows["weight"]
    sums = rows.groupby(["slot", "key"], sort=False)[["weighted", "weight"]].sum()
    table = (sums["weighted"] / sums["weight"]).unstack("key")
    return pd.DataFrame(
        table.to_numpy(), index=table.index, columns=[keys[int(place)] for place in table.columns.tolist()]
    )


def with_wait(used: Doubles, wait_share: Doubles, vcpus: Doubles) -> Doubles:
    """Return what guests would have used had they not waited: the cores in use, and those that they waited for.

    wanted = used + wait share * vCPUs          at most all vCPUs, never less than what was used

    To take for its need what a starved guest got would keep it starved.
    """
    waited = np.nan_to_num(np.clip(wait_share, 0.0, 1.0)) * vcpus
    return np.where(waited > 0, np.fmax(used, np.fmin(used + waited, vcpus)), used)


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
