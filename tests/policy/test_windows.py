"""Windows of time: over midnight and month ends, on holidays, and where the clock jumps, north and south."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from balancer.policy.windows import Window

ROME, SYDNEY, LORD_HOWE = ZoneInfo("Europe/Rome"), ZoneInfo("Australia/Sydney"), ZoneInfo("Australia/Lord_Howe")
MINUTE = timedelta(minutes=1)


def window(**keys: Any) -> Window:
    return Window.model_validate({key.rstrip("_"): value for key, value in keys.items()})


def open_at(which: Window, moment: str, zone: ZoneInfo = ROME, holidays: tuple[str, ...] = ()) -> bool:
    """Whether it is open at a moment written as local time, or with its own offset."""
    said = datetime.fromisoformat(moment)
    return which.holds(said if said.tzinfo else said.replace(tzinfo=zone), zone, holidays)


def stretches(which: Window, day: str, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return when it is open within two days from a local midnight, as UTC times, looked at minute by minute."""
    begin = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)
    minutes = [begin + n * MINUTE for n in range(48 * 60)]
    seen = [moment for moment in minutes if which.holds(moment, zone, ())]
    starts = [moment for moment in seen if moment - MINUTE not in seen]
    ends = [moment + MINUTE for moment in seen if moment + MINUTE not in seen]
    return [(f"{start:%d %H:%M}", f"{end:%d %H:%M}") for start, end in zip(starts, ends, strict=True)]


