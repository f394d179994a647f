"""Each target gets what it asked for, at night what cannot wait, and in the morning one message for the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from balancer.domain.notices import Kind, Severity
from balancer.notifying.ledger import News, Stage
from balancer.notifying.whom import bundles, is_quiet, letters, may_go, message
from tests.notifying.drawing import A_MINUTE, NOON, letter, rules

ROME = ZoneInfo("Europe/Rome")
ZONES = ("UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")
CLOCK = st.builds(lambda hour, minute: f"{hour:02d}:{minute:02d}", st.integers(0, 23), st.integers(0, 59))
A_DAY = timedelta(days=1)
MOMENTS = st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: NOON + minutes * A_MINUTE)
DAYS = (None, ["mon-fri"], ["sat", "sun"], ["fri-mon"])
NIGHT = {"from": "22:00", "to": "07:00"}


def quiet_at(local: datetime, **hours: object) -> bool:
    some = rules(quiet={**NIGHT, **hours}, time_zone="Europe/Rome")
    return is_quiet(some.targets[0], some, local.astimezone(UTC))


@given(MOMENTS, CLOCK, CLOCK, st.sampled_from(ZONES))
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:15", "02:45", "Europe/Rome")  # the hour that comes twice
@example(datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "02:15", "02:45", "Europe/Rome")  # the hour that is left out
def test_quiet_hours_are_what_the_clock_on_the_wall_says(moment: datetime, begins: str, ends: str, zone: str) -> None:
    some = rules(quiet={"from": begins, "to": ends}, time_zone=zone)
    shown = f"{moment.astimezone(ZoneInfo(zone)):%H:%M}"
    by_the_wall = begins <= shown < ends if begins < ends else (shown >= begins or shown < ends)
    is_held = is_quiet(some.targets[0], some, moment)
    if _is_near_a_turn(moment, zone):
        assert is_held or not by_the_wall  # never shorter than any reading of the clock
    else:
        assert is_held == by_the_wall


def _is_near_a_turn(moment: datetime, zone: str) -> bool:
    # A stretch that began a day ago may have been turned meanwhile.
    offsets = {(moment + days * A_DAY).astimezone(ZoneInfo(zone)).utcoffset() for days in (-1.1, 0, 1.1)}
    return len(offsets) > 1


@given(MOMENTS, st.sampled_from(DAYS))
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: datetime, days: list[str] | None) -> None:
    local = moment.astimezone(ROME)
    begun_on = local if local.hour >= 22 else local - timedelta(days=1)
    is_night = local.hour >= 22 or local.hour < 7
    numbers = {None: range(7), "mon-fri": range(5), "sat": (5, 6), "fri-mon": (4, 5, 6, 0)}[days[0] if days else None]
    if not _is_near_a_turn(moment, "Europe/Rome"):
        assert quiet_at(local, days=days) == (is_night and begun_on.weekday() in numbers)


@pytest.mark.parametrize(("day", "hours"), [("2026-10-24", 10), ("2026-03-28", 8), ("2026-06-01", 9)])
def test_the_night_in_which_the_clock_is_turned_is_an_hour_longer_or_shorter(day: str, hours: int) -> None:
    begins = datetime.fromisoformat(f"{day}T22:00").replace(tzinfo=ROME).astimezone(UTC)
    held = [minute for minute in range(-60, 720) if quiet_at(begins + minute * A_MINUTE)]
    assert held == list(range(hours * 60))


def test_what_cannot_wait_goes_at_night_and_the_rest_in_the_morning() -> None:
    some = rules(quiet=NIGHT)
    midnight, morning = NOON.replace(hour=0), NOON.replace(hour=7)
    at_night = {kind for kind in Kind if may_go(letter(kind), some.targets[0], some, midnight)}
    assert at_night == {
        Kind.BREAKER_OPEN,
        Kind.GUEST_CLASH,
        Kind.HOST_DOES_NOT_WAKE,
        Kind.PLAN_FAILED,
        Kind.CYCLE_FAILS,
    }
    assert all(may_go(letter(kind), some.targets[0], some, morning) for kind in Kind)
    assert not may_go(letter(Kind.PLAN_FAILED, severity=Severity.INFO), some.targets[0], some, midnight)


def test_a_target_may_have_other_quiet_hours_or_none_and_another_idea_of_what_is_urgent() -> None:
    some = rules(
        quiet=NIGHT,
        targets=[
            {"name": "ops"},
            {"name": "siren", "quiet": False},
            {"name": "day-shift", "quiet": {"from": "17:00", "to": "09:00"}, "urgent": []},
        ],
    )
    eight, midnight = NOON.replace(hour=8), NOON.replace(hour=0)
    urgent, calm = letter(Kind.BREAKER_OPEN), letter(Kind.DOUBTS)
    assert [may_go(calm, each, some, midnight) for each in some.targets] == [False, True, False]
    assert [may_go(calm, each, some, eight) for each in some.targets] == [True, True, False]
    assert [may_go(urgent, each, some, midnight) for each in some.targets] == [True, True, False]


def test_a_target_gets_the_kinds_and_the_weight_that_it_asked_for_and_their_ends() -> None:
    some = rules(
        targets=[
            {"name": "all"},
            {"name": "grave", "least": "critical"},
            {"name": "power", "kinds": ["host_does_not_wake", "daily_summary"], "least": "critical"},
        ]
    )
    said = [
        News(Stage.NEW, Kind.PLAN_DONE, Severity.INFO, "done"),
        News(Stage.NEW, Kind.BREAKER_OPEN, Severity.CRITICAL, "open"),
        News(Stage.OVER, Kind.HOST_DOES_NOT_WAKE, Severity.CRITICAL, "h1", since=NOON - 90 * A_MINUTE),
        News(Stage.NEW, Kind.DAILY_SUMMARY, Severity.INFO, "Monday"),
    ]
    sent = letters(said, some, NOON)
    got = {target.name: [each.title for each in sent if each.target == target.name] for target in some.targets}
    assert got == {
        "all": ["done", "open", "over: h1"],
        "grave": ["open", "over: h1"],
        "power": ["over: h1", "Monday"],
    }
    assert [each.body for each in sent if each.is_over] == 3 * ["This is the case no more. It lasted 1 h 30 min."]


def test_one_thing_is_a_message_and_several_are_one_digest_in_their_order() -> None:
    some = rules(time_zone="Europe/Rome", link="https://balancer.example")
    one = message([letter(Kind.BREAKER_OPEN, title="too many failures", body="h1 failed")], "prod", some)
    assert (one.title, one.body) == ("prod: too many failures", "h1 failed\n\nhttps://balancer.example")
    night = [
        letter(at=NOON.replace(hour=23), title="h7 is in doubt", body="stale\nfor long"),
        letter(Kind.HOST_SET_ASIDE, NOON.replace(hour=22), Severity.CRITICAL, title="h1", body=""),
        letter(at=NOON.replace(hour=23), title="over: h7 is in doubt", body="", is_over=True),
    ]
    digest = message(night, "prod", some)
    assert digest.title == "prod: 3 messages"
    assert digest.body.splitlines()[:3] == [
        "- Mon 23:00 h1",
        "- Tue 00:00 h7 is in doubt: stale for long",
        "- Tue 00:00 over: h7 is in doubt",
    ]
    assert digest.severity is Severity.CRITICAL
    assert message(night[2:], "prod", some).severity is None


def test_a_summary_goes_by_itself_also_when_the_night_has_more_to_say() -> None:
    one, other, summary = letter(), letter(Kind.BREAKER_OPEN), letter(Kind.DAILY_SUMMARY)
    assert bundles([one, summary, other]) == ((one, other), (summary,))
    assert bundles([summary]) == ((summary,),)
    assert bundles([]) == ()


def test_a_long_digest_says_what_matters_most_and_how_much_more_there_is() -> None:
    many = [letter(title=f"guest {number}", id=number) for number in range(200)]
    grave = letter(Kind.BREAKER_OPEN, NOON + A_MINUTE, Severity.CRITICAL, title="breaker", id=999)
    said = message([*many, grave], "prod", rules()).body
    assert "breaker" in said and "and 171 more" in said
    assert len(said.splitlines()) == 31


def test_the_name_of_a_guest_calls_nobody_and_draws_nothing() -> None:
    hostile = "<!channel> @all <img src=x> [look](https://evil.example) a < b"
    for some in ([letter(title=hostile, body=hostile)], [letter(title=hostile), letter(body=hostile)]):
        said = message(some, "prod", rules(link="https://balancer.example/@ops"))
        shown = said.title + said.body.partition("https://balancer.example")[0]
        assert not any(markup in shown for markup in ("<!", "@all", "<img", "](", "@everyone"))
        assert "a < b" in shown and said.body.endswith("https://balancer.example/@ops")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"targets": []}, "at least 1"),
        ({"targets": [{"name": "a"}, {"name": "a"}]}, "twice: a"),
        ({"targets": [{"name": "a", "kind": ["doubts"]}]}, "did you mean `kinds`"),
        ({"targets": [{"name": "a", "kinds": ["doubt"]}]}, "doubts"),
        ({"targets": [{"name": "a", "secret_ref": "mailto://a:b@c"}]}, "pattern"),
        ({"time_zone": "Rome"}, "write an IANA name"),
        ({"quiet": {"from": "25:00", "to": "07:00"}}, "pattern"),
        ({"quiet": {"from": "22:00"}}, "to"),
        ({"quiet": {"from": "22:00", "to": "07:00", "days": ["monday"]}}, "pattern"),
    ],
)
def test_what_is_wrong_with_the_section_is_refused(said: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError) as refused:
        rules(**said)
    assert complaint in str(refused.value)
