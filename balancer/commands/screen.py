"""What commands write to a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

PIPED_COLUMNS = 120  # a file or a pipe has no width of its own

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)
err = Console(stderr=True, highlight=False)


def say_error(message: str) -> None:
    """Say what went wrong, each fault on a line of its own that other programs can read."""
    for line in message.splitlines() or ["failed"]:
        err.print(Text.assemble(("balancer: ", "red"), line), soft_wrap=True)
