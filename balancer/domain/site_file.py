"""One cluster: what is where and how to reach it (`balancer.site/1`). Secrets by reference only."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, field_validator

from balancer.domain.host import Power, Reserved
from balancer.domain.value import Amount, Count, Flag, Name, Value

SITE_SCHEMA: Final = "balancer.site/1"
SecretRef = Annotated[str, StringConstraints(pattern=r"^(file|env):[A-Za-z0-9_.\-]+$")]


class Bmc(Value):
    """How a host is switched on and off."""

    kind: Literal["ipmi", "simulated"]
    address: str = ""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    user: str | None = None
    secret_ref: SecretRef | None = Field(default=None, description="file:NAME in the secrets directory, or env:NAME")


class Capacity(Value):
    """What a host has, where the hypervisor does not say it right."""

    cpu_cores: Amount | None = None
    memory_mib: Amount | None = None


class SiteHost(Value):
    """One host and the ways to it."""

    name: Name
    uri: str | None = None
    peer_uri: str | None = Field(default=None, description="as another host's hypervisor reaches it")
    migration_uri: str | None = None
    bmc: Bmc | None = None
    may_sleep: Flag = False
    labels: dict[str, str] = {}
    capacity: Capacity = Capacity()
    reserved: Reserved = Reserved()
    power: Power | None = None
    migration_mib_per_s: Amount | None = None


class PlatformChoice(Value):
    kind: Literal["libvirt", "simulated"]
    poll_deadline_seconds: Amount = 10.0


class HistoryChoice(Value):
    """A history server beside the embedded store."""

    kind: Literal["influx"]
    url: str
    bucket: str = "balancer"
    org: str = ""
    secret_ref: SecretRef | None = None


class SiteFile(Value):
    """What the balancer is told about a cluster."""

    schema_: Literal["balancer.site/1"] = Field(default=SITE_SCHEMA, alias="schema")
    cluster: Name
    platform: PlatformChoice
    hosts: tuple[SiteHost, ...]
    shared_paths: tuple[str, ...] = Field(default=(), description="directories that are the same on each host")
    history: HistoryChoice | None = None
    store: str = "sqlite:///balancer.db"
    wake_deadline_seconds: Amount = 600.0
    shutdown_deadline_seconds: Amount = 300.0
    max_hosts_asleep: Count | None = None

    @field_validator("hosts")
    @classmethod
    def _each_once(cls, hosts: tuple[SiteHost, ...]) -> tuple[SiteHost, ...]:
        names = [host.name for host in hosts]
        twins = sorted({name for name in names if names.count(name) > 1})
        if twins:
            raise ValueError(f"has host names twice: {', '.join(twins)}")
        bmcs = [(host.bmc.address, host.bmc.port) for host in hosts if host.bmc is not None and host.bmc.address]
        shared = sorted({f"{address}:{port or 623}" for address, port in bmcs if bmcs.count((address, port)) > 1})
        if shared:
            raise ValueError(f"gives the same BMC to several hosts: {', '.join(shared)}")
        return hosts

    def host(self, name: str) -> SiteHost:
        """Return a host's entry; KeyError where there is none."""
        return {host.name: host for host in self.hosts}[name]
