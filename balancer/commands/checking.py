"""The command that looks at a policy before it is used: check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from balancer.commands.asking import Seen, SnapshotPath, look
from balancer.commands.exits import DONE, ERROR
from balancer.commands.opening import SitePath
from balancer.commands.screen import err, out
from balancer.domain.conflict import Conflict
from balancer.domain.units import count_of
from balancer.planning.anywhere import contradictions_ever
from balancer.planning.checking import Remark, hosts_implied, remarks
from balancer.planning.conflicts import find_conflicts, placed
from balancer.policy import load
from balancer.policy.notes import notes
from balancer.policy.places import Places, places_of
from balancer.reporting.answers import conflict_text


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(check)


def check(
    policy: Annotated[Path, typer.Argument(help="The policy file.")],
    snapshot: SnapshotPath = None,
    site: SitePath = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> int:
    """Check a policy, with a snapshot or site also against the cluster.

    Exit code 0: good, perhaps with warnings; 1: a fault, or rules that contradict each other on any cluster; with
    --strict also for a warning.
    """
    here = look(snapshot, site, policy) if snapshot is not None or site is not None else None
    loaded = load(policy, here.cluster.cluster if here is not None else None)
    wanted, places = loaded.policy, places_of(loaded)
    since = here.cluster.taken_at if here is not None else datetime.now(UTC)
    wrong = placed(contradictions_ever(wanted, since), places.of)
    for conflict in wrong:
        _say("error", "red", conflict)
    with err.status("thinking ..."):
        warned: list[Conflict | str] = list(notes(loaded, since))
        warned += [] if here is None else [*_conflicts_here(here, wrong), *_remarks(here)]
    for warning in warned:
        _say("warning", "yellow", warning)
    if here is not None:
        out.print(Text(hosts_implied(here.cluster, here.policy)))
    promises = count_of(len(wanted.promises), "promise")
    verdict = "rules contradict each other" if wrong else "a good policy"
    if not wrong and any(isinstance(warning, Conflict) for warning in warned):
        verdict = "well written, and not to be kept on this cluster"
    out.print(Text(f"{policy}: {verdict}, {promises}, mode {wanted.mode}"))
    return ERROR if wrong or (strict and warned) else DONE


def _conflicts_here(here: Seen, known: Iterable[Conflict]) -> Iterator[Conflict | str]:
    """Yield the conflicts of the present cluster that were not told as errors already."""
    told = [conflict.promises for conflict in known]
    found = find_conflicts(here.cluster, here.policy)
    for conflict in placed(found.conflicts, here.places.of):
        if conflict.promises not in told:
            yield conflict
    if not found.is_complete:
        yield "whether all other rules can hold together could not be decided within the effort that is allowed"


def _remarks(here: Seen) -> Iterator[str]:
    for remark in remarks(here.cluster, here.policy):
        about = f"{remark.promise}: " if remark.promise else ""
        yield f"{_place(remark, here.places)}{about}{remark.what}"


def _place(remark: Remark, places: Places) -> str:
    place = places.of(remark.promise) if remark.promise else places.of_section(*remark.section)
    return f"{place}: " if place else ""


def _say(kind: str, colour: str, what: Conflict | str) -> None:
    if not out.is_terminal:  # other programs read lines that are not wrapped
        out.print(Text.assemble((f"{kind} ", colour), str(what)), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(kind, style=colour), conflict_text(what) if isinstance(what, Conflict) else Text(what))
    out.print(table)
