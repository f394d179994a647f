"""How the process logs: one sentence and the facts beside it, without secrets, for whoever reads it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from balancer.masking import masked_value
from balancer.settings import load_settings

log = structlog.get_logger()


def set_up_logs(verbose: bool) -> None:
    """Log to standard error: as text to a terminal, as JSON to what is none; `-v` shows details."""
    wanted = load_settings().log_format or ("text" if sys.stderr.isatty() else "json")
    rendering: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if wanted == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    said: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,  # last, so that what an exception says has become a text
    ]
    structlog.configure(
        processors=[*said, rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever it is at that moment
    )
    _have_libraries_log_alike(said, rendering)


def without_secrets(logger: Any, method: str, event: EventDict) -> Mapping[str, Any]:
    """Mask what is secret in an event."""
    return {name: masked_value(value, name) for name, value in event.items()}


def _have_libraries_log_alike(said: list[Processor], rendering: Processor) -> None:
    """Let through what libraries warn of, in the same form: their own would be a line that no machine can read."""
    root, ours = logging.getLogger(), _ToStandardError(logging.WARNING)
    ours.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *said, rendering],
        )
    )
    for old in [each for each in root.handlers if isinstance(each, _ToStandardError)]:
        root.removeHandler(old)
    root.addHandler(ours)


class _ToStandardError(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # A log that cannot be written (a full disk, a pipe that died) ends no thread of a library that warns.
        with suppress(OSError, ValueError):
            print(self.format(record), file=sys.stderr, flush=True)


def log_what_nobody_caught() -> None:
    """Have a traceback of our own go through the log as all else does; an interpreter's own would mask nothing."""
    sys.excepthook = lambda kind, failed, trace: log.critical(FAULT, exc_info=(kind, failed, trace))
    threading.excepthook = lambda told: log.critical(
        FAULT,
        thread=told.thread.name if told.thread else "",
        exc_info=(told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback),
    )


FAULT = "a fault of the balancer's own"
