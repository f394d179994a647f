"""A cluster as it was seen at one moment. Change gives you the next one; this one stays as it was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, StringConstraints, field_validator, model_validator

from balancer.domain.host import ASLEEP, CPU, CPU_DEMAND, MEMORY, RESOURCES, DoubtKind, Host, HostState, Link, Resource
from balancer.domain.placement import Move
from balancer.domain.reach import why_cannot_run
from balancer.domain.value import Moment, Name, Value
from balancer.domain.vm import Vm, VmState

SNAPSHOT_SCHEMA: Final = "balancer.snapshot/1"


class Doubt(Value):
    """Something that was seen and cannot be believed. Its subject is frozen, and nothing is put to sleep anywhere."""

    subject: Annotated[str, StringConstraints(pattern=r"^(host|vm|site):.+$")] = Field(description="host:h7 or vm:db1")
    kind: DoubtKind
    detail: str = ""


class Cluster(Value):
    """Hosts and guests at one moment (`balancer.snapshot/1`)."""

    schema_: Literal["balancer.snapshot/1"] = Field(default=SNAPSHOT_SCHEMA, alias="schema")
    taken_at: Moment
    cluster: Name
    hosts: tuple[Host, ...]
    vms: tuple[Vm, ...] = ()
    links: tuple[Link, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    # -- finding things

    @cached_property
    def host_by_name(self) -> Mapping[str, Host]:
        return {host.name: host for host in self.hosts}

    @cached_property
    def _place_of_vm(self) -> Mapping[str, int]:
        return {vm.name: place for place, vm in enumerate(self.vms)}

    def host(self, name: str) -> Host:
        """Return a host by name; KeyError where there is none."""
        return self.host_by_name[name]

    def vm(self, name: str) -> Vm:
        """Return a guest by name; KeyError where there is none."""
        return self.vms[self._place_of_vm[name]]

    @property
    def vm_names(self) -> Collection[str]:
        return self._place_of_vm.keys()

    def has_vm(self, name: str) -> bool:
        return name in self._place_of_vm

    def has_host(self, name: str) -> bool:
        return name in self.host_by_name

    @cached_property
    def _labelled(self) -> dict[tuple[tuple[str, str], ...], tuple[str, ...]]:
        return {}

    def vms_labelled(self, wanted: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of the guests that bear all these labels."""
        key = tuple(sorted(wanted.items()))
        if key not in self._labelled:
            found = tuple(vm.name for vm in self.vms if wanted.items() <= vm.labels.items())
            self._labelled[key] = found
        return self._labelled[key]

    @cached_property
    def _across(self) -> dict[str, tuple[frozenset[str], ...]]:
        return {}

    def hosts_across(self, key: str) -> tuple[frozenset[str], ...]:
        """Return the hosts of each domain across `key`; of hosts that nobody labelled nobody knows that they differ."""
        if key not in self._across:
            domains: dict[str | None, set[str]] = defaultdict(set)
            for host in self.hosts:
                domains[host.label(key) or None].add(host.name)
            self._across[key] = tuple(map(frozenset, domains.values()))
        return self._across[key]

    @cached_property
    def asking(self) -> tuple[tuple[str, Mapping[str, str]], ...]:
        """Guests whose own metadata asks for something, and what."""
        return tuple((vm.name, vm.asks) for vm in self.vms if vm.asks)

    @cached_property
    def in_flight(self) -> frozenset[str]:
        """The names of the guests that are on their way."""
        return frozenset(vm.name for vm in self.vms if vm.is_in_flight)

    @cached_property
    def _guests(self) -> Mapping[str, tuple[Vm, ...]]:
        at: dict[str, list[Vm]] = defaultdict(list)
        for vm in self.vms:
            at[vm.host].append(vm)
            if vm.moving_to is not None and vm.moving_to != vm.host:
                at[vm.moving_to].append(vm)
        return {name: tuple(vms) for name, vms in at.items()}

    def guests_of(self, host: str) -> tuple[Vm, ...]:
        """Return all guests that a host carries or is defined to carry; one in flight is carried by both ends."""
        return self._guests.get(host, ())

    def active_on(self, host: str) -> tuple[Vm, ...]:
        """Return the guests that run on a host or are on their way to it."""
        return tuple(vm for vm in self.guests_of(host) if vm.is_active)

    # -- measuring

    def fixed_load(self, host: Host, resource: Resource) -> float:
        """Return the part of a host's own reading that its guests do not explain; guests come on top of it."""
        reading = {CPU: host.cpu_used_cores, MEMORY: host.memory_used_mib}.get(resource)
        if reading is None:
            return 0.0
        return max(
            0.0, reading - sum(vm.measured(resource) for vm in self.guests_of(host.name) if vm.host == host.name)
        )

    @cached_property
    def _fixed(self) -> dict[tuple[str, Resource], float]:
        return {(host.name, r): self.fixed_load(host, r) for host in self.hosts for r in RESOURCES}

    @cached_property
    def _used(self) -> dict[tuple[str, Resource], float]:
        return {}

    def used(self, host: Host, resource: Resource) -> float:
        """Return what is in use, or promised, on a host: fixed load plus its guests, those in flight at both ends."""
        key = (host.name, resource)
        if key not in self._used:
            own = self._fixed.get((host.name, CPU if resource == CPU_DEMAND else resource), 0.0)
            self._used[key] = own + sum(self._needed_by(self.guests_of(host.name), resource))
        return self._used[key]

    @cached_property
    def _needs(self) -> dict[Resource, dict[str, float]]:
        return {}

    def _needed_by(self, guests: Iterable[Vm], resource: Resource) -> Iterator[float]:
        """Yield what guests need; it is the same wherever they are, so each is asked once."""
        needs = self._needs.setdefault(resource, {})
        for vm in guests:
            if vm.name not in needs:
                needs[vm.name] = vm.need(resource)
            yield needs[vm.name]

    def utilisation(self, host: Host, resource: Resource) -> float:
        """Return used / usable; 0 for a host with nothing usable and nothing used, infinite when it has load."""
        usable, used = host.usable(resource), self.used(host, resource)
        if usable <= 0:
            return 0.0 if used <= 0 else float("inf")
        return used / usable

    def imbalance(self, resource: Resource) -> float:
        """Return the population standard deviation of used / usable over the hosts that are on."""
        shares = [self.utilisation(host, resource) for host in self.hosts if host.is_on and host.usable(resource) > 0]
        return float(np.std(shares)) if shares else 0.0

    def watts(self) -> float:
        """Return the watts that the cluster draws at its present load; hosts without power data draw nothing known."""
        return sum(map(self.watts_of, self.hosts))

    def watts_of(self, host: Host) -> float:
        """Return the watts that a host draws at its present load; 0 where nobody knows its curve."""
        if host.power is None:
            return 0.0
        if not host.is_on:
            return host.power.off_watts
        return host.power.at(min(1.0, self.used(host, CPU) / host.cpu_cores) if host.cpu_cores > 0 else 0.0)

    # -- doubting

    @model_validator(mode="after")
    def _absurd_numbers_are_doubted(self) -> Self:
        """A snapshot may come from anywhere: a guest that uses more than it has is doubted, whoever wrote it down."""
        known = {doubt.subject for doubt in self.doubts}
        absurd = [vm for vm in self.vms if vm.is_absurd and f"vm:{vm.name}" not in known]
        if absurd:
            details = [(vm.name, f"said to use {vm.cpu_used_cores:g} cores with {vm.vcpus} vCPUs") for vm in absurd]
            found = (Doubt(subject=f"vm:{name}", kind="absurd", detail=detail) for name, detail in details)
            object.__setattr__(self, "doubts", (*self.doubts, *found))
        return self

    @cached_property
    def doubted(self) -> frozenset[str]:
        """The subjects of doubts, `host:h7` or `vm:db1`."""
        return frozenset(doubt.subject for doubt in self.doubts)

    @cached_property
    def doubted_hosts(self) -> frozenset[str]:
        """The names of the hosts that are in doubt."""
        return frozenset(host.name for host in self.hosts if self.is_doubted(host))

    def doubts_about(self, *subjects: str) -> str:
        """Say what is doubted of some subjects, in words; empty where nothing is."""
        about = [doubt for doubt in self.doubts if doubt.subject in subjects]
        return "; ".join(f"{doubt.subject.partition(':')[2]}: {doubt.detail or doubt.kind}" for doubt in about)

    def is_frozen(self, vm: Vm) -> bool:
        """Whether a doubt about the guest, its host or its goal forbids to touch it."""
        if not self.doubted:
            return False
        ends = {f"vm:{vm.name}", f"host:{vm.host}"} | ({f"host:{vm.moving_to}"} if vm.moving_to else set())
        return bool(ends & self.doubted)

    def why_cannot_run(self, vm: Vm, host: Host) -> str:
        """Say why a guest could not run on a host at all; empty where it could."""
        return why_cannot_run(vm, self.host(vm.host), host)

    def is_doubted(self, host: Host) -> bool:
        return f"host:{host.name}" in self.doubted or host.state is HostState.UNREACHABLE

    # -- changing: the next cluster, this one stays

    def after(self, *moves: Move) -> Cluster:
        """Return the cluster with these moves done."""
        return self.underway(moves, ())

    def while_moving(self, *moves: Move) -> Cluster:
        """Return the cluster with these moves in flight: each guest counts in full at both ends."""
        return self.underway((), moves)

    def underway(self, done: Iterable[Move], in_flight: Iterable[Move]) -> Cluster:
        """Return the cluster with some moves done and others in flight; of one guest the former come first."""
        changes: dict[str, dict[str, Any]] = {
            m.vm: {"host": m.target, "moving_to": None, "migration_phase": None, "state": self._settled(m.vm)}
            for m in done
        }
        for m in in_flight:
            changes.setdefault(m.vm, {}).update(moving_to=m.target, state=self._in_flight(m.vm))
        return self._with_vms(changes)

    def _in_flight(self, vm: str) -> VmState:
        return VmState.MIGRATING if self.vm(vm).is_active else VmState.SHUT_OFF

    def _settled(self, vm: str) -> VmState:
        state = self.vm(vm).state
        return VmState.RUNNING if state is VmState.MIGRATING else state

    def with_hosts(self, state: HostState, *names: str) -> Cluster:
        """Return the cluster with these hosts in a state; one that is switched off has no load of its own."""
        reading = {"cpu_used_cores": 0.0, "memory_used_mib": 0.0} if state in ASLEEP else {}
        return self.with_changed_hosts({name: {"state": state, **reading} for name in names})

    def with_host(self, name: str, **changes: Any) -> Cluster:
        """Return the cluster with some fields of one host changed."""
        return self.with_changed_hosts({name: changes})

    def with_changed_hosts(self, changes: Mapping[str, Mapping[str, Any]]) -> Cluster:
        """Return the cluster with some fields of some hosts changed."""
        hosts = tuple(h.model_copy(update=changes[h.name]) if h.name in changes else h for h in self.hosts)
        later = self._next({"hosts": hosts}, touched=changes.keys())
        for host in hosts:
            if "cpu_used_cores" in changes.get(host.name, {}):
                later._fixed.update({(host.name, r): later.fixed_load(host, r) for r in RESOURCES})
        return later

    def _with_vms(self, changes: Mapping[str, Mapping[str, Any]]) -> Cluster:
        vms, touched, changed = list(self.vms), set[str](), dict[str, Vm]()
        for name, change in changes.items():
            place = self._place_of_vm[name]
            before, vms[place] = vms[place], vms[place].model_copy(update=change)
            changed[name] = vms[place]
            touched |= _ends(before) | _ends(vms[place])
        later = self._next({"vms": tuple(vms)}, touched)
        flying = {name for name, vm in changed.items() if vm.is_in_flight}
        later.__dict__["in_flight"] = self.in_flight - changed.keys() | flying
        later.__dict__["_guests"] = self._guests_with(changed, touched)
        return later

    def _guests_with(self, changed: Mapping[str, Vm], touched: set[str]) -> Mapping[str, tuple[Vm, ...]]:
        """Return the guests of all hosts, those of the touched ones put together anew."""
        came: dict[str, list[Vm]] = defaultdict(list)
        for vm in changed.values():
            for end in _ends(vm):
                came[end].append(vm)
        guests = dict(self._guests)
        for host in touched:
            here = [vm for vm in guests.get(host, ()) if vm.name not in changed]
            guests[host] = tuple(sorted([*here, *came[host]], key=self._place_of))
        return guests

    def _place_of(self, vm: Vm) -> int:
        return self._place_of_vm[vm.name]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a changed copy; nothing that was found out about this cluster is taken over."""
        copy = super().model_copy(update=update, deep=deep)
        for derived in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[derived]
        return copy

    def _next(self, update: Mapping[str, Any], touched: Collection[str]) -> Cluster:
        """Return a changed copy that keeps what has been found out about everything that was not touched."""
        # A guest that leaves takes its part of the reading along: the fixed load that was found stays what it is.
        fixed = dict(self._fixed)
        used = {key: load for key, load in self._used.items() if key[0] not in touched}
        later = self.model_copy(update=update)
        later.__dict__ |= {
            "_fixed": fixed,
            "_used": used,
            "_labelled": self._labelled,
            "_needs": self._needs,
            "asking": self.asking,
            "_place_of_vm": self._place_of_vm,
        }
        if "vms" not in update:
            later.__dict__ |= {"_guests": self._guests, "in_flight": self.in_flight}
        if "hosts" not in update:
            later.__dict__["host_by_name"] = self.host_by_name
        return later

    # -- the door

    @field_validator("hosts")
    @classmethod
    def _host_names_are_unique(cls, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        _refuse_twins("host", [host.name for host in hosts])
        return hosts

    @field_validator("vms")
    @classmethod
    def _vm_names_are_unique(cls, vms: tuple[Vm, ...]) -> tuple[Vm, ...]:
        _refuse_twins("guest", [vm.name for vm in vms])
        return vms

    @model_validator(mode="after")
    def _guests_live_on_known_hosts(self) -> Self:
        known = {host.name for host in self.hosts}
        lost = sorted({vm.name for vm in self.vms if vm.host not in known or (vm.moving_to or vm.host) not in known})
        if lost:
            more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
            raise ValueError(f"guests on hosts that the snapshot does not list: {', '.join(lost[:5])}{more}")
        return self


def _ends(vm: Vm) -> set[str]:
    return {vm.host, vm.moving_to or vm.host}


def _refuse_twins(thing: str, names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twins:
        raise ValueError(f"{thing} names occur twice: {', '.join(twins[:5])}")