NIGHT = window(days=["fri"], from_="22:00", to="06:00")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-27T21:59:59", False),
        ("2026-11-27T22:00:00", True),
        ("2026-11-28T05:59:59", True),
        ("2026-11-28T06:00:00", False),
        ("2026-11-28T23:00:00", False),
        ("2026-11-27T03:00:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(moment: str, is_open: bool) -> None:
    assert open_at(NIGHT, moment) is is_open


def test_a_window_goes_over_the_end_of_a_month_and_of_a_year() -> None:
    last_day = window(days=["12-31"], from_="23:00", to="01:00")
    assert [open_at(last_day, f"2026-12-31T{time}") for time in ("22:59", "23:00")] == [False, True]
    assert [open_at(last_day, f"2027-01-01T{time}") for time in ("00:59", "01:00")] == [True, False]
    end_of_february = window(days=["2028-02-29"], from_="20:00", to="04:00")
    assert open_at(end_of_february, "2028-03-01T03:59")


def test_what_is_absent_is_the_whole_day() -> None:
    weekend = window(days=["sat", "sun"])
    assert stretches(weekend, "2026-11-28", ROME) == [("27 23:00", "29 23:00")]
    assert open_at(window(from_="22:00"), "2026-11-24T23:59")
    assert not open_at(window(from_="22:00"), "2026-11-25T00:00")
    assert open_at(window(to="06:00"), "2026-11-25T00:00")


def test_equal_ends_mean_a_whole_day() -> None:
    assert stretches(window(days=["mon"], from_="08:00", to="08:00"), "2026-11-23", ROME) == [("23 07:00", "24 07:00")]


def test_ranges_of_days_go_round_the_week() -> None:
    over = window(days=["fri-mon"])
    days = [open_at(over, f"2026-11-{day}T12:00") for day in range(23, 30)]
    assert days == [True, False, False, False, True, True, True]


def test_workdays_are_no_holidays_and_holidays_come_each_year() -> None:
    holidays = ("12-25", "2026-04-06")  # Christmas, and the Easter Monday of one year
    workdays, off = window(days=["workdays"]), window(days=["holidays"])
    said = {
        day: (open_at(workdays, f"{day}T12:00", ROME, holidays), open_at(off, f"{day}T12:00", ROME, holidays))
        for day in ("2026-12-24", "2026-12-25", "2025-12-25", "2026-04-06", "2027-04-05", "2026-11-28")
    }
    assert said == {
        "2026-12-24": (True, False),
        "2026-12-25": (False, True),
        "2025-12-25": (False, True),
        "2026-04-06": (False, True),
        "2027-04-05": (True, False),
        "2026-11-28": (False, False),
    }


def test_a_zone_of_its_own_goes_before_the_policys() -> None:
    tokyo = window(from_="09:00", to="10:00", time_zone="Asia/Tokyo")
    assert open_at(tokyo, "2026-11-24T00:30+00:00", ROME)
    assert not open_at(tokyo, "2026-11-24T09:30", ROME)


# Rome: on 2026-03-29 02:00 becomes 03:00, on 2026-10-25 03:00 becomes 02:00. Sydney: on 2026-10-04 02:00 becomes 03:00,
# on 2026-04-05 03:00 becomes 02:00. Lord Howe jumps by half an hour only.
JUMPS = {
    "over the lost hour it is an hour shorter": (("22:00", "06:00"), "2026-03-28", ROME, [("28 21:00", "29 04:00")]),
    "ends in the lost hour: keeps its length": (("01:30", "02:30"), "2026-03-29", ROME, [("29 00:30", "29 01:30")]),
    "begins in the lost hour: at the jump": (("02:30", "04:00"), "2026-03-29", ROME, [("29 01:00", "29 02:30")]),
    "in the lost hour: at the jump": (("02:15", "02:45"), "2026-03-29", ROME, [("29 01:00", "29 01:45")]),
    "up to the jump's end": (("02:30", "03:00"), "2026-03-29", ROME, [("29 01:00", "29 01:30")]),
    "over the doubled hour: an hour longer": (("22:00", "06:00"), "2026-10-24", ROME, [("24 20:00", "25 05:00")]),
    "in the doubled hour: from the first to the last": (
        ("02:15", "02:45"),
        "2026-10-25",
        ROME,
        [("25 00:15", "25 01:45")],
    ),
    "south, lost hour": (("22:00", "06:00"), "2026-10-03", SYDNEY, [("03 12:00", "03 19:00")]),
    "south, in the lost hour": (("02:15", "02:45"), "2026-10-04", SYDNEY, [("03 16:00", "03 16:45")]),
    "south, doubled hour": (("22:00", "06:00"), "2026-04-04", SYDNEY, [("04 11:00", "04 20:00")]),
    "south, in the doubled hour": (("02:15", "02:45"), "2026-04-05", SYDNEY, [("04 15:15", "04 16:45")]),
    "half an hour lost": (("02:10", "02:20"), "2026-10-04", LORD_HOWE, [("03 15:30", "03 15:50")]),
}


@pytest.mark.parametrize("jump", JUMPS)
def test_where_the_clock_jumps_a_window_is_as_long_as_any_reading_of_it(jump: str) -> None:
    (begins, ends), day, zone, expected = JUMPS[jump]
    weekday = f"{datetime.fromisoformat(day):%a}".lower()
    assert stretches(window(days=[weekday], from_=begins, to=ends), day, zone) == expected


def test_a_cron_window_is_open_for_its_minutes_also_over_midnight() -> None:
    backup = window(cron="30 23 * * sat", minutes=90)
    assert stretches(backup, "2026-11-28", ROME) == [("28 22:30", "29 00:00")]


def test_a_cron_window_in_the_lost_hour_opens_after_the_jump_and_once_in_the_doubled_one() -> None:
    backup = window(cron="30 2 * * *", minutes=20)
    lost, doubled = stretches(backup, "2026-03-29", ROME), stretches(backup, "2026-10-25", ROME)
    assert lost[0] == ("29 01:00", "29 01:20")
    assert doubled[0] == ("25 00:30", "25 00:50")
    assert len(doubled) == 2, "that night and the next"


def test_a_cron_window_opens_once_also_where_midnight_is_doubled() -> None:
    havana = ZoneInfo("America/Havana")  # on 2026-11-01 01:00 becomes 00:00
    assert stretches(window(cron="30 0 * * *", minutes=20), "2026-11-01", havana)[0] == ("01 04:30", "01 04:50")
    assert len(stretches(window(cron="30 0 * * *", minutes=20), "2026-11-01", havana)) == 2, "that night and the next"


def test_two_equal_hours_are_told_apart() -> None:
    backup = window(cron="30 2 * * *", minutes=20)
    first, second = (datetime(2026, 10, 25, 2, 40, fold=fold, tzinfo=ROME) for fold in (0, 1))
    assert [backup.holds(moment, ROME, ()) for moment in (first, second)] == [True, False]


def test_starts_are_told_in_order() -> None:
    since = datetime(2026, 11, 23, tzinfo=UTC)
    hours = [f"{m:%d %H:%M}" for m in window(days=["tue", "wed"], from_="22:00", to="23:00").starts(since, 7, ROME, ())]
    assert hours == ["24 22:00", "25 22:00"]
    assert len(list(window(cron="0 * * * *", minutes=1).starts(since, 366, ROME, ()))) == 1000


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "says nothing"),
        ({"cron": "0 1 * * *"}, "does not say how long it lasts"),
        ({"minutes": 5}, "has `minutes` but no `cron`"),
        ({"cron": "0 1 * * *", "minutes": 5, "days": ["mon"]}, "mixes `cron` with"),
        ({"cron": "0 1 30 2 *", "minutes": 5}, "bad day-of-month"),
        ({"cron": "0 1 * *", "minutes": 5}, "4 fields and not five"),
        ({"cron": "0 25 * * *", "minutes": 5}, "not a cron expression"),
        ({"from": "25:00"}, "not a time of day"),
        ({"days": ["monday"]}, "did you mean `mon`"),
        ({"days": ["2026-02-30"]}, "not a day"),
        ({"from": "22:00", "time_zone": "Europe/Roma"}, "did you mean `Europe/Rome`"),
    ],
)
def test_what_is_no_window_is_refused_in_words(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Window.model_validate(keys)
