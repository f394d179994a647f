"""`balancer simulate`: try a policy on recorded load before it is let loose."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from balancer.commands.asking import Format
from balancer.commands.exits import DONE, INTERRUPTED
from balancer.commands.opening import PolicyPath, policy_path, the_policy
from balancer.commands.screen import err, out
from balancer.domain.plan import Mode
from balancer.domain.rehearsal_file import RehearsalFile
from balancer.domain.rehearsed import Rehearsed
from balancer.domain.site_file import SITE_SCHEMA, SiteFile
from balancer.embedded import embedded_default_policy
from balancer.errors import Fault, InputError
from balancer.formats import read, read_text, to_json
from balancer.formats.reading import text_of
from balancer.halfway import name_of
from balancer.policy import Policy, load_policy
from balancer.rehearsal import Rehearsal, Stopped
from balancer.replaying import as_the_site_file_says, hosts_of_site, laid_from_history
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
    kept: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep what is half done in this directory: the same command then goes on there."),
    ] = None,
) -> int:
    """Say what a policy would have done: energy beside the least possible, shortage, migrations, promises bent."""
    laid = _laid(trace, site, since, until)
    policies = [_first_policy(policy, trace, site, laid), *(load_policy(path, laid.name) for path in against or [])]
    err.print(Text(f"{laid.name}: {len(laid.guests)} guests, {len(laid.hosts)} hosts, seed {seed}", style="dim"))
    told = _Told()
    try:
        with told.to_stop():
            runs = [_rehearsed(laid, each, seed, kept, told.is_told) for each in policies]
    except Stopped as stopped:
        _say_how_to_go_on(stopped, kept)
        return INTERRUPTED
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
        return _own_history(site, begin, end)
    reader = reader_of(trace)
    chosen = site or reader.ready_site
    if chosen is None:
        way = f"--site FILE, or a ready one: {', '.join(READY_SITES)}"
        raise InputError([Fault(str(trace), "says nothing of the hosts that it is to be laid on", way)])
    return laid_on(reader.read(trace).between(begin, end), rehearsal_site(chosen))


def _first_policy(policy: Path | None, trace: Path | None, site: str | None, laid: Laid) -> Policy:
    """Return the policy that is tried; the embedded site's own where its day is lived again."""
    is_embedded_day = trace is None and site is None and load_settings().site is None
    if is_embedded_day and policy_path(policy) is None:
        return embedded_default_policy()
    return the_policy(policy, laid.name)


def _own_history(site: str | None, begin: datetime | None, end: datetime | None) -> Laid:
    """Read what the balancer itself has recorded: of the site of a site file, else of the embedded one."""
    settings = load_settings()
    path = Path(site) if site else settings.site
    if path is None:
        return laid_from_history((settings.embedded_state or settings.state) / "history.db", "embedded", begin, end)
    file = read(path, SiteFile)
    return as_the_site_file_says(laid_from_history(settings.state / "history.db", file.cluster, begin, end), file)


def rehearsal_site(name: str) -> RehearsalFile:
    """Read a site description: a ready one by its name, else a file."""
    if name in READY_SITES:
        text = resources.files("balancer.simulation").joinpath("sites", f"{name}.yaml").read_text("utf-8")
        return read_text(text, RehearsalFile, f"{name}.yaml")
    text = text_of(Path(name))
    if SITE_SCHEMA in text:
        return hosts_of_site(read_text(text, SiteFile, name))
    return read_text(text, RehearsalFile, name)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _rehearsed(
    laid: Laid, policy: Policy, seed: int, kept: Path | None = None, must_stop: Callable[[], bool] = lambda: False
) -> Rehearsed:
    """Let one policy act, whatever its mode is: that is what is tried."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    acting = policy.in_mode(Mode.ACT)
    with _folder(laid, acting, seed, kept) as folder, Progress(*columns, console=err) as bar:
        rehearsal = Rehearsal(laid, acting, folder, seed, must_stop)
        task = bar.add_task(policy.name, total=laid.steps, completed=rehearsal.kept_steps)
        return rehearsal.run(lambda done, _: bar.update(task, completed=done))


class _Told:
    """Ctrl-C or SIGTERM: the step that runs is lived to its end, and a second one ends at once."""

    def __init__(self) -> None:
        self._is_told = False

    def is_told(self) -> bool:
        return self._is_told

    @contextmanager
    def to_stop(self) -> Iterator[None]:
        """Listen while rehearsals run."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, _number: int, _frame: object) -> None:
        if self._is_told:
            logging.disable()  # connections that are cut in mid-sentence would be told with a traceback
            raise KeyboardInterrupt
        self._is_told = True
        err.print(Text("stopping after this step; once more ends at once", style="yellow"))


@contextmanager
def _folder(laid: Laid, policy: Policy, seed: int, kept: Path | None) -> Iterator[Path]:
    """Name the folder that a rehearsal works in: a passing one, or its own among those that are kept."""
    if kept is not None:
        yield _made(kept / name_of(laid, policy, seed))
        return
    with tempfile.TemporaryDirectory(prefix="balancer-rehearsal-") as passing:
        yield Path(passing)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise InputError([Fault(str(folder), f"cannot be made: {cause.strerror}", "name another directory")]) from None
    return folder


def _say_how_to_go_on(stopped: Stopped, kept: Path | None) -> None:
    if kept is None:
        way = "nothing was kept; with --keep DIRECTORY the same command goes on where it was stopped"
    else:
        way = f"{stopped.kept} are kept in {kept}: the same command goes on there"
    err.print(Text(f"{stopped}; {way}", style="yellow"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as cause:
        raise InputError([Fault(str(path), f"cannot be written: {cause.strerror}", "name another file")]) from None
