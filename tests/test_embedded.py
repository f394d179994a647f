"""The embedded day, as a newcomer sees it: asleep at night, awake in the morning, and nobody harmed."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from rich.console import Console

from balancer.clock import PacedClock
from balancer.domain.plan import Mode
from balancer.embedded import (
    MIDNIGHT,
    PACE_AFTER_THE_DAY,
    EmbeddedDay,
    embedded_default_policy,
    live_a_day,
    the_embedded_site,
)
from balancer.service import Service
from balancer.site import Site


def lived(hours: float) -> tuple[str, EmbeddedDay]:
    """Live some hours from midnight; return what was printed."""
    printed = io.StringIO()
    with the_embedded_site(MIDNIGHT) as site:
        day = EmbeddedDay(site, embedded_default_policy(), Console(file=printed, width=120), pace_seconds=0)
        day.live(MIDNIGHT + timedelta(hours=hours))
        day.sum_up()
    assert day.guests
    assert day.lost == frozenset()
    return printed.getvalue(), day


def hosts_on(printed: str, clock: str) -> int:
    """Return how many hosts were on at a time of the day, as printed."""
    line = next(line for line in printed.splitlines() if line.startswith(clock))
    return int(re.split(r"\s+", line)[2])


def test_hosts_fall_asleep_at_night_and_no_guest_is_harmed() -> None:
    printed, day = lived(hours=1.5)
    assert hosts_on(printed, "00:00") == 12
    assert hosts_on(printed, "01:15") <= 9
    assert day.ledger.moves > 0
    assert "ALARM" not in printed


@pytest.mark.long
def test_a_whole_day_sleeps_at_night_works_by_day_and_saves_power() -> None:
    printed, day = lived(hours=24)
    assert hosts_on(printed, "04:00") <= 7
    assert hosts_on(printed, "14:00") >= 9
    assert hosts_on(printed, "23:45") < hosts_on(printed, "14:00")
    assert day.ledger.energy.kwh < 0.95 * day.ledger.energy.kwh_all_on
    assert "ALARM" not in printed


@pytest.mark.parametrize(("mode", "moved"), [(Mode.RECOMMEND, False), (Mode.ACT, True), (None, True)])
def test_the_mode_of_the_command_line_counts_on_the_embedded_day_too(
    mode: Mode | None, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("balancer.embedded.DAY", timedelta(hours=1))
    printed = io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        live_a_day(None, Console(file=printed, width=160), pace_seconds=0, mode=mode)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert (", 0 guests moved" not in printed.getvalue()) is moved


def test_where_pages_are_served_the_day_can_be_watched_and_the_site_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balancer.embedded.DAY", timedelta(hours=1))
    seen = []

    @contextmanager
    def pages(site: Site, service: Service, is_embedded: bool) -> Iterator[str]:
        monkeypatch.setattr(service, "run", lambda: seen.append((service.board.latest, site.clock)))
        yield "http://127.0.0.1:8230"

    printed = io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        live_a_day(None, Console(file=printed, width=160), pace_seconds=0, pages=pages)
    finally:
        signal.signal(signal.SIGTERM, handler)
    ((published, clock),) = seen
    assert published is not None and published.at == MIDNIGHT + timedelta(minutes=45)
    assert isinstance(clock, PacedClock) and clock.pace == PACE_AFTER_THE_DAY
    assert printed.getvalue().startswith("dashboard: http://127.0.0.1:8230\n\ntime")
