"""Asks every hypervisor and every BMC of a new site at the same time, each within its deadline. Only looks."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from balancer.domain.site_file import SiteFile
from balancer.errors import SiteError
from balancer.platforms.libvirt.probing import HostFound, probe_hosts
from balancer.power import open_switches
from balancer.power.base import PowerSwitch

AT_A_TIME = 32


@dataclass(frozen=True)
class BmcFound:
    """What a BMC said: whether its host has power, and its GUID; or why it said nothing."""

    state: str = ""
    guid: str | None = None
    failure: str = ""


@dataclass(frozen=True)
class Found:
    """What was found at a site, by host. A host that has no BMC is not in `bmcs`."""

    hosts: Mapping[str, HostFound]
    failures: Mapping[str, str]
    bmcs: Mapping[str, BmcFound]


def find(site: SiteFile, secrets: Path, deadline_seconds: float) -> Found:
    """Look at a site that is described and not yet written down."""
    switches = open_switches(site, secrets)
    with ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
        bmcs = {name: pool.submit(_ask, switch) for name, switch in switches.items()}
        uris = {host.name: host.uri or "" for host in site.hosts}
        hosts, failures = probe_hosts(uris, deadline_seconds)
        said = {host: str(failure).removeprefix(f"{host}: look at the host: ") for host, failure in failures.items()}
        return Found(hosts, said, {name: answer.result() for name, answer in bmcs.items()})


def _ask(switch: PowerSwitch) -> BmcFound:
    try:
        return BmcFound(str(switch.state()), switch.system_guid())
    except SiteError as failed:
        return BmcFound(failure=str(failed).removeprefix(f"{switch.host}: "))
