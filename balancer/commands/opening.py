"""Open what commands work on: the site of a site file, or the embedded simulated one; the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from balancer.domain.site_file import SiteFile
from balancer.embedded import the_embedded_site
from balancer.formats import read
from balancer.policy import Policy, load_policy
from balancer.power import open_switches
from balancer.power.base import PowerSwitch
from balancer.settings import load_settings
from balancer.site import Site, open_site

SitePath = Annotated[
    Path | None, typer.Option("--site", "-s", help="Site file [env: BALANCER_SITE]; default: the embedded simulation.")
]
PolicyPath = Annotated[
    Path | None,
    typer.Option(
        "--policy", "-p", help="Policy file, or a ready policy by name [env: BALANCER_POLICY]; default: recommend only."
    ),
]


@contextmanager
def the_site(path: Path | None) -> Iterator[Site]:
    """Open the site for one command."""
    settings = load_settings()
    chosen = path or settings.site
    if chosen is None:
        with the_embedded_site() as embedded:
            yield embedded
        return
    site = open_site(chosen, settings.secrets, settings.state, settings.kill_file)
    try:
        yield site
    finally:
        site.close()


@contextmanager
def the_switches(path: Path | None) -> Iterator[Mapping[str, PowerSwitch]]:
    """Open the power switches alone: hosts can be woken when neither store nor hypervisors can be reached."""
    settings = load_settings()
    chosen = path or settings.site
    if chosen is None:
        with the_embedded_site() as embedded:
            yield embedded.acting.switches
        return
    yield open_switches(read(chosen, SiteFile), settings.secrets)


def is_embedded(path: Path | None) -> bool:
    """Whether no site file was given, so that the embedded simulated site is used."""
    return path is None and load_settings().site is None


def policy_path(path: Path | None) -> Path | None:
    """Return the policy file that is meant: of the command line, else of the settings, else none."""
    return path or load_settings().policy


def the_policy(path: Path | None, cluster: str | None) -> Policy:
    """Read the policy as it is for a cluster."""
    return load_policy(policy_path(path), cluster)
