"""The command that looks at everything around the balancer: doctor."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.table import Table
from rich.text import Text

from balancer.commands.asking import Format
from balancer.commands.exits import DONE, ERROR
from balancer.commands.opening import PolicyPath, SitePath
from balancer.commands.screen import err, out
from balancer.doctor import Examined, Finding, Standing, examine
from balancer.domain.units import count_of
from balancer.settings import load_settings

COLOURS = {Standing.OK: "green", Standing.UNSEEN: "dim", Standing.WARNING: "yellow", Standing.FAULT: "red"}


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(doctor)


def doctor(
    site: SitePath = None,
    policy: PolicyPath = None,
    deadline: Annotated[float, typer.Option(min=1, max=120, help="Seconds that each has to answer.")] = 10.0,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
) -> int:
    """Check settings, files, secrets, store, hosts, BMCs, proofs and clocks. Touches nothing.

    Exit code 0: all is well, perhaps with warnings; 1: there is a fault.
    """
    settings = load_settings()
    changes: dict[str, Path] = {"site": site} if site else {}
    changes |= {"policy": policy} if policy else {}
    world = Examined(settings.model_copy(update=changes), datetime.now(UTC), deadline)
    with err.status("looking at everything ..."), structlog.testing.capture_logs():  # what is logged is a finding too
        try:
            found = examine(world)
        finally:
            world.close()
    if format is Format.JSON:
        sys.stdout.write(json.dumps({"findings": [asdict(each) for each in found]}, indent=2) + "\n")
    else:
        _print(found)
    return ERROR if any(each.standing is Standing.FAULT for each in found) else DONE


def _print(found: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    last = ""
    for each in found:
        words = Text(f"{each.about}: {each.words}" if each.about else each.words)
        if each.way_out:
            words.append(f"\n-> {each.way_out}", style="bold" if each.standing is Standing.FAULT else "")
        table.add_row(
            Text(each.check if each.check != last else ""), Text(each.standing, COLOURS[each.standing]), words
        )
        last = each.check
    out.print(table)
    faults, warnings = (sum(f.standing is s for f in found) for s in (Standing.FAULT, Standing.WARNING))
    out.print(Text(f"\n{count_of(faults, 'fault')}, {count_of(warnings, 'warning')}"))
