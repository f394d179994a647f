"""Days as people live them: by the clock on the wall, which is turned twice a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import SLOT_SECONDS, SLOTS_A_DAY, Floats

_SLOTS_AN_HOUR = 3600 // SLOT_SECONDS


def weekdays_after(now: datetime, zone: tzinfo) -> npt.NDArray[np.int64]:
    """Return the weekday of each slot of the 24 hours to come, as the clock goes now; Monday is 0."""
    here = now.timestamp() + _ahead_of_utc(now, zone).total_seconds()
    seconds = here + SLOT_SECONDS * np.arange(1, SLOTS_A_DAY + 1)
    return ((seconds // 86_400).astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday


def by_the_wall_clock(cores: Floats, now: datetime, zone: tzinfo) -> Floats:
    """Return the slots up to now moved to where the clock on the wall showed the same time.

    Of an hour that came twice the second counts; one that was left out is a gap.
    """
    turned = _turned_since(len(cores), now, zone)
    if not turned.any():
        return cores
    moved = np.full_like(cores, np.nan)
    places = np.arange(len(cores)) + turned
    for turn in dict.fromkeys(turned.tolist()):  # the oldest first: what is newer takes its place
        kept = (turned == turn) & (places >= 0)
        moved[places[kept]] = cores[kept]
    return moved


def slots_turned(now: datetime, ahead: int, zone: tzinfo) -> int:
    """Return by how many slots the clock on the wall is put forward within so many slots; back is below 0."""
    later = now + timedelta(seconds=SLOT_SECONDS * ahead)
    return _in_slots(_ahead_of_utc(later, zone) - _ahead_of_utc(now, zone))


def _turned_since(slots: int, now: datetime, zone: tzinfo) -> npt.NDArray[np.int64]:
    """Return by how much the clock was ahead of how it goes now, for each slot up to now; looked at by the hour."""
    last = int(now.timestamp() // 3600)
    first = last - slots // _SLOTS_AN_HOUR - 1
    hours_before = (datetime.fromtimestamp(3600 * hour, UTC) for hour in range(first, last + 1))
    goes_now = _ahead_of_utc(now, zone)
    by_hour = [_in_slots(_ahead_of_utc(hour, zone) - goes_now) for hour in hours_before]
    hours = ((now.timestamp() - SLOT_SECONDS * np.arange(slots)[::-1] - 1) // 3600).astype(np.int64)
    return np.array(by_hour, dtype=np.int64)[np.clip(hours - first, 0, len(by_hour) - 1)]


def _ahead_of_utc(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _in_slots(by: timedelta) -> int:
    return round(by.total_seconds() / SLOT_SECONDS)
