"""`balancer simulate`: try a policy on recorded load before it is let loose."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from balancer.commands.exits import DONE, INTERRUPTED
from balancer.commands.opening import PolicyPath, policy_path, the_policy
from balancer.commands.records import RecordSite, Since, TracePath, Until, record_of
from balancer.commands.screen import err, out
from balancer.domain.plan import Mode
from balancer.domain.rehearsed import Rehearsed
from balancer.embedded import embedded_default_policy
from balancer.errors import Fault, InputError
from balancer.formats import to_json
from balancer.halfway import name_of
from balancer.lived import beside_what_was_lived
from balancer.policy import Policy, load_policy
from balancer.rehearsal import Rehearsal, Stopped
from balancer.reporting.pages.rehearsal import rehearsal_page
from balancer.reporting.rehearsal import rehearsal_text
from balancer.settings import load_settings
from balancer.simulation.laying import Laid


class Look(StrEnum):
    TEXT = "text"
    JSON = "json"
    HTML = "html"


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(simulate)


def simulate(
    trace: TracePath = None,
    site: RecordSite = None,
    policy: PolicyPath = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="Another policy to compare with; may be given again.")
    ] = None,
    since: Since = None,
    until: Until = None,
    seed: Annotated[int, typer.Option(help="What chance is drawn from; only failures are left to it.", min=0)] = 1,
    format: Annotated[Look, typer.Option(help="How to print it; html is one file with pictures.")] = Look.TEXT,
    save: Annotated[
        Path | None, typer.Option("--out", help="Write what was found to this file: as a page with html, else as JSON.")
    ] = None,
    kept: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep what is half done in this directory: the same command then goes on there."),
    ] = None,
) -> int:
    """Say what a policy would have done: energy beside the least possible, shortage, migrations, promises bent."""
    laid = record_of(trace, site)(since, until)
    policies = [_first_policy(policy, trace, site, laid), *(load_policy(path, laid.name) for path in against or [])]
    err.print(Text(f"{laid.name}: {len(laid.guests)} guests, {len(laid.hosts)} hosts, seed {seed}", style="dim"))
    told = _Told()
    try:
        with told.to_stop():
            runs = [_rehearsed(laid, each, seed, kept, told.is_told) for each in policies]
    except Stopped as stopped:
        _say_how_to_go_on(stopped, kept)
        return INTERRUPTED
    if trace is None:
        runs = [beside_what_was_lived(run, each, _kept_live(site)) for run, each in zip(runs, policies, strict=True)]
    text = _as_json(runs) if format is not Look.HTML else rehearsal_page(runs)
    if save is not None:
        write(save, text)
    if format is Look.TEXT:
        out.print(rehearsal_text(runs))
    elif format is Look.JSON or save is None:
        sys.stdout.write(text + "\n")
    return DONE


def _kept_live(site: str | None) -> Path:
    """Return the directory in which the cycles of that site are kept, if they are."""
    settings = load_settings()
    is_embedded = site is None and settings.site is None
    return (settings.embedded_state if is_embedded else None) or settings.state


def _as_json(runs: Sequence[Rehearsed]) -> str:
    return to_json(runs[0]) if len(runs) == 1 else "[" + ",\n".join(map(to_json, runs)) + "]"


def _first_policy(policy: Path | None, trace: Path | None, site: str | None, laid: Laid) -> Policy:
    """Return the policy that is tried; the embedded site's own where its day is lived again."""
    is_embedded_day = trace is None and site is None and load_settings().site is None
    if is_embedded_day and policy_path(policy) is None:
        return embedded_default_policy()
    return the_policy(policy, laid.name)


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


def write(path: Path, text: str) -> None:
    """Write a file; InputError where that cannot be."""
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as cause:
        raise InputError([Fault(str(path), f"cannot be written: {cause.strerror}", "name another file")]) from None
