"""What commands write to a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from balancer.masking import masked

PIPED_COLUMNS = 120  # a file or a pipe has no width of its own

# No markup: brackets in the name of a guest, or in what somebody wrote about a host, are said as they are.
out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)
err = Console(stderr=True, highlight=False, markup=False)


def say_error(message: str) -> None:
    """Say what went wrong, each fault on a line of its own that other programs can read."""
    for line in masked(message).splitlines() or ["failed"]:
        err.print(Text.assemble(("balancer: ", "red"), line), soft_wrap=True)
