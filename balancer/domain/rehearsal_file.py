"""`balancer.rehearsal/1`: the hosts that recorded load is laid on, and how its guests are sized."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from balancer.domain.host import DEFAULT_MIGRATION_MIB_PER_S, Power
from balancer.domain.value import Amount, Flag, Name, Share, Value

REHEARSAL_SCHEMA: Final = "balancer.rehearsal/1"


class HostModel(Value):
    """A server as it is bought."""

    model: Name
    cpu_cores: Annotated[float, Field(gt=0, description="in cores of `mhz_a_core`", examples=[32])]
    memory_mib: Annotated[float, Field(gt=0)]
    power: Power
    boot_seconds: Amount = 180.0
    shutdown_seconds: Amount = 45.0
    hypervisor_cores: Amount = 0.0
    hypervisor_memory_mib: Amount = 0.0
    labels: dict[str, str] = {}
    may_sleep: Flag = True


class HostGroup(Value):
    """Some hosts; those of several models take turns."""

    count: Annotated[int, Field(ge=1)]
    models: Annotated[tuple[HostModel, ...], Field(min_length=1)]
    name: Name = Field(default="h", description="of the hosts, before their number")


class GuestSize(Value):
    """What a guest is ordered with."""

    cores: Annotated[float, Field(gt=0, description="what 100 % of it are, in cores")]
    memory_mib: Annotated[float, Field(gt=0)]


class Guests(Value):
    """How guests are sized: in equal consecutive blocks of their sorted names, else by the record itself."""

    blocks: tuple[GuestSize, ...] = Field(default=(), description="absent: the record says their sizes")
    otherwise: GuestSize | None = Field(default=None, description="for guests whose size the record does not say")
    dirty_mib_per_s: Amount = Field(default=0.0, description="0: a migration takes memory / line")
    copying_share: Share = Field(default=0.0, description="of its need, what a guest on its way costs its source more")


class Failures(Value):
    """How often things go wrong, drawn by the seed."""

    migrations: Share = 0.0
    boots: Share = 0.0


class RehearsalFile(Value):
    """The site that a record is replayed on."""

    schema_: Literal["balancer.rehearsal/1"] = Field(default=REHEARSAL_SCHEMA, alias="schema")
    name: Name
    mhz_a_core: Annotated[float, Field(gt=0, description="of records that say MHz without the speed of a core")] = (
        1000.0
    )
    hosts: Annotated[tuple[HostGroup, ...], Field(min_length=1)]
    guests: Guests = Guests()
    migration_mib_per_s: Amount = DEFAULT_MIGRATION_MIB_PER_S
    empty_hosts_start: Literal["on", "off"] = "off"
    strict_timing: Flag = Field(
        default=True, description="a decision sees the steps that are over; false: it sees the one that begins, too"
    )
    failures: Failures = Failures()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [group.name for group in self.hosts]
        if len(set(names)) < len(names):
            raise ValueError("has two groups of hosts with the same `name`")
        return self

    @property
    def all_hosts(self) -> tuple[tuple[str, HostModel], ...]:
        """Every host with its name, in order; one that is alone in its group has the group's name."""
        return tuple(
            (
                group.name if group.count == 1 else f"{group.name}{number:0{len(str(group.count - 1))}d}",
                group.models[number % len(group.models)],
            )
            for group in self.hosts
            for number in range(group.count)
        )
