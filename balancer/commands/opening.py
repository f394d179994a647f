"""Open what commands work on: the site of a site file, or the embedded simulated one; the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from balancer.domain.plan import Mode
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
    Path | None, typer.Option("--policy", "-p", help="Policy file [env: BALANCER_POLICY]; default: recommend only.")
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
    site = open_site(chosen, settings.secrets, settings.state)
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


def the_policy(path: Path | None, mode: Mode | None = None) -> Policy:
    """Read the policy; `mode` on the command line overrides the one in the file."""
    policy = load_policy(path or load_settings().policy)
    return policy if mode is None else policy.model_copy(update={"mode": mode})
