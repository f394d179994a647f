"""A host: a server that runs guests, or sleeps."""

from __future__ import annotations

import difflib
from enum import StrEnum
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from balancer.domain.servers import WATTS
from balancer.domain.value import Amount, Flag, Moment, Name, Value

Resource = str
CPU: Resource = "cpu"
MEMORY: Resource = "memory"
VCPUS: Resource = "vcpus"
"""vCPUs promised to guests; what a host has of it is its usable cores, and a policy may allow several on each."""
CPU_DEMAND: Resource = "cpu_demand"
"""Cores that guests would use if none of them waited; what a host has of it is its usable cores."""

RESOURCES: tuple[Resource, ...] = (CPU, MEMORY)
"""What every host is measured in."""

DEFAULT_MIGRATION_MIB_PER_S = 1000.0  # FORMATS: what a host's migration link is taken to carry when nobody says
DEFAULT_BOOT_SECONDS = 180.0  # firmware and operating system of a common server
DEFAULT_OFF_WATTS = 5.0  # a server in soft-off still feeds its BMC


class HostState(StrEnum):
    """What a host is doing."""

    UP = "up"
    MAINTENANCE = "maintenance"
    DRAINING = "draining"
    STANDBY = "standby"
    POWERED_OFF = "powered_off"
    WAKING = "waking"
    UNREACHABLE = "unreachable"


ASLEEP = frozenset({HostState.STANDBY, HostState.POWERED_OFF})


class Reserved(Value):
    """What the hypervisor keeps for itself."""

    cpu_cores: Amount = 0.0
    memory_mib: Amount = 0.0


class Power(Value):
    """What a host draws: a table at 0, 10, ... 100 % CPU, or its two ends."""

    like: str | None = Field(
        default=None, description="a server of a table: dell-r640, dell-r740, ... (see configs/README.md)"
    )
    watts: tuple[Amount, ...] | None = Field(default=None, min_length=2)
    idle_watts: Amount | None = None
    peak_watts: Amount | None = None
    off_watts: Amount = DEFAULT_OFF_WATTS
    boot_seconds: Amount | None = None

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        if self.like is not None:
            self._take_the_table()
        if self.watts is None and self.idle_watts is None:
            raise ValueError("says neither `like: SERVER`, nor `watts: [...]`, nor `idle_watts:` and `peak_watts:`")
        if self.watts is not None and (self.idle_watts is not None or self.peak_watts is not None):
            raise ValueError("says the watts twice: keep either the table or idle and peak")
        return self

    def _take_the_table(self) -> None:
        if self.like not in WATTS:
            near = difflib.get_close_matches(str(self.like), WATTS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(WATTS)}"
            raise ValueError(f"names no server of the table: {self.like}; {hint}")
        if self.watts not in {None, WATTS[self.like]}:
            raise ValueError("says the watts twice: keep either `like` or `watts`")
        self.__dict__["watts"] = WATTS[self.like]

    @property
    def idle(self) -> float:
        """Watts when on and idle."""
        return self.watts[0] if self.watts else (self.idle_watts or 0.0)

    @property
    def varies(self) -> bool:
        """Whether load changes what it draws."""
        return len(set(self.table)) > 1

    @property
    def table(self) -> tuple[float, ...]:
        """Watts at even steps from 0 to 100 % CPU."""
        idle = self.idle
        return self.watts or (idle, idle if self.peak_watts is None else self.peak_watts)

    def at(self, cpu_share: float) -> float:
        """Return the watts drawn at a CPU share (0 to 1), linear between the points of the table."""
        points = self.table
        place = min(max(cpu_share, 0.0), 1.0) * (len(points) - 1)
        for step, (low, high) in enumerate(pairwise(points)):
            if place <= step + 1:
                return low + (place - step) * (high - low)
        return points[-1]


