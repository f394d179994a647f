"""A guest: a virtual machine."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from balancer.domain.host import CPU, CPU_DEMAND, MEMORY, VCPUS, Resource
from balancer.domain.value import Amount, Flag, Name, Value

ABSURD_ABOVE = 1.5  # times its vCPUs


class VmState(StrEnum):
    """What a guest is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUT_OFF = "shut_off"
    MIGRATING = "migrating"
    UNKNOWN = "unknown"


class Movable(StrEnum):
    """How a guest can go elsewhere."""

    LIVE = "live"
    COLD = "cold"
    NEVER = "never"


class CpuMode(StrEnum):
    CUSTOM = "custom"
    HOST_MODEL = "host-model"
    HOST_PASSTHROUGH = "host-passthrough"


def _minutes_of(horizon: str) -> float:
    """Read `15m` or `8h`."""
    return float(horizon[:-1]) * (60.0 if horizon.endswith("h") else 1.0)


class Demand(Value):
    """What the balancer expects a guest to need, and how sure it is."""

    cpu_cores: Amount
    sigma: Amount = 0.0
    by_horizon: dict[str, Amount] = {}

    def cores_within(self, minutes: float) -> float:
        """Return the most that is expected within so many minutes: between two horizons it is on a straight line."""
        known = sorted((_minutes_of(horizon), cores) for horizon, cores in self.by_horizon.items())
        passed = [cores for at, cores in known if at <= minutes]
        between = [
            low + (high - low) * (minutes - begin) / (end - begin)
            for (begin, low), (end, high) in pairwise(known)
            if begin < minutes < end
        ]
        return max((self.cpu_cores, *passed, *between))


class Vm(Value):
    """A guest as last seen."""

    name: Name
    id: str | None = None
    host: Name
    state: VmState = VmState.RUNNING
    moving_to: Name | None = None
    migration_phase: str | None = None
    vcpus: Annotated[int, Field(strict=True, ge=1)]
    memory_mib: Amount = Field(description="assigned")
    memory_used_mib: Amount | None = None
    overhead_mib: Amount = 0.0
    cpu_used_cores: Amount | None = None
    demand: Demand | None = None
    cpu_wait_share: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] | None = None
    dirty_mib_per_s: Amount | None = None
    storage: Literal["shared", "local"] = "shared"
    disk_gib: Amount | None = None
    cpu_models: tuple[str, ...] | None = Field(
        default=None, description="CPU models, or digests, of the hosts that it can run on; absent: any"
    )
    cpu_mode: CpuMode = CpuMode.CUSTOM
    movable: Movable = Movable.LIVE
    why_not: str | None = None
    labels: dict[str, str] = {}
    networks: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    autostart: Flag = False
    resources: dict[str, Amount] = {}
    asks: dict[str, str] = Field(
        default={}, description="what its own metadata asks for (`movable: never`); the policy says what is believed"
    )
    dear: Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False)] = Field(
        default=1.0, description="how many times dearer than its memory a move of it is"
    )
    why_dear: str | None = None

    @property
    def key(self) -> str:
        """What journal, history and cool-downs know it by: its UUID where it has one."""
        return self.id or self.name

    @property
    def is_active(self) -> bool:
        """Whether it runs, or might: only a guest seen shut off is certainly not running."""
        return self.state is not VmState.SHUT_OFF

    @property
    def is_in_flight(self) -> bool:
        return self.moving_to is not None

    @property
    def at_the_end(self) -> str:
        """Where it will be once it has arrived; where it is, when it is not on its way."""
        return self.moving_to or self.host

    def need(self, resource: Resource) -> float:
        """Return what it is expected to need: cores, or MiB of assigned memory.

        A guest that was not measured counts as busy on all its vCPUs, never as idle; one shut off needs nothing.
        """
        if not self.is_active:
            return 0.0
        if resource in {CPU, CPU_DEMAND}:
            return self._expected_cores() if resource == CPU else self._cores_without_waiting()
        if resource == VCPUS:
            return float(self.vcpus)
        return self.memory_mib + self.overhead_mib if resource == MEMORY else self.resources.get(resource, 0.0)

    @property
    def is_absurd(self) -> bool:
        """Whether it is said to use more than it has; no counter is off by half."""
        return self.cpu_used_cores is not None and self.cpu_used_cores > ABSURD_ABOVE * self.vcpus

    def _expected_cores(self) -> float:
        if self.demand is not None:
            return self.demand.cpu_cores
        return float(self.vcpus) if self.cpu_used_cores is None or self.is_absurd else self.cpu_used_cores

    def _cores_without_waiting(self) -> float:
        """Return the cores that it runs on and those that it waits for; with all its vCPUs it can ask for no more."""
        cores = self._expected_cores()
        return max(cores, min(cores + (self.cpu_wait_share or 0.0) * self.vcpus, float(self.vcpus)))

    def measured(self, resource: Resource) -> float:
        """Return its part of the host's own reading, which is what the host's fixed load is found from."""
        if resource == CPU and self.is_active and self.cpu_used_cores is not None and not self.is_absurd:
            return self.cpu_used_cores
        return self.need(resource)
