"""`balancer simulate`: try a policy on recorded load before it is let loose."""

from __future__ import annotations

import signal
import sys
import tempfile
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from balancer.commands.asking import Format
from balancer.commands.exits import DONE
from balancer.commands.opening import PolicyPath, the_policy
from balancer.commands.screen import err, out
from balancer.domain.plan import Mode
from balancer.domain.rehearsal_file import RehearsalFile
from balancer.domain.rehearsed import Rehearsed
from balancer.domain.site_file import SiteFile
from balancer.errors import Fault, InputError
from balancer.formats import read, read_text, to_json
from balancer.policy import Policy, load_policy
from balancer.rehearsal import Rehearsal
from balancer.replaying import laid_from_history
from balancer.reporting.rehearsal import rehearsal_text
from balancer.settings import load_settings
from balancer.simulation.laying import Laid, laid_on
from balancer.simulation.traces import reader_of

READY_SITES = ("planetlab", "bitbrains")


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(simulate)


def simulate(
    trace: Annotated[
        Path | None,
        typer.Option(help="A record: PlanetLab, GWA/Bitbrains, csv, parquet; default: the balancer's own history."),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            "-s",
            help="The hosts of a record (balancer.rehearsal/1), a file or a ready one; else the site file.",
        ),
    ] = None,
    policy: PolicyPath = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="Another policy to compare with; may be given again.")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="Begin at this time (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="End at this time (UTC).")] = None,
    seed: Annotated[int, typer.Option(help="What chance is drawn from; only failures are left to it.", min=0)] = 1,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
    save: Annotated[Path | None, typer.Option("--out", help="Write what was found to this file, as JSON.")] = None,
) -> int:
    """Say what a policy would have done: energy beside the least possible, shortage, migrations, promises bent."""
    laid = _laid(trace, site, since, until)
    policies = [the_policy(policy, laid.name), *(load_policy(path, laid.name) for path in against or [])]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    err.print(Text(f"{laid.name}: {len(laid.guests)} guests, {len(laid.hosts)} hosts, seed {seed}", style="dim"))
    runs = [_rehearsed(laid, each, seed) for each in policies]
    text = to_json(runs[0]) if len(runs) == 1 else "[" + ",\n".join(map(to_json, runs)) + "]"
    if save is not None:
        _write(save, text)
    if format is Format.JSON:
        sys.stdout.write(text + "\n")
    else:
        out.print(rehearsal_text(runs))
    return DONE


def _laid(trace: Path | None, site: str | None, since: datetime | None, until: datetime | None) -> Laid:
    begin, end = (None if at is None else _in_utc(at) for at in (since, until))
    if trace is None:
        settings = load_settings()
        file = Path(site) if site else settings.site
        cluster = read(file, SiteFile).cluster if file else "embedded"
        return laid_from_history(settings.state / "history.db", cluster, begin, end)
    reader = reader_of(trace)
    chosen = site or reader.ready_site
    if chosen is None:
        way = f"--site FILE, or a ready one: {', '.join(READY_SITES)}"
        raise InputError([Fault(str(trace), "says nothing of the hosts that it is to be laid on", way)])
    return laid_on(reader.read(trace).between(begin, end), rehearsal_site(chosen))


def rehearsal_site(name: str) -> RehearsalFile:
    """Read a site description: a ready one by its name, else a file."""
    if name in READY_SITES:
        text = resources.files("balancer.simulation").joinpath("sites", f"{name}.yaml").read_text("utf-8")
        return read_text(text, RehearsalFile, f"{name}.yaml")
    return read(Path(name), RehearsalFile)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _rehearsed(laid: Laid, policy: Policy, seed: int) -> Rehearsed:
    """Let one policy act, whatever its mode is: that is what is tried."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="balancer-rehearsal-") as state, Progress(*columns, console=err) as bar:
        task = bar.add_task(policy.name, total=laid.steps)
        acting = policy.in_mode(Mode.ACT)
        return Rehearsal(laid, acting, Path(state), seed).run(lambda done, _: bar.update(task, completed=done))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as cause:
        raise InputError([Fault(str(path), f"cannot be written: {cause.strerror}", "name another file")]) from None
