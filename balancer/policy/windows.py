"""Named windows of time that come back: by days and hours, or by a cron expression and a length.

A window is the stretch between two moments, not what the clock on the wall shows. Where that clock jumps, a window is
as long as any reading of it: it starts at the first of two equal hours and ends at the last, and one that lies in a
lost hour starts at the jump and keeps its length. A freeze for a backup is then never shorter than the backup.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from balancer.domain.value import Value
from balancer.policy.words import (
    a_clock_time,
    a_cron_expression,
    a_date,
    a_day,
    a_time_zone,
    as_clock_text,
    as_date_text,
    weekdays_of,
)

WHOLE_DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MOST_STARTS = 1000  # in a year, looked at when overlaps are sought

Text = Annotated[str, StringConstraints(strip_whitespace=True)]
ClockTime = Annotated[Text, BeforeValidator(as_clock_text), AfterValidator(a_clock_time)]
Cron = Annotated[Text, AfterValidator(a_cron_expression)]
Zone = Annotated[Text, AfterValidator(a_time_zone)]
Day = Annotated[Text, BeforeValidator(as_date_text), AfterValidator(a_day)]
Date = Annotated[Text, BeforeValidator(as_date_text), AfterValidator(a_date)]
Minutes = Annotated[float, Field(strict=True, gt=0, le=44640)]


class Window(Value):
    """A stretch of time that comes back; give days and hours, or a cron expression and a length in minutes."""

    days: tuple[Day, ...] | None = Field(
        default=None,
        description="when it starts: mon ... sun, mon-fri, workdays (mon-fri but for holidays), holidays, "
        "2026-12-24, 12-24 (each year); absent: each day",
        examples=[["mon-fri", "2026-12-24"]],
    )
    from_: ClockTime | None = Field(
        default=None, alias="from", description="local time of its start; absent: 00:00", examples=["22:00"]
    )
    to: ClockTime | None = Field(
        default=None,
        description="local time of its end, on the next day where it is not later than `from`; absent: 24:00",
        examples=["06:00"],
    )
    cron: Cron | None = Field(
        default=None,
        description="instead of days and hours: when it starts, as five cron fields",
        examples=["30 2 * * sun"],
    )
    minutes: Minutes | None = Field(
        default=None, description="with `cron`: how long it lasts, at most 44640 (31 days)", examples=[90]
    )
    time_zone: Zone | None = Field(
        default=None, description="IANA name; absent: the policy's `time_zone`", examples=["Europe/Rome"]
    )

    @model_validator(mode="after")
    def _is_of_one_form(self) -> Self:
        by_hours = self.days is not None or self.from_ is not None or self.to is not None
        if self.cron is None and self.minutes is not None:
            raise ValueError("has `minutes` but no `cron`; write `from` and `to`, or add `cron`")
        if self.cron is not None and by_hours:
            raise ValueError("mixes `cron` with `days`, `from` or `to`; keep one of the two forms")
        if self.cron is not None and self.minutes is None:
            raise ValueError("does not say how long it lasts; write `minutes: 90` beside `cron`")
        if self.cron is None and not by_hours:
            raise ValueError("says nothing; write `days`, `from` and `to`, or `cron` and `minutes`")
        return self

    def holds(self, moment: datetime, zone: ZoneInfo, holidays: tuple[str, ...]) -> bool:
        """Whether the window is open at a moment; `zone` and `holidays` are the policy's."""
        # In UTC: two moments of one zone would be compared by what the clock shows.
        moment, zone = moment.astimezone(UTC), ZoneInfo(self.time_zone) if self.time_zone else zone
        if self.cron is not None:
            return self._is_begun(self.cron, moment, zone)
        today = moment.astimezone(zone).date()
        # A stretch lasts a day at most, an hour more where the clock is set back.
        recent = (today - timedelta(days=back) for back in range(3))
        return any(_is_in(moment, self._on(day, zone)) for day in recent if self._starts_on(day, holidays))

    def starts(self, since: datetime, days: int, zone: ZoneInfo, holidays: tuple[str, ...]) -> Iterator[datetime]:
        """Yield the moments at which it opens in the coming days, the first thousand of them."""
        zone = ZoneInfo(self.time_zone) if self.time_zone else zone
        if self.cron is not None:
            fires = CronSim(self.cron, since.astimezone(zone))
            for _, moment in zip(range(MOST_STARTS), fires, strict=False):
                if moment > since + timedelta(days=days):
                    return
                yield moment
            return
        first = since.astimezone(zone).date()
        for day in (first + timedelta(days=ahead) for ahead in range(days)):
            if self._starts_on(day, holidays):
                yield self._on(day, zone)[0].astimezone(zone)

    def _is_begun(self, cron: str, moment: datetime, zone: ZoneInfo) -> bool:
        """Whether it began less than its length ago."""
        earliest = moment - timedelta(minutes=self.minutes or 0)
        # From a noon on: no clock jumps at noon, and from within a doubled hour the expression would come true twice.
        noon = datetime.combine(earliest.astimezone(zone).date() - WHOLE_DAY, time(12), zone)
        begun = next((each for each in CronSim(cron, noon) if each > earliest), None)
        return begun is not None and begun <= moment

    def _starts_on(self, day: date, holidays: tuple[str, ...]) -> bool:
        return self.days is None or any(is_on(day, word, holidays) for word in self.days)

    def _on(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the stretch that begins on a day, as moments in UTC."""
        begins, ends = _since_midnight(self.from_ or "00:00"), _since_midnight(self.to or "24:00")
        if ends <= begins:
            ends += WHOLE_DAY
        midnight = datetime.combine(day, time())
        start, is_lost = _moment(midnight + begins, zone, last=False)
        end, _ = _moment(midnight + ends, zone, last=True)
        return start, max(end, start + (ends - begins)) if is_lost else end


def is_on(day: date, word: str, holidays: tuple[str, ...] = ()) -> bool:
    """Whether a day is meant by a word such as `mon-fri`, `workdays`, `holidays`, `2026-12-24` or `12-24`."""
    if word == "holidays":
        return any(is_on(day, each) for each in holidays)
    if word == "workdays":
        return day.weekday() < 5 and not is_on(day, "holidays", holidays)
    weekdays = weekdays_of(word)
    return day.weekday() in weekdays if weekdays else word in {day.isoformat(), f"{day:%m-%d}"}


def _since_midnight(clock: str) -> timedelta:
    hours, minutes = clock.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _is_in(moment: datetime, stretch: tuple[datetime, datetime]) -> bool:
    return stretch[0] <= moment < stretch[1]


def _moment(local: datetime, zone: ZoneInfo, last: bool) -> tuple[datetime, bool]:
    """Return when a local time is, and whether the clock never shows it; of two equal hours the first or the last."""
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if early <= late and early.astimezone(zone).replace(tzinfo=None) != local:
        # Lost: the clock jumped over it. An end moves on by what was lost, a start is the jump itself.
        return (late, True) if last else (_jump_between(early, late, zone), True)
    return (early, False) if last else (late, False)


def _jump_between(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment between two at which a zone's clock jumps."""
    before = early.astimezone(zone).utcoffset()
    minutes = range(int((late - early) / MINUTE) + 1)
    ahead = bisect_left(minutes, True, key=lambda m: (early + m * MINUTE).astimezone(zone).utcoffset() != before)
    return early + ahead * MINUTE


def misplaced_when(data: Any) -> list[InitErrorDetails]:
    """Headroom is not switched by `when`: a schedule says what it is meanwhile."""
    if _block(_block(data).get("headroom")).get("when") is None:
        return []
    what = "cannot be used for headroom; write `schedule: [{during: ..., set: {headroom: ...}}]`"
    type_ = PydanticCustomError("misplaced_when", "{what}", {"what": what})
    return [{"type": type_, "loc": ("headroom", "when"), "input": None}]


def unknown_windows(data: Any) -> list[InitErrorDetails]:
    """Name the windows that a policy, as it is read, speaks of and does not have."""
    if not isinstance(data, dict):
        return []
    known = [str(name) for name in _block(data.get("windows"))]
    return [
        {"type": _no_such_window(name, known), "loc": path, "input": name}
        for path, name in _named(data)
        if isinstance(name, str) and name not in known
    ]


def _named(data: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield ("power", "test", "during"), _window_of_tests(data)
    for place, entry in enumerate(_items(data.get("schedule"))):
        yield ("schedule", place, "during"), _block(entry).get("during")
        yield ("schedule", place, "set", "power", "test", "during"), _window_of_tests(_block(_block(entry).get("set")))
    for place, entry in enumerate(_items(data.get("constraints"))):
        when = _block(entry).get("when")
        path = ("constraints", place, "when")
        yield (path, when) if isinstance(when, str) else ((*path, "not"), _block(when).get("not"))
        yield (*path, "during"), _block(when).get("during")


def _window_of_tests(sections: dict[str, Any]) -> Any:
    return _block(_block(sections.get("power")).get("test")).get("during")


def _no_such_window(name: str, known: list[str]) -> PydanticCustomError:
    near = difflib.get_close_matches(name, known, n=1)
    has = f"windows here: {', '.join(known)}" if known else f"write `windows: {{{name}: {{from: ..., to: ...}}}}`"
    hint = f"did you mean `{near[0]}`?" if near else has
    # Braces are the template's own; what is written reaches the message through the context.
    return PydanticCustomError("unknown_window", "{what}", {"what": f"names no window that is there; {hint}"})


def _block(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


def _items(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []
