"""The summary of the day before comes once, when it is time for it, from a process of its own."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from balancer.domain.site_file import SiteFile
from balancer.errors import NoticeError
from balancer.notifying.daily import summed_apart
from balancer.notifying.notifier import Daily, Notifier
from balancer.notifying.targets import sender
from balancer.published import Board
from balancer.store.audit import AuditLine
from tests.notifying.drawing import NOON, rules
from tests.notifying.hook import Hook
from tests.stability.town import Town
from tests.stability.town import rules as policy

RULES = rules(
    daily_at="07:00",
    time_zone="Europe/Rome",
    targets=[{"name": "ops", "kinds": ["daily_summary"], "least": "critical"}, {"name": "others"}],
)
FIVE = NOON.replace(hour=5)


class Desk:
    """A balancer that sums days up."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder, {"h1": []}, policy(""), {}, begins=FIVE)
        self.asked: list[date] = []
        self.begin()

    def begin(self) -> None:
        self.notifier = Notifier(self.town.site, Board(), RULES, sender(Path("/nonexistent")))
        self.daily = Daily(self.town.site, self.notifier, RULES, self.summed)

    def summed(self, day: date, now: datetime) -> tuple[str, str]:
        self.asked.append(day)
        return f"town on {day}", "Done\n  nothing"

    def looks(self, hours: int) -> None:
        for _ in range(4 * hours):
            self.daily.look()
            self.notifier.look()
            self.notifier.deliveries[0].deliver()
            self.town.clock.sleep(900)


def test_it_comes_once_a_day_to_who_asked_for_it_also_after_a_restart(tmp_path: Path, hook: Hook) -> None:
    desk = Desk(tmp_path)
    desk.looks(hours=1)
    assert hook.titles == [], "it is six in Rome"
    desk.looks(hours=4)
    assert hook.titles == ["town on 2026-11-22"]
    desk.town.restart()
    desk.begin()
    desk.looks(hours=20)
    assert desk.asked == [date(2026, 11, 22)]
    desk.looks(hours=24)
    assert hook.titles == ["town on 2026-11-22", "town on 2026-11-23"]
    assert desk.town.site.acting.store.notices.waiting("others") == ()


def test_it_is_summed_up_in_another_process_from_the_store(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    store = desk.town.site.acting.store
    store.audit.add(AuditLine(NOON - timedelta(days=1), "ann", "paused it", "cluster:town"))
    title, body = summed_apart(desk.town.site.acting.file, tmp_path, tmp_path)(date(2026, 11, 22), NOON)
    assert title == "town on Sunday 2026-11-22 (UTC)"
    assert "ann: paused it" in body and "\n\nPower\n" in body


def test_one_that_takes_too_long_is_given_up_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balancer.notifying.daily.LONGEST_SECONDS", 0.0)
    file = SiteFile.model_validate({"cluster": "lab", "platform": {"kind": "simulated"}, "hosts": []})
    with pytest.raises(NoticeError, match="balancer report --day 2026-11-22"):
        summed_apart(file, tmp_path, tmp_path)(date(2026, 11, 22), NOON)
