"""Optional packages: those that the site file needs are there, or it is said which extra brings them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from balancer.doctor.base import Examined, Finding, Standing
from balancer.domain.site_file import SiteFile
from balancer.settings import load_web_settings

MODULES = {
    "libvirt": ("libvirt", "libvirt-python"),
    "ipmi": ("pyghmi", "pyghmi"),
    "redfish": ("sushy", "sushy"),
    "influx": ("influxdb_client", "influxdb-client"),
    "notify": ("apprise", "apprise"),
    "postgres": ("psycopg", "psycopg"),
    "web": ("fastapi", "fastapi"),
}
"""What each extra brings: a module to look for, and the package that it comes with."""


def packages(world: Examined) -> Iterator[Finding]:
    """See that each extra that is needed is installed."""
    needed = dict(_needed(world.site)) if world.site is not None else {}
    if load_web_settings().listen != "off":
        needed.setdefault("web", "the dashboard and the API")
    for extra, what_for in needed.items():
        module, package = MODULES[extra]
        if find_spec(module) is not None:
            yield Finding(Standing.OK, f"{package} {_version(package)}", about=extra)
            continue
        standing = Standing.WARNING if extra in {"web", "notify"} else Standing.FAULT
        yield Finding(standing, f"{what_for} needs it", f".venv/bin/pip install -e '.[{extra}]'", extra)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of an unknown version"


def _needed(site: SiteFile) -> Iterator[tuple[str, str]]:
    if site.platform.kind == "libvirt":
        yield "libvirt", "the platform"
    for host in site.hosts:
        if host.bmc is not None and host.bmc.kind in MODULES:
            yield host.bmc.kind, f"the BMC of {host.name}"
    if site.history is not None:
        yield "influx", "`history`"
    if site.notify is not None:
        yield "notify", "`notify`"
    if site.store.startswith("postgresql"):
        yield "postgres", "the store"
