"""One cluster: what is where and how to reach it (`balancer.site/1`). Secrets by reference only."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from balancer.domain.host import Power, Reserved
from balancer.domain.notices import Alertmanager, Notify
from balancer.domain.value import Amount, Count, Flag, Name, SecretRef, Value

SITE_SCHEMA: Final = "balancer.site/1"

PowerAction = Literal["state", "on", "shut_down", "off", "guid", "watts"]
Mac = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$")]


class Bmc(Value):
    """How a host is switched on and off. Each key belongs to the kinds that its description names."""

    kind: Literal["ipmi", "redfish", "wake_on_lan", "suspend", "command", "simulated"]
    address: str = Field(default="", description="ipmi, redfish: where the BMC is")
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(
        default=None, description="ipmi (623), redfish (443)"
    )
    user: str | None = Field(default=None, description="ipmi, redfish")
    secret_ref: SecretRef | None = Field(
        default=None,
        description="ipmi, redfish, command, wake_on_lan: file:NAME in the secrets directory, or env:NAME",
    )
    deadline_seconds: Annotated[float, Field(ge=1, le=300)] | None = Field(
        default=None, description="how long one call may take; 15 for ipmi, 30 for the others"
    )
    privilege: Literal["user", "operator", "administrator"] | None = Field(
        default=None, description="ipmi: the level to ask for; absent: administrator, or operator where that is all"
    )
    cipher: Literal[3, 17] | None = Field(
        default=None, description="ipmi: the only cipher suite to speak; absent: 17, or 3 where the BMC refuses that"
    )
    system: str | None = Field(default=None, description="redfish: which of the BMC's systems, where it has several")
    verify: Flag | None = Field(default=None, description="redfish: whether its certificate is checked; absent: it is")
    ca_file: str | None = Field(default=None, description="redfish: whose certificates to trust")
    mac: Mac | None = Field(default=None, description="wake_on_lan, suspend: the address of its network card")
    broadcast: str = Field(default="255.255.255.255", description="wake_on_lan, suspend: where the packet goes")
    probe: Annotated[str, StringConstraints(pattern=r"^.+:[0-9]{1,5}$")] | None = Field(
        default=None, description="wake_on_lan, suspend: address:port that answers while the host is up"
    )
    silence_means_off: Flag = Field(
        default=False, description="wake_on_lan, suspend: a host that is silent at `probe` is off; else it is not known"
    )
    longest_seconds: Annotated[int, Field(ge=60)] = Field(
        default=43200, description="suspend: after which the host wakes by its own clock"
    )
    commands: dict[PowerAction, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default={}, description="command, wake_on_lan, suspend: programs, each a list of words"
    )

    @property
    def where(self) -> str:
        """What no two hosts have in common; empty where nothing of the kind is said."""
        if self.mac:
            return self.mac.lower().replace("-", ":")
        port = self.port or (443 if self.kind == "redfish" else 623)
        return f"{self.address}:{port}" + (f"/{self.system}" if self.system else "") if self.address else ""

    @property
    def only_silence_tells(self) -> bool:
        """Whether its host is taken for off because it is silent, without anything that has seen it lose power."""
        return self.silence_means_off and "state" not in self.commands

    @model_validator(mode="after")
    def _no_key_of_another_kind(self) -> Self:
        for key in self.model_fields_set - {"kind", "deadline_seconds"}:
            of = (type(self).model_fields[key].description or "").partition(":")[0]
            if self.kind not in re.findall(r"[a-z_]+", of):
                raise ValueError(f"has `{key}:`, which belongs to {of}, not to `kind: {self.kind}`")
        return self


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


class OwnQueries(Value):
    """Queries of one's own, in the words of the server.

    prometheus: PromQL, `{w}` stands for the window of a rate
    influx: InfluxQL, `{when}` stands for the time that is asked for, `{slots}` for the grouping by time
    """

    guest_label: Name | None = Field(default=None, description="label or tag that holds a guest's name or UUID")
    guest_cores: str | None = None
    guest_wait_share: str | None = None
    guest_memory_mib: str | None = None
    host_label: Name | None = None
    host_cores: str | None = None
    host_memory_mib: str | None = None

    @property
    def written(self) -> dict[str, str]:
        """The queries that somebody wrote, by what they ask for."""
        said = self.model_dump(exclude_none=True, exclude={"guest_label", "host_label"})
        return {name: str(query) for name, query in said.items()}


EXPORTERS: Final[dict[str, tuple[str, ...]]] = {
    "prometheus": ("node-exporter", "libvirt-exporter", "telegraf"),
    "influx": ("telegraf", "balancer"),
}


class SourceChoice(Value):
    """A server that has readings which the balancer has not kept itself."""

    kind: Literal["prometheus", "influx"] = Field(
        description="prometheus: VictoriaMetrics too | influx: InfluxDB 1, 2 and 3, by InfluxQL"
    )
    url: str
    exporter: Literal["node-exporter", "libvirt-exporter", "telegraf", "balancer"] | None = Field(
        default=None,
        description="who wrote what it holds: the queries are ready. balancer: what `history` of a site file sends",
    )
    queries: OwnQueries = Field(default=OwnQueries(), description="queries of one's own take the place of ready ones")
    database: str = Field(default="", description="influx: the database; in InfluxDB 2 the bucket's name")
    retention: str = Field(default="", description="influx: the retention policy; absent: the default one")
    user: str = Field(default="", description="influx: with one, the secret is its password")
    secret_ref: SecretRef | None = Field(default=None, description="of a token; influx with `user`: of its password")
    deadline_seconds: Amount = 10.0

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.exporter is None and not (self.queries.guest_cores or self.queries.host_cores):
            raise ValueError("asks nothing: name an `exporter`, or a query under `queries: {guest_cores: ...}`")
        if self.exporter is not None and self.exporter not in EXPORTERS[self.kind]:
            ready = ", ".join(EXPORTERS[self.kind])
            raise ValueError(f"has no ready queries of {self.exporter} for `kind: {self.kind}`; there are {ready}")
        return self

    @model_validator(mode="after")
    def _speaks_to_its_kind(self) -> Self:
        if self.kind == "influx":
            if not self.database:
                raise ValueError("names no database: write `database: ...`; in InfluxDB 2 that is the bucket's name")
            for name, query in self.queries.written.items():
                lacking = [word for word in ("{when}", "{slots}") if word not in query]
                if lacking or not query.lstrip().lower().startswith("select"):
                    raise ValueError(
                        f"has a query `{name}` that is no SELECT with {{when}} and {{slots}}, such as: "
                        'SELECT mean("cores") FROM "guests" WHERE {when} GROUP BY {slots}, "name" fill(none)'
                    )
        elif said := sorted({"database", "retention", "user"} & self.model_fields_set):
            raise ValueError(f"has `{said[0]}:`, which belongs to influx, not to `kind: {self.kind}`")
        return self


class SiteFile(Value):
    """What the balancer is told about a cluster."""

    schema_: Literal["balancer.site/1"] = Field(default=SITE_SCHEMA, alias="schema")
    cluster: Name
    platform: PlatformChoice
    hosts: tuple[SiteHost, ...]
    shared_paths: tuple[str, ...] = Field(default=(), description="directories that are the same on each host")
    history: HistoryChoice | None = None
    sources: tuple[SourceChoice, ...] = Field(
        default=(), description="where readings are looked for that the balancer has not kept itself, the best first"
    )
    notify: Notify | None = Field(default=None, description="who is told what, and when")
    alertmanager: Alertmanager | None = Field(default=None, description="kept silent about hosts that sleep")
    store: str = "sqlite:///balancer.db"
    store_secret_ref: SecretRef | None = Field(default=None, description="password of a store on a server")
    read_watts: Flag = Field(default=False, description="ask the BMCs in each cycle what their hosts draw")
    wake_deadline_seconds: Amount = 600.0
    wake_settle_seconds: Amount = Field(
        default=15.0, description="a host that woke has to answer for so long without a break before guests go there"
    )
    shutdown_deadline_seconds: Amount = 300.0
    max_hosts_asleep: Count | None = None

    @field_validator("hosts")
    @classmethod
    def _each_once(cls, hosts: tuple[SiteHost, ...]) -> tuple[SiteHost, ...]:
        names = [host.name for host in hosts]
        twins = sorted({name for name in names if names.count(name) > 1})
        if twins:
            raise ValueError(f"has host names twice: {', '.join(twins)}")
        bmcs = [where for host in hosts if host.bmc is not None and (where := host.bmc.where)]
        shared = sorted({where for where in bmcs if bmcs.count(where) > 1})
        if shared:
            raise ValueError(f"gives the same BMC to several hosts: {', '.join(shared)}")
        return hosts

    def host(self, name: str) -> SiteHost:
        """Return a host's entry; KeyError where there is none."""
        return {host.name: host for host in self.hosts}[name]
