"""The summary of a day, made in a process of its own: reading a day of cycles would take turns with the next one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from balancer.chronicle import Chronicle
from balancer.domain.site_file import SiteFile
from balancer.errors import NoticeError
from balancer.reporting.day import day_notice
from balancer.site import store_of
from balancer.solving.workers import Child, Overran
from balancer.summing_up import day_summary

Summed = Callable[[date, datetime], tuple[str, str]]
"""Sums a day up: title and text."""

LONGEST_SECONDS = 900.0


def summed_apart(file: SiteFile, secrets: Path, state: Path) -> Summed:
    """Return what sums up a day of a site."""

    def summed(day: date, now: datetime) -> tuple[str, str]:
        apart = Child()
        try:
            title, body = apart.ask(summed_here, file, secrets, state, day, now, within_seconds=LONGEST_SECONDS)
            return title, body
        except Overran:
            cause = f"it was not done in {LONGEST_SECONDS:.0f} s"
            raise NoticeError("daily summary", f"sum up {day}", cause, f"balancer report --day {day}") from None
        finally:
            apart.kill()

    return summed


def summed_here(file: SiteFile, secrets: Path, state: Path, day: date, now: datetime) -> tuple[str, str]:
    """Sum up a day in this process."""
    store = store_of(file, secrets)
    try:
        return day_notice(day_summary(store, Chronicle(store, state), file.cluster, day, now))
    finally:
        store.close()
