"""`balancer policy tune`: turn the few dials of a policy that matter, on one's own history."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from balancer.commands.asking import Format, known
from balancer.commands.exits import DONE
from balancer.commands.opening import PolicyPath, policy_path
from balancer.commands.records import Part, RecordSite, Since, TracePath, Until, record_of
from balancer.commands.screen import err, out
from balancer.commands.simulating import write
from balancer.domain.plan import PolicyMark
from balancer.domain.tuned import Choice, Figures, Tried, Tuned
from balancer.errors import Fault, InputError
from balancer.formats import digest_of, to_json
from balancer.policy.loading import load
from balancer.reporting.pages.tuning import tuning_page
from balancer.reporting.tuning import expected, shown, tuning_text
from balancer.simulation.laying import Laid
from balancer.tuning.choosing import Wanted, choose
from balancer.tuning.dials import DIALS, Dial, extended, policy_text, standing
from balancer.tuning.search import require_optuna, search
from balancer.tuning.trying import Kept, Trial, Trials

SEARCHED, HELD_OUT = "searched", "held out"
MOST_HELD_OUT = 12  # points of the front that are tried on what was held out
WHOLE_DAYS_FROM = 3  # days of a record from which it is split at the end of a day

AtMost = Annotated[str | None, typer.Option(help="Hosts short in at most this share of their steps, e.g. 0.2%.")]


def tune(
    save: Annotated[Path, typer.Option("--out", help="Write the chosen point to this file, as a policy.")],
    trace: TracePath = None,
    site: RecordSite = None,
    policy: PolicyPath = None,
    choice: Annotated[
        Choice | None,
        typer.Option("--choose", help="Which point is written; default: balanced, within limits the least energy."),
    ] = None,
    short_at_most: AtMost = None,
    moves_at_most: Annotated[
        float | None, typer.Option(help="At most so many migrations a guest a day.", min=0)
    ] = None,
    trials: Annotated[int, typer.Option(help="How many settings are tried.", min=1)] = 40,
    dial: Annotated[
        list[str] | None,
        typer.Option(help=f"Turn this dial alone; may be given again: {', '.join(each.name for each in DIALS)}."),
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="The share of the record, at its end, that is never searched on.", min=0, max=0.9)
    ] = 1 / 3,
    since: Since = None,
    until: Until = None,
    seed: Annotated[int, typer.Option(help="Of the search and of failures: one seed, one result.", min=0)] = 1,
    workers: Annotated[
        int | None, typer.Option(help="Rehearsals at a time; default: one a core. It changes no result.", min=1)
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Where trials are kept, so that a search goes on; default: beside --out.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures to this file.")] = None,
    format: Annotated[Format, typer.Option(help="How to print the front.")] = Format.TEXT,
) -> int:
    """Search the dials for the front of energy, shortage and migrations, and write the chosen point as a policy."""
    require_optuna()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = (_share(short_at_most), moves_at_most)
    usual = Choice.BALANCED if limits == (None, None) else Choice.ENERGY
    wanted = Wanted(choice or usual, *limits)
    dials = [each for each in DIALS if dial is None or each.name in [_dial(name) for name in dial]]
    parts = split(record_of(trace, site), since, until, held_out)
    given = _Given.of(policy_path(policy), parts.searched.name)
    kept = Kept(keep or save.with_name(save.name + ".trials"))
    err.print(Text(f"{parts.searched.name}: {_said(parts)}, seed {seed}; trials are kept in {kept.path}", style="dim"))
    try:
        tuned = _tuned(given, parts, dials, trials, seed, wanted, kept, workers or os.cpu_count() or 1)
    except KeyboardInterrupt:
        err.print(Text(f"what was tried is kept in {kept.path}: the same command goes on from there", style="yellow"))
        raise
    write(save, given.text(save.stem, save.parent, tuned.choice.dials, expected(tuned)).rstrip("\n"))
    if report is not None:
        write(report, tuning_page(tuned))
    if format is Format.JSON:
        sys.stdout.write(to_json(tuned) + "\n")
    else:
        out.print(tuning_text(tuned))
    return DONE


@dataclass(frozen=True)
class Parts:
    """A record in two: what is searched on, and what is held out."""

    searched: Laid
    held_out: Laid | None

    @property
    def end(self) -> datetime:
        last = self.held_out or self.searched
        return _after(last, last.steps)

    @property
    def by_name(self) -> dict[str, Laid]:
        return {SEARCHED: self.searched} | ({HELD_OUT: self.held_out} if self.held_out is not None else {})


def split(record: Part, since: datetime | None, until: datetime | None, share: float) -> Parts:
    """Split a record; one of some days at the end of a day, so that no part lacks an evening."""
    whole = record(since, until)
    steps = round(whole.steps * (1 - share))
    a_day = round(86_400 / whole.step_seconds)
    if whole.steps >= WHOLE_DAYS_FROM * a_day and share:
        steps = max(1, round(steps / a_day)) * a_day
    if not 0 < steps < whole.steps:
        return Parts(whole, None)
    at = _after(whole, steps)
    return Parts(record(since, at), record(at, until))


def _after(laid: Laid, steps: int) -> datetime:
    return laid.begin + timedelta(seconds=steps * laid.step_seconds)


def _said(parts: Parts) -> str:
    words = f"searched on {parts.searched.steps} steps"
    return words if parts.held_out is None else f"{words}, {parts.held_out.steps} held out"


@dataclass(frozen=True)
class _Given:
    """The policy that is tuned, and how files that are laid over it are written."""

    path: Path | None
    cluster: str
    mark: PolicyMark
    stands: Mapping[str, float]
    says_of_cluster: bool

    @classmethod
    def of(cls, path: Path | None, cluster: str) -> _Given:
        loaded = load(path, cluster)
        mark = PolicyMark(name=loaded.policy.name, digest=digest_of(loaded.policy))
        return cls(path, cluster, mark, standing(loaded.policy, DIALS), cluster in loaded.clusters)

    def text(self, name: str, folder: Path, dials: Mapping[str, float], comment: Sequence[str] = ()) -> str:
        cluster = self.cluster if self.says_of_cluster else None
        return policy_text(name, extended(self.path, folder), dials, cluster, comment)


def _tuned(
    given: _Given,
    parts: Parts,
    dials: Sequence[Dial],
    trials: int,
    seed: int,
    wanted: Wanted,
    kept: Kept,
    workers: int,
) -> Tuned:
    """Search, choose, and only then look at what was held out."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory(prefix="balancer-tuning-") as folder,
        Trials(parts.by_name, seed, kept, workers) as tries,
        Progress(*columns, console=err) as bar,
    ):
        files = _Files(given, Path(folder))
        task = bar.add_task("searching", total=trials + 1)

        def answer(settings: Sequence[Mapping[str, float]], part: str = SEARCHED) -> list[Figures]:
            return tries.figures([Trial(files.of(each), part) for each in settings], lambda: bar.advance(task))

        begin = {each.path: given.stands[each.path] for each in dials}
        tried = search(dials, answer([{}])[0], begin, answer, trials, seed)
        tuned = Tuned(
            record=parts.searched.name,
            policy=given.mark,
            seed=seed,
            begin=parts.searched.begin,
            split=_after(parts.searched, parts.searched.steps),
            end=parts.end,
            wanted=str(wanted),
            chosen=choose(tried, wanted).number,
            tried=tried,
        )
        if parts.held_out is None:
            return tuned
        points = shown(tuned, MOST_HELD_OUT)
        bar.update(task, description="held out", total=len(points), completed=0)
        return _with_held_out(tuned, points, answer([each.dials for each in points], HELD_OUT))


def _with_held_out(tuned: Tuned, points: Sequence[Tried], figures: Sequence[Figures]) -> Tuned:
    found = {point.number: each for point, each in zip(points, figures, strict=True)}
    tried = tuple(each.model_copy(update={"held_out": found.get(each.number)}) for each in tuned.tried)
    return tuned.model_copy(update={"tried": tried})


class _Files:
    """Writes each setting as the policy file that it would be: what is tried is what is written in the end."""

    def __init__(self, given: _Given, folder: Path) -> None:
        self._given, self._folder, self._count = given, folder, 0

    def of(self, dials: Mapping[str, float]) -> Path:
        self._count += 1
        path = self._folder / f"{self._count}.yaml"
        path.write_text(self._given.text("tried", self._folder, dials), encoding="utf-8")
        return path


def _dial(name: str) -> str:
    return known("dial", name, [each.name for each in DIALS])


def _share(said: str | None) -> float | None:
    """Read a share from the command line: `0.2%` or 0.002."""
    if said is None:
        return None
    try:
        share = float(said.strip().removesuffix("%")) / (100 if said.strip().endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError([Fault("--short-at-most", f"{said!r} is no share", "write 0.2% or 0.002")])
    return share
