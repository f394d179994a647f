"""The command that sums a day up: report."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from balancer.chronicle import Chronicle
from balancer.commands.exits import DONE
from balancer.commands.opening import SitePath, the_site
from balancer.commands.screen import out
from balancer.errors import Fault, InputError
from balancer.reporting.day import day_json, day_markdown, day_text
from balancer.settings import load_settings
from balancer.summing_up import day_summary


class ReportFormat(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(report)


def report(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day in UTC; default: yesterday.")
    ] = None,
    format: Annotated[ReportFormat, typer.Option(help="How to print it.")] = ReportFormat.TEXT,
    site: SitePath = None,
) -> int:
    """Sum up a day: cycles, moves, sleep, what was saved, doubts, bent promises, what waits, who did what."""
    with the_site(site) as opened:
        now, store = opened.clock.now(), opened.acting.store
        chosen = _chosen(day, now.date())
        summary = day_summary(store, Chronicle(store, load_settings().state), opened.name, chosen, now)
    match format:
        case ReportFormat.TEXT:
            out.print(Text(day_text(summary)))
        case ReportFormat.MARKDOWN:
            sys.stdout.write(day_markdown(summary))
        case ReportFormat.JSON:
            sys.stdout.write(day_json(summary) + "\n")
    return DONE


def _chosen(day: datetime | None, today: date) -> date:
    if day is None:
        return today - timedelta(days=1)
    if day.date() > today:
        raise InputError([Fault("--day", f"{day.date()} has not begun", f"the newest day is today, {today}")])
    return day.date()
