"""What a simulated world is made of: hosts, guests and migrations, as they are and as they behave."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal

from balancer.domain.host import DEFAULT_MIGRATION_MIB_PER_S, Host, Power
from balancer.domain.migration import PLAIN, MigrationKind, MigrationOptions
from balancer.domain.vm import Movable, Vm
from balancer.errors import Prospect

LoadCurve = Callable[[datetime], float]
"""Cores that a guest would like to use at a time. A pure function, so that any time can be asked."""

_OURS = uuid.UUID("5b0f3c1e-7a52-4d7c-9f1e-0c6d7d1f2a10")


def uuid_of(thing: str) -> str:
    """Return a UUID that is the same in each run."""
    return str(uuid.uuid5(_OURS, thing))


def constantly(cores: float) -> LoadCurve:
    """Return the curve of a guest that always wants the same."""
    return lambda _: cores


@dataclass(frozen=True, eq=False)
class HostSpec:
    """A server as it was bought. What its hypervisor itself uses shows in its readings, above the sum of its guests."""

    name: str
    cores: float
    memory_mib: float
    labels: Mapping[str, str] = field(default_factory=dict)
    power: Power | None = None
    cpu_model: str | None = None
    boot_seconds: float = 120.0
    shutdown_seconds: float = 45.0
    migration_mib_per_s: float = DEFAULT_MIGRATION_MIB_PER_S
    may_sleep: bool = True
    hypervisor_cores: float = 0.2
    hypervisor_memory_mib: float = 2048.0
    bmc_has_guid: bool = True
    pools: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None

    @cached_property
    def id(self) -> str:
        return uuid_of(f"host:{self.name}")

    @cached_property
    def as_bought(self) -> Host:
        """The host without its readings. Checked once and not at each look, which then takes milliseconds."""
        return Host(
            name=self.name,
            cpu_cores=self.cores,
            memory_mib=self.memory_mib,
            labels=dict(self.labels),
            cpu_model=self.cpu_model,
            power=self.power.model_copy(update={"boot_seconds": self.boot_seconds}) if self.power else None,
            migration_mib_per_s=self.migration_mib_per_s,
            may_sleep=self.may_sleep,
            pools=self.pools,
            networks=self.networks,
        )


@dataclass(frozen=True, eq=False)
class GuestSpec:
    """A guest as it was ordered."""

    name: str
    vcpus: int
    memory_mib: float
    load: LoadCurve
    labels: Mapping[str, str] = field(default_factory=dict)
    dirty_mib_per_s: float = 20.0
    movable: Movable = Movable.LIVE
    why_not: str | None = None
    storage: Literal["shared", "local"] = "shared"
    disk_gib: float = 0.0
    cpu_models: tuple[str, ...] | None = None
    persistent: bool = True
    autostart: bool = False

    @cached_property
    def id(self) -> str:
        return uuid_of(f"vm:{self.name}")

    @cached_property
    def as_ordered(self) -> Vm:
        """The guest without its readings and its place."""
        return Vm(
            name=self.name,
            id=self.id,
            host="nowhere yet",
            vcpus=self.vcpus,
            memory_mib=self.memory_mib,
            dirty_mib_per_s=self.dirty_mib_per_s,
            storage=self.storage,
            disk_gib=self.disk_gib or None,
            dear=1.0 + self.disk_gib * 1024 / self.memory_mib if self.storage == "local" else 1.0,
            why_dear="its disk would be copied" if self.storage == "local" else None,
            cpu_models=self.cpu_models,
            movable=self.movable,
            why_not=self.why_not,
            labels=dict(self.labels),
            autostart=self.autostart,
        )


class Phase(StrEnum):
    """What a server is doing, whoever can see it."""

    OFF = "off"
    BOOTING = "booting"
    UP = "up"
    SHUTTING_DOWN = "shutting down"
    CRASHED = "crashed"  # it has power and does nothing


class BmcFault(StrEnum):
    """What a BMC says instead of doing as it is told."""

    SILENT = "does not answer"
    WRONG_PASSWORD = "wrong user or password"  # nosec B105  # what is said of one
    BUSY = "busy"
    NOT_SUPPORTED = "not supported by this BMC"


class Metrics(StrEnum):
    """What the readings of a thing are worth."""

    TRUE = "true"
    MISSING = "missing"
    ABSURD = "absurd"


@dataclass(eq=False)
class SimHost:
    """A server as it is now, with all that is wrong with it."""

    spec: HostSpec
    bmc_of: str  # the server that its BMC really switches: another one, where two cables were swapped
    phase: Phase = Phase.UP
    since: float = 0.0
    reachable: bool = True
    never_boots: bool = False
    lost: set[str] = field(default_factory=set)  # pools and networks that did not come up
    refuses_soft_shutdown: bool = False
    bmc_fault: BmcFault | None = None
    bmc_is_vague: bool = False
    bmc_lies: bool | None = None  # that its server has power, or that it has none, whatever is true
    metrics: Metrics = Metrics.TRUE
    absurd_value: float = 0.0

    @property
    def has_power(self) -> bool:
        return self.phase is not Phase.OFF

    @property
    def answers(self) -> bool:
        """Whether its hypervisor can be asked."""
        return self.phase is Phase.UP and self.reachable


class GuestState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    SHUT_OFF = "shut off"
    GONE = "gone"  # it was transient, and its host went down


@dataclass(eq=False)
class SimGuest:
    """A guest as it is now. It has one host: that it runs twice cannot be said here."""

    spec: GuestSpec
    host: str
    state: GuestState = GuestState.RUNNING
    disk_job: bool = False
    stale_definitions: set[str] = field(default_factory=set)
    metrics: Metrics = Metrics.TRUE
    absurd_value: float = 0.0
    next_migration: MigrationFate | None = None

    @property
    def is_active(self) -> bool:
        return self.state in {GuestState.RUNNING, GuestState.PAUSED}


@dataclass(frozen=True)
class MigrationFate:
    """How the next migration of a guest will go wrong."""

    stops_at_share: float = 1.0
    error: str = ""
    hangs: bool = False
    arrives: bool = False
    prospect: Prospect = Prospect.UNKNOWN


@dataclass(frozen=True)
class Orders:
    """How a migration is to be made; `agreed_mib_per_s` is what it may expect of the line."""

    kind: MigrationKind = "live"
    options: MigrationOptions = PLAIN
    mib_per_s: float | None = None
    agreed_mib_per_s: float = DEFAULT_MIGRATION_MIB_PER_S


class Leg(StrEnum):
    """What of a guest is being copied, and what it does meanwhile."""

    DISK = "disk"
    MEMORY = "memory"  # as often as it takes, while it writes
    PASS = "pass"  # nosec B105  # once, while it writes
    STOPPED = "stopped"  # what that left, while it stands still
    AT_TARGET = "at target"  # what that left, while it runs on at its target (post-copy)
    DEFINITION = "definition"


@dataclass(eq=False)
class Migration:
    """A guest on its way. `copied_mib` grows while it runs, and stays as it was when it ended."""

    guest: SimGuest
    source: str
    target: str
    orders: Orders
    legs: tuple[tuple[Leg, float], ...]
    fate: MigrationFate = MigrationFate(arrives=True)
    leg_number: int = 0
    copied_mib: float = 0.0
    sent_mib: float = 0.0
    seconds: float = 0.0
    stopped_seconds: float = 0.0
    ended: bool = False
    error: str = ""

    @property
    def work_mib(self) -> float:
        return sum(mib for _, mib in self.legs)

    @property
    def leg(self) -> Leg:
        return self.legs[self.leg_number][0]

    @property
    def last_leg(self) -> Leg:
        return self.legs[-1][0]

    @property
    def leg_ends_at_mib(self) -> float:
        return sum(mib for _, mib in self.legs[: self.leg_number + 1])

    @property
    def interrupts(self) -> bool:
        """Whether its guest, which ran, stands still for a part of it."""
        return self.orders.options.restart or self.leg is Leg.STOPPED

    @property
    def is_cut(self) -> bool:
        """Whether it hangs with a part of its guest at either end."""
        return self.fate.hangs and self.leg is Leg.AT_TARGET and not self.ended

    @property
    def ends(self) -> tuple[str, str]:
        return self.source, self.target

    @property
    def stops_at_mib(self) -> float:
        return self.work_mib * self.fate.stops_at_share

    @property
    def share_done(self) -> float:
        return self.copied_mib / self.work_mib if self.work_mib else 1.0
