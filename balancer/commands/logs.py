"""How the process logs: one sentence and the facts beside it."""

from __future__ import annotations

import logging
import sys

import structlog

from balancer.settings import load_settings


def set_up_logs(verbose: bool) -> None:
    """Log to standard error, as text for people or as JSON for machines; `-v` shows details."""
    level = logging.DEBUG if verbose else logging.INFO
    rendering: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if load_settings().log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever it is at that moment
    )
    for chatty in ("apscheduler", "pyghmi", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
