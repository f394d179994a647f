"""The record that a policy is tried on: a trace laid on hosts, or the balancer's own history; whole or in part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from balancer.domain.rehearsal_file import RehearsalFile
from balancer.domain.site_file import SITE_SCHEMA, SiteFile
from balancer.errors import Fault, InputError
from balancer.formats import read, read_text
from balancer.formats.reading import text_of
from balancer.replaying import as_the_site_file_says, hosts_of_site, laid_from_history
from balancer.settings import load_settings
from balancer.simulation.laying import Laid, laid_on
from balancer.simulation.traces import reader_of

READY_SITES = ("planetlab", "bitbrains")

TracePath = Annotated[
    Path | None,
    typer.Option(
        "--trace", help="A record: PlanetLab, GWA/Bitbrains, csv, parquet; default: the balancer's own history."
    ),
]
RecordSite = Annotated[
    str | None,
    typer.Option(
        "--site", "-s", help="The hosts of a record (balancer.rehearsal/1), a file or a ready one; else the site file."
    ),
]
Since = Annotated[datetime | None, typer.Option("--from", help="Begin at this time (UTC).")]
Until = Annotated[datetime | None, typer.Option("--to", help="End at this time (UTC).")]

Part = Callable[[datetime | None, datetime | None], Laid]
"""Returns the part of a record between two moments, laid on its hosts as if it were all there is."""


def record_of(trace: Path | None, site: str | None) -> Part:
    """Open a record: it is read once, however many parts of it are asked for."""
    if trace is None:
        return lambda since, until: _own_history(site, _in_utc(since), _in_utc(until))
    reader = reader_of(trace)
    chosen = site or reader.ready_site
    if chosen is None:
        way = f"--site FILE, or a ready one: {', '.join(READY_SITES)}"
        raise InputError([Fault(str(trace), "says nothing of the hosts that it is to be laid on", way)])
    whole, hosts = reader.read(trace), rehearsal_site(chosen)
    return lambda since, until: laid_on(whole.between(_in_utc(since), _in_utc(until)), hosts)


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


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
