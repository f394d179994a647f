"""Settings, site file, policy and secrets: what is read before anything else."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from balancer.doctor.base import Examined, Finding, Standing
from balancer.domain.site_file import SiteFile
from balancer.domain.units import count_of
from balancer.errors import SiteError
from balancer.formats import read
from balancer.policy import load
from balancer.policy.notes import notes
from balancer.secrets import read_secret


def settings(world: Examined) -> Iterator[Finding]:
    """Say where everything is looked for."""
    given = world.settings
    if given.site is None:
        way_out = "`balancer init` writes one; then BALANCER_SITE=site.yaml"
        yield Finding(Standing.WARNING, "no site file is named: commands use the embedded simulated site", way_out)
    if given.policy is None:
        way_out = "`balancer init` writes one; then BALANCER_POLICY=policy.yaml"
        yield Finding(Standing.WARNING, "no policy is named: the default one only recommends", way_out)
    if not given.state.is_dir():
        words, way_out = f"the state directory {given.state} is not there", f"mkdir -p {given.state}, or BALANCER_STATE"
        yield Finding(Standing.FAULT, words, way_out)
    elif given.site is not None and given.policy is not None:
        yield Finding(Standing.OK, f"site {given.site}, policy {given.policy}, state {given.state}")


def site_file(world: Examined) -> Iterator[Finding]:
    """Read the site file; every fault of it is told by its line."""
    if world.settings.site is None:
        return
    site = read(world.settings.site, SiteFile)
    sleepers = sum(host.may_sleep for host in site.hosts)
    yield Finding(Standing.OK, f"{site.cluster}: {count_of(len(site.hosts), 'host')}, of which {sleepers} may sleep")


def policy(world: Examined) -> Iterator[Finding]:
    """Read the policy for this cluster, with what it warns of by itself."""
    loaded = load(world.settings.policy, world.site.cluster if world.site else None)
    warned = [str(note) for note in notes(loaded, world.now)]
    for words in warned:
        yield Finding(Standing.WARNING, words, "balancer check POLICY says more")
    if not warned:
        yield Finding(Standing.OK, f"{loaded.policy.name or 'the default'}: mode {loaded.policy.mode}")


def secrets(world: Examined) -> Iterator[Finding]:
    """Read each secret that the site file refers to, and see who else could."""
    wanted = dict(_wanted(world.site)) if world.site is not None else {}
    for ref, what_for in wanted.items():
        yield _secret(ref, what_for, world.settings.secrets)


def _wanted(site: SiteFile) -> Iterator[tuple[str, str]]:
    for host in site.hosts:
        if host.bmc is not None and host.bmc.secret_ref:
            yield host.bmc.secret_ref, host.name
    for choice in (site.history, *site.sources):
        if choice is not None and choice.secret_ref:
            yield choice.secret_ref, "history"
    for target in site.notify.targets if site.notify is not None else ():
        yield target.secret_ref, f"target {target.name}"
    if site.alertmanager is not None and site.alertmanager.secret_ref:
        yield site.alertmanager.secret_ref, "alertmanager"
    if site.store_secret_ref is not None and not site.store.startswith("sqlite"):
        yield site.store_secret_ref, "the store"


def _secret(ref: str, what_for: str, directory: Path) -> Finding:
    try:
        read_secret(ref, directory, what_for)
    except SiteError as failed:
        return Finding(Standing.FAULT, f"{failed.operation}: {failed.cause}", failed.way_out, what_for)
    kind, _, name = ref.partition(":")
    if kind == "env":
        return Finding(Standing.OK, "from the environment", about=ref)
    mode = stat.S_IMODE((directory / name).stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IRGRP | stat.S_IWOTH | stat.S_IWGRP):
        words = f"others than its owner can get at {directory / name} (mode {mode:03o})"
        return Finding(Standing.WARNING, words, f"chmod 600 {directory / name}", ref)
    return Finding(Standing.OK, "for its owner alone", about=ref)
