"""Recorded load as it was read: what each guest needed in each step, and what was odd about the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from balancer.domain.rehearsed import Odd, Oddity
from balancer.errors import Fault, InputError

Floats = npt.NDArray[np.float32]
STEP_SECONDS: Final = 300.0
A_MONDAY: Final = datetime(2026, 3, 2, tzinfo=UTC)  # of records that do not say when they were taken
ABSENT_SECONDS: Final = 86_400.0  # a longer gap means that the guest was away; in a shorter one it needs what it did
MOST_STEPS: Final = 200_000  # two years of five minutes: a record that asks for more has one wrong date in it
MOST_CORES: Final = 4096.0
FULL: Final = 1.05  # of its size: rounding of counters goes a little above 1


@dataclass(frozen=True)
class TracedGuest:
    """A guest of a record; its size where the record says it, its host where it knows."""

    name: str
    cores: float | None = None
    memory_mib: float | None = None
    host: str | None = None


@dataclass(frozen=True)
class Trace:
    """What guests needed: a row a step, a column a guest; NaN where it was not there.

    is_share: needs are shares of each guest's size, else cores. Row n is the mean of the step that begins at
    `begin` + n steps.
    """

    name: str
    begin: datetime
    guests: tuple[TracedGuest, ...]
    needs: Floats
    is_share: bool = False
    step_seconds: float = STEP_SECONDS
    oddities: tuple[Oddity, ...] = ()

    @property
    def steps(self) -> int:
        return len(self.needs)

    def begin_of(self, step: int) -> datetime:
        return self.begin + timedelta(seconds=step * self.step_seconds)

    def between(self, since: datetime | None, until: datetime | None) -> Trace:
        """Return the steps that lie between two moments."""
        step = self.step_seconds
        first = 0 if since is None else max(0, -(-int((since - self.begin).total_seconds()) // int(step)))
        last = self.steps if until is None else int((until - self.begin).total_seconds() // step)
        part = self.needs[first : max(first, last)]
        there = np.asarray(np.logical_not(np.isnan(part)).any(axis=0))
        if not there.any():
            raise InputError([Fault(self.name, "has no load between these times", f"it begins at {self.begin}")])
        guests = tuple(guest for guest, is_there in zip(self.guests, there.tolist(), strict=True) if is_there)
        return Trace(self.name, self.begin_of(first), guests, part[:, there], self.is_share, step, self.oddities)


@dataclass
class Notes:
    """Oddities as they are met; of one kind and guest the first is named, and how many there were."""

    found: dict[tuple[Odd, str], tuple[Oddity, int]] = field(default_factory=dict)

    def add(self, what: Odd, guest: str, where: str, made_of_it: str, times: int = 1) -> None:
        first, before = self.found.get((what, guest), (None, 0))
        first = first or Oddity(what=what, guest=guest, where=where, made_of_it=made_of_it)
        self.found[what, guest] = (first, before + times)

    def listed(self) -> tuple[Oddity, ...]:
        return tuple(
            one if times == 1 else one.model_copy(update={"made_of_it": f"{one.made_of_it} ({times} times)"})
            for one, times in self.found.values()
        )


def trace_of_rows(
    name: str, rows: pd.DataFrame, guests: Mapping[str, TracedGuest], notes: Notes, is_share: bool = False
) -> Trace:
    """Lay readings on steps. rows: `guest`, `at` (seconds since 1970, the end of what it stands for), `need`.

    A reading that is no number, or below 0, is a gap; two of one step are one, by their mean.
    """
    rows = _sound(rows, notes)
    if rows.empty:
        raise InputError([Fault(name, "no guest has a reading that can be used", "is it the right file?")])
    step = _step_of(rows)
    rows = rows.assign(slot=np.ceil(rows["at"] / step - 1e-6).astype("int64") - 1)
    first, last = int(rows["slot"].min()), int(rows["slot"].max())
    if last - first >= MOST_STEPS:
        raise InputError([Fault(name, f"spans {last - first} steps of {step:g} s", "is one of its dates wrong?")])
    twice = rows.duplicated(["guest", "slot"])
    for guest, times in rows.loc[twice, "guest"].value_counts().items():
        at = rows.loc[twice & (rows["guest"] == guest), "at"].iloc[0]
        notes.add(Odd.TWICE, str(guest), _said(at), "the mean counts", int(times))
    table = rows.groupby(["slot", "guest"])["need"].mean().unstack("guest").reindex(range(first, last + 1))
    names = sorted(table.columns.astype(str))
    needs = table[names].to_numpy(dtype=np.float32)
    begin = datetime.fromtimestamp(first * step, UTC)
    known = tuple(guests.get(each, TracedGuest(each)) for each in names)
    needs = _whole(needs, names, begin, step, notes)
    return Trace(name, begin, known, needs, is_share, step, notes.listed())


def _sound(rows: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    at, need = rows["at"].to_numpy(dtype=float), rows["need"].to_numpy(dtype=float)
    wrong = {
        Odd.NOT_A_NUMBER: ~np.isfinite(need) | ~np.isfinite(at),
        Odd.NEGATIVE: np.isfinite(need) & (need < 0),
        Odd.ABOVE_ITS_SIZE: np.isfinite(need) & (need > MOST_CORES),
    }
    for what, is_so in wrong.items():
        for place in np.flatnonzero(is_so).tolist():
            notes.add(what, str(rows["guest"].iloc[place]), _said(at[place]), "read as a gap")
    sound: pd.DataFrame = rows[~np.any(list(wrong.values()), axis=0)]
    back = sound["at"].groupby(sound["guest"]).diff() < 0
    for place in np.flatnonzero(back.to_numpy()).tolist():
        row = sound.iloc[place]
        notes.add(Odd.GOES_BACK, str(row["guest"]), _said(row["at"]), "put in order")
    return sound


def _step_of(rows: pd.DataFrame) -> float:
    """Return the usual distance between two readings of a guest, in whole minutes."""
    apart = rows.sort_values(["guest", "at"]).groupby("guest")["at"].diff()
    apart = apart[apart > 0]
    return STEP_SECONDS if apart.empty else max(60.0, round(float(apart.median()) / 60.0) * 60.0)


def _whole(needs: Floats, names: Sequence[str], begin: datetime, step: float, notes: Notes) -> Floats:
    """Fill short gaps with what was needed before, and name gaps, zeros, and guests that come and go."""
    longest = max(1, int(ABSENT_SECONDS // step))
    filled = needs.copy()
    for column, name in enumerate(names):
        known = np.flatnonzero(~np.isnan(needs[:, column]))
        first, last = int(known[0]), int(known[-1])
        when = [_said((begin + timedelta(seconds=row * step)).timestamp()) for row in (first, last + 1)]
        if first > 0:
            notes.add(Odd.APPEARS, name, when[0], "is there from then on")
        if last < len(needs) - 1:
            notes.add(Odd.DISAPPEARS, name, when[1], "is there until then")
        if len(known) > 1 and not needs[known, column].any():
            notes.add(Odd.ALL_ZERO, name, "", "is taken to idle all the time")
        for before, after in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
            if after - before > 1:
                is_short = after - before <= longest
                if is_short:
                    filled[before + 1 : after, column] = needs[before, column]
                at = _said((begin + timedelta(seconds=(before + 1) * step)).timestamp())
                notes.add(Odd.GAP, name, at, "needs what it did before" if is_short else "is away meanwhile")
    return filled


def _said(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(float(at), UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "at no time"
