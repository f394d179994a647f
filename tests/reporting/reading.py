"""What a terminal would show."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def plain(shown: RenderableType, columns: int = 160) -> str:
    """Return what is printed, without colours."""
    console = Console(file=io.StringIO(), width=columns, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()
