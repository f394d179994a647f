"""The words that a policy uses for time: clock times, days, time zones, cron expressions; each with an answer."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS = ("workdays", "holidays")
_CLOCK = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d|24:00")
_ANY_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


def a_clock_time(text: str) -> str:
    """Take `22:00`; anything else is no time of day."""
    if _CLOCK.fullmatch(text):
        return text.zfill(5)
    raise ValueError(f"is {text!r}, not a time of day; write {_likely_time(text)}")


def as_clock_text(given: Any) -> Any:
    """Take a number for what its author meant by it, to be refused with an answer."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return f"{given:g}" if is_number else given


def _likely_time(text: str) -> str:
    """Guess the time that somebody meant: `22`, `22.00`, `2200`, `10pm`."""
    found = re.fullmatch(r"(\d{1,2})(?:[.:h]?(\d\d))?\s*([ap]m)?", text.strip().lower())
    hours = int(found[1]) % 12 + 12 if found and found[3] == "pm" else int(found[1]) if found else 22
    guess = f"{hours:02d}:{(found and found[2]) or '00'}"
    return guess if _CLOCK.fullmatch(guess) else "22:00"


def as_date_text(given: Any) -> Any:
    """Take a date that YAML has read as a date already."""
    return given.isoformat() if isinstance(given, date) else given


def a_day(text: str) -> str:
    """Take a weekday, a range of them, `workdays`, `holidays`, a date, or month and day of each year."""
    word = text.lower()
    if word in GROUPS or weekdays_of(word) or _is_date(word) or _is_date(f"2024-{word}"):
        return word
    near = difflib.get_close_matches(word, [*WEEKDAYS, *GROUPS], n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else "write mon, mon-fri, workdays, holidays, 2026-12-24 or 12-24"
    raise ValueError(f"is {text!r}, not a day; {hint}")


def a_date(text: str) -> str:
    """Take a date, or month and day of each year."""
    if _is_date(text) or _is_date(f"2024-{text}"):
        return text
    raise ValueError(f"is {text!r}, not a date; write 2026-12-24, or 12-24 for each year")


def weekdays_of(word: str) -> frozenset[int]:
    """Return the weekdays, Monday is 0, that `mon` or `fri-mon` means; none where it is another word."""
    first, _, last = word.partition("-")
    if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
        return frozenset()
    begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return frozenset((begin + ahead) % 7 for ahead in range((end - begin) % 7 + 1))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def a_time_zone(name: str) -> str:
    """Take an IANA name."""
    known = available_timezones()
    if name in known:
        return name
    by_lower_case = {each.lower(): each for each in sorted(known) if "/" in each}
    cities = {each.rpartition("/")[2]: each for each in by_lower_case}
    wanted = name.lower().replace(" ", "_")
    near = difflib.get_close_matches(wanted, by_lower_case, n=1, cutoff=0.8)
    found = by_lower_case.get(cities.get(wanted, "")) or (by_lower_case[near[0]] if near else None)
    hint = f"did you mean `{found}`?" if found else "write an IANA name such as Europe/Rome"
    raise ValueError(f"is {name!r}, not a time zone; {hint}")


def a_cron_expression(text: str) -> str:
    """Take five cron fields."""
    if len(text.split()) != 5:
        raise ValueError(f"is {text!r}, {len(text.split())} fields and not five; write e.g. 30 2 * * sun")
    try:
        CronSim(text, _ANY_MOMENT)
    except CronSimError as cause:
        raise ValueError(f"is {text!r}, not a cron expression: {str(cause).lower()}; write e.g. 30 2 * * sun") from None
    return text