class Host(Value):
    """A host as last seen. `usable` is its total less what the hypervisor keeps for itself."""

    name: Name
    id: str | None = None
    state: HostState = HostState.UP
    seen_at: Moment | None = None
    cpu_cores: Amount
    memory_mib: Amount
    reserved: Reserved = Reserved()
    cpu_used_cores: Amount | None = Field(default=None, description="the host's own reading, in cores in use")
    memory_used_mib: Amount | None = Field(default=None, description="the host's own reading")
    swing_cores: Amount = Field(
        default=0.0, description="kept free for guests that need more than expected at once; comes with `demand`"
    )
    labels: dict[str, str] = {}
    cpu_model: str | None = None
    cpu_digest: str | None = Field(default=None, description="equal on hosts between which host-passthrough may move")
    networks: tuple[str, ...] | None = None
    pools: tuple[str, ...] | None = None
    resources: dict[str, Amount] = {}
    power: Power | None = None
    migration_mib_per_s: Amount = DEFAULT_MIGRATION_MIB_PER_S
    may_sleep: Flag | None = Field(default=None, description="absent: nobody said no, so a plan may propose it")
    sleep_blocked_by: str | None = Field(default=None, description="why it may not sleep now, although `may_sleep`")
    quarantined: str | None = Field(
        default=None, description="why it left the power scheme: it is woken only where no other host can be"
    )
    switchable: Flag = Field(default=False, description="the site file names a BMC, or another way to switch its power")
    wake_proven_at: Moment | None = None
    asleep_by_us: Flag = False
    boot_seconds_seen: Amount | None = Field(default=None, description="how long it took to wake, as measured")
    cordoned: Flag = Field(default=False, description="no guest may be placed or started here")
    drained: Flag = Field(
        default=False, description="an operator wants it empty: its guests leave, it is neither put to sleep nor woken"
    )

    shunned: str | None = Field(default=None, description="why no guest is brought here for a while; absent: some may")

    @property
    def usable_cores(self) -> float:
        return max(0.0, self.cpu_cores - self.reserved.cpu_cores)

    @property
    def usable_memory_mib(self) -> float:
        return max(0.0, self.memory_mib - self.reserved.memory_mib)

    def usable(self, resource: Resource) -> float:
        """Return what guests may use of a resource, in its own unit."""
        if resource in {CPU, VCPUS, CPU_DEMAND}:
            return self.usable_cores
        return self.usable_memory_mib if resource == MEMORY else self.resources.get(resource, 0.0)

    @property
    def is_on(self) -> bool:
        """Whether it draws idle power and counts in the imbalance; an unreachable host counts as busy."""
        return self.state not in ASLEEP

    @property
    def takes_guests(self) -> bool:
        """Whether guests may be moved here now."""
        return self.state is HostState.UP and not self.cordoned and not self.drained and self.shunned is None

    @property
    def is_being_emptied(self) -> bool:
        """Whether guests have to leave it, and its room is not to be counted on."""
        return (self.drained and self.is_on) or self.state in {HostState.DRAINING, HostState.MAINTENANCE}

    @property
    def idle_watts(self) -> float:
        """Watts when on and idle; 1.0 without power data, so that each host weighs the same."""
        return self.power.idle if self.power else 1.0

    @property
    def boot_seconds(self) -> float:
        """How long it takes to wake: as measured, as stated, or what servers commonly take."""
        if self.boot_seconds_seen is not None:
            return self.boot_seconds_seen
        stated = self.power.boot_seconds if self.power else None
        return DEFAULT_BOOT_SECONDS if stated is None else stated

    def label(self, key: str) -> str | None:
        """Return the host's domain across `key`: its own name across `host`, else the label's value."""
        return self.name if key == "host" else self.labels.get(key)


class Link(Value):
    """What the line between two sites carries."""

    sites: tuple[Name, Name]
    mib_per_s: Amount
    rtt_ms: Amount = 0.0


DoubtKind = Literal["missing", "stale", "absurd", "unreachable", "clash", "skewed", "duplicate", "unknown", "other"]
