"""What was measured, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from tests.bench.planetlab.result import Result

COLUMNS = ("memory", "day", "hours", "decided by", "kWh", "over bound", "short", "migrations a guest", "CPU s")


def table_of(results: Sequence[Result]) -> Table:
    """Return a row for each result."""
    table = Table(box=box.MARKDOWN)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in {"day", "decided by"} else "right", no_wrap=True)
    for one in results:
        table.add_row(
            f"{one.memory_gib} GiB",
            one.day,
            f"{one.hours:g}",
            one.who,
            f"{one.kwh:.1f}",
            f"{one.over_bound:.3f}",
            f"{one.share_short:.2%}",
            f"{one.moves_a_guest:.2f}",
            f"{one.cpu_seconds:.0f}",
        )
    return table
