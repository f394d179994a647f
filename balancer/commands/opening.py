"""Open what commands work on: the site of a site file, or the embedded simulated one; the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from balancer.clock import Clock, WallClock
from balancer.domain.site_file import SiteFile
from balancer.embedded import the_embedded_site
from balancer.errors import BalancerError, Fault, InputError
from balancer.formats import read
from balancer.platforms import open_platform
from balancer.policy import Policy, load_policy
from balancer.power import open_switches
from balancer.power.base import PowerSwitch
from balancer.settings import load_settings
from balancer.site import Site, open_site, store_of
from balancer.store import Store

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


@dataclass(frozen=True)
class Switches:
    """The power switches of a site, and its time.

    answers: says whether a hypervisor does; None where nobody can ask it
    opening_store: opens the site's memory; StoreError where it cannot be reached, which hinders no waking
    """

    by_host: Mapping[str, PowerSwitch]
    answers: Callable[[str], bool | None]
    clock: Clock
    opening_store: Callable[[], AbstractContextManager[Store]]


@contextmanager
def the_store(path: Path | None) -> Iterator[Store]:
    """Open the store alone: who may use pages can be said while no hypervisor is reached."""
    file = the_site_file(path, "the pages of the embedded site need no token")
    store = store_of(file, load_settings().secrets)
    try:
        yield store
    finally:
        store.close()


def the_site_file(path: Path | None, why_not_embedded: str) -> SiteFile:
    """Read the site file alone; InputError where none is named, with the reason why the embedded site will not do."""
    chosen = path or load_settings().site
    if chosen is None:
        what = f"names no site file, and {why_not_embedded}"
        raise InputError([Fault("the command", what, "set BALANCER_SITE, or give --site")])
    return read(chosen, SiteFile)


@contextmanager
def the_switches(path: Path | None) -> Iterator[Switches]:
    """Open the power switches alone: hosts can be woken when neither store nor hypervisors can be reached."""
    settings = load_settings()
    chosen = path or settings.site
    if chosen is None:
        with the_embedded_site() as embedded:
            acting = embedded.acting
            yield Switches(acting.switches, acting.platform.answers, acting.clock, lambda: nullcontext(acting.store))
        return
    file = read(chosen, SiteFile)
    clock, switches = WallClock(), open_switches(file, settings.secrets)
    with ExitStack() as opened:
        try:
            platform = open_platform(file, clock)
        except BalancerError:  # its library is missing: waking goes without
            yield Switches(switches, lambda _: None, clock, lambda: the_store(chosen))
            return
        opened.callback(platform.close)
        yield Switches(switches, platform.answers, clock, lambda: the_store(chosen))


def is_embedded(path: Path | None) -> bool:
    """Whether no site file was given, so that the embedded simulated site is used."""
    return path is None and load_settings().site is None


def policy_path(path: Path | None) -> Path | None:
    """Return the policy file that is meant: of the command line, else of the settings, else none."""
    return path or load_settings().policy


def the_policy(path: Path | None, cluster: str | None) -> Policy:
    """Read the policy as it is for a cluster."""
    return load_policy(policy_path(path), cluster)
