"""Recorded load laid on hosts: what each guest is ordered with, and where it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from balancer.domain.rehearsal_file import Failures, GuestSize, RehearsalFile
from balancer.domain.rehearsed import Odd, Oddity
from balancer.errors import Fault, InputError
from balancer.simulation.machines import GuestSpec, HostSpec
from balancer.simulation.traces.base import Floats, Trace, TracedGuest

NO_FAILURES = Failures()


@dataclass(frozen=True, eq=False)
class AsSeen:
    """What a hypervisor says that a guest uses: the mean of the step that is over, or of the one that runs.

    Nothing was measured before a guest's first step: then that one counts.
    """

    needs: Floats
    begin: datetime
    step_seconds: float
    is_strict: bool

    def __call__(self, moment: datetime) -> float:
        step = int((moment - self.begin).total_seconds() // self.step_seconds)
        step = min(max(step, 0), len(self.needs) - 1)
        seen = float(self.needs[max(step - 1, 0)]) if self.is_strict else float(self.needs[step])
        seen = float(self.needs[step]) if math.isnan(seen) else seen
        return 0.0 if math.isnan(seen) else seen


@dataclass(frozen=True)
class Laid:
    """A record on hosts. `needs` are cores by step and guest, NaN where the guest is not there."""

    name: str
    begin: datetime
    step_seconds: float
    hosts: tuple[HostSpec, ...]
    guests: tuple[GuestSpec, ...]
    sizes: tuple[GuestSize, ...]
    needs: Floats
    homes: dict[str, str] = field(default_factory=dict)  # of guests whose first host is known
    asleep: frozenset[str] | None = None  # hosts that sleep at the start; None: those that are empty
    copying_share: float = 0.0
    failures: Failures = NO_FAILURES
    is_strict: bool = True
    oddities: tuple[Oddity, ...] = ()

    @property
    def steps(self) -> int:
        return len(self.needs)


def laid_on(trace: Trace, file: RehearsalFile) -> Laid:
    """Lay a record on the hosts of a site description. InputError where a guest's size is said nowhere."""
    sizes = [size_of(trace, file, place) for place in range(len(trace.guests))]
    missing = [guest.name for guest, size in zip(trace.guests, sizes, strict=True) if size is None]
    if missing:
        way = "write `guests: {otherwise: {cores: ..., memory_mib: ...}}`"
        raise InputError([Fault(file.name, f"nothing says how large {missing[0]} is", way)])
    known = [size for size in sizes if size is not None]
    needs = trace.needs * np.array([size.cores for size in known], dtype=np.float32) if trace.is_share else trace.needs
    above = np.flatnonzero(np.nanmax(needs, axis=0) > np.array([math.ceil(size.cores) * 1.05 for size in known]))
    odd = tuple(
        Oddity(what=Odd.ABOVE_ITS_SIZE, guest=trace.guests[place].name, made_of_it="is given what it has vCPUs for")
        for place in above.tolist()
    )
    needs = np.minimum(needs, np.array([math.ceil(size.cores) for size in known], dtype=np.float32))
    guests = tuple(
        _guest(guest, size, AsSeen(needs[:, place].copy(), trace.begin, trace.step_seconds, file.strict_timing), file)
        for place, (guest, size) in enumerate(zip(trace.guests, known, strict=True))
    )
    return Laid(
        name=trace.name,
        begin=trace.begin,
        step_seconds=trace.step_seconds,
        hosts=hosts_of(file),
        guests=guests,
        sizes=tuple(known),
        needs=needs,
        asleep=None if file.empty_hosts_start == "off" else frozenset(),
        copying_share=file.guests.copying_share,
        failures=file.failures,
        is_strict=file.strict_timing,
        oddities=(*trace.oddities, *odd),
    )


def size_of(trace: Trace, file: RehearsalFile, place: int) -> GuestSize | None:
    """Return what a guest is ordered with: by its block, by the record, or as the file says for the others."""
    blocks, guest = file.guests.blocks, trace.guests[place]
    if blocks:
        return blocks[min(place // -(-len(trace.guests) // len(blocks)), len(blocks) - 1)]
    otherwise = file.guests.otherwise
    cores = guest.cores or (otherwise and otherwise.cores)
    memory_mib = guest.memory_mib or (otherwise and otherwise.memory_mib)
    return GuestSize(cores=cores, memory_mib=memory_mib) if cores and memory_mib else None


def hosts_of(file: RehearsalFile) -> tuple[HostSpec, ...]:
    """Return the hosts of a site description."""
    return tuple(
        HostSpec(
            name=name,
            cores=model.cpu_cores,
            memory_mib=model.memory_mib,
            labels={"model": model.model, **model.labels},
            power=model.power,
            boot_seconds=model.boot_seconds,
            shutdown_seconds=model.shutdown_seconds,
            migration_mib_per_s=file.migration_mib_per_s,
            may_sleep=model.may_sleep,
            hypervisor_cores=model.hypervisor_cores,
            hypervisor_memory_mib=model.hypervisor_memory_mib,
        )
        for name, model in file.all_hosts
    )


def _guest(guest: TracedGuest, size: GuestSize, load: AsSeen, file: RehearsalFile) -> GuestSpec:
    return GuestSpec(
        name=guest.name,
        vcpus=math.ceil(size.cores),
        memory_mib=size.memory_mib,
        load=load,
        dirty_mib_per_s=file.guests.dirty_mib_per_s,
    )


@dataclass
class Shelves:
    """What is free on each host, nominally."""

    cores: list[float]
    memory_mib: list[float]

    @classmethod
    def empty(cls, hosts: Sequence[HostSpec]) -> Shelves:
        return cls(
            [host.cores - host.hypervisor_cores for host in hosts],
            [host.memory_mib - host.hypervisor_memory_mib for host in hosts],
        )

    def take(self, place: int, size: GuestSize) -> None:
        self.cores[place] -= size.cores
        self.memory_mib[place] -= size.memory_mib

    def first_fit(self, size: GuestSize, places: Sequence[int]) -> int | None:
        """Return the first host with room for all of a guest; else the one with most cores left that has its memory."""
        fits = [place for place in places if self.memory_mib[place] >= size.memory_mib]
        whole = next((place for place in fits if self.cores[place] >= size.cores), None)
        return whole if whole is not None else max(fits, key=lambda place: self.cores[place], default=None)


def first_homes(laid: Laid) -> dict[str, str]:
    """Return where the guests of the first step start: the largest first, each on the first host that has it free."""
    shelves = Shelves.empty(laid.hosts)
    places = {host.name: place for place, host in enumerate(laid.hosts)}
    there = np.flatnonzero(~np.isnan(laid.needs[0])).tolist()
    homes = {}
    for guest in sorted(there, key=lambda each: (-laid.sizes[each].cores, -laid.sizes[each].memory_mib, each)):
        name, size = laid.guests[guest].name, laid.sizes[guest]
        home = places.get(laid.homes.get(name, ""))
        if home is None:
            home = shelves.first_fit(size, range(len(laid.hosts)))
        if home is not None:
            shelves.take(home, size)
            homes[name] = laid.hosts[home].name
    return homes
