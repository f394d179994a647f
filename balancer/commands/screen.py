"""What commands write to a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


def say_error(message: str) -> None:
    """Say what went wrong, each fault on a line of its own that other programs can read."""
    for line in message.splitlines() or ["failed"]:
        err.print(Text.assemble(("balancer: ", "red"), line), soft_wrap=True)
