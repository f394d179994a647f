"""Guests: where each was settled to be, and what its host says of it, make one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from balancer.domain.cluster import Doubt
from balancer.domain.host import DoubtKind, Host
from balancer.domain.units import MIB_PER_GIB
from balancer.domain.vm import Movable, Vm, VmState
from balancer.platforms.libvirt.definition import CpuAsked
from balancer.platforms.libvirt.jobs import Part
from balancer.platforms.libvirt.looking import HostLook, Sighting
from balancer.platforms.libvirt.rates import GuestRate, Rates
from balancer.platforms.libvirt.settling import Settled

DEAR = 5.0  # times the memory: pinned cores or huge pages have to be free at the target too, and seldom are
_UNREAD = {"state": VmState.UNKNOWN, "cpu_used_cores": None, "cpu_wait_share": None}


@dataclass(frozen=True)
class Seen:
    """All that one observation has brought: looks by host, failures in words by host, rates by host."""

    looks: Mapping[str, HostLook]
    failures: Mapping[str, str]
    rates: Mapping[str, Rates]
    cpus: Mapping[CpuAsked, Mapping[str, bool]] = field(default_factory=dict)
    """For each CPU that a guest was given: which kinds of hosts (by CPU digest) could give it."""

    def able_hosts(self, cpu: CpuAsked | None) -> tuple[str, ...] | None:
        """Return the digests of the hosts that can give a CPU; None where all can, or none could be asked."""
        answers = self.cpus.get(cpu, {}) if cpu is not None else {}
        return None if all(answers.values()) else tuple(sorted(kind for kind, able in answers.items() if able))


@dataclass(frozen=True)
class Memory:
    """What the last observation knew; names are the guests' own, as yet without a suffix."""

    hosts: Mapping[str, Host] = field(default_factory=dict)
    vms: Mapping[str, Vm] = field(default_factory=dict)  # by UUID

    def home_of(self, vm_id: str) -> str | None:
        return self.vms[vm_id].host if vm_id in self.vms else None


@dataclass
class Doubts:
    """Doubts as they come up; guests are known by UUID until their names are settled."""

    of_hosts: list[tuple[str, DoubtKind, str]] = field(default_factory=list)
    of_vms: list[tuple[str, DoubtKind, str]] = field(default_factory=list)

    def in_words(self, names: Mapping[str, str]) -> tuple[Doubt, ...]:
        hosts = (Doubt(subject=f"host:{host}", kind=kind, detail=detail) for host, kind, detail in self.of_hosts)
        vms = (Doubt(subject=f"vm:{names[vm]}", kind=kind, detail=detail) for vm, kind, detail in self.of_vms)
        return (*hosts, *vms)


def vm_seen(place: Settled, seen: Seen, memory: Memory, doubts: Doubts) -> Vm:
    home = place.home
    if place.clash:
        doubts.of_vms.append((home.id, "clash", place.clash))
        doubts.of_hosts.extend((host, "clash", f"{home.name}: {place.clash}") for host in place.clashing)
    left = memory.vms.get(home.id)
    if home.part is Part.INCOMING and place.moving_to is None:
        return _half_seen(home, left, seen)
    rates = seen.rates[home.host].guests
    rate = rates[home.run_key] if home.run_key in rates else GuestRate()
    if rate.absurd:
        doubts.of_vms.append((home.id, "absurd", rate.absurd))
    elif rate.cores is None and home.state is VmState.RUNNING:
        doubts.of_vms.append((home.id, "missing", "its hypervisor does not say how busy it is"))
    guest = _as_seen(home, rate, place.moving_to, seen)
    # A guest that moved has a new QEMU, which has not measured it yet: what the old one found holds meanwhile.
    if guest.dirty_mib_per_s is None and left is not None and guest.is_active:
        return guest.model_copy(update={"dirty_mib_per_s": left.dirty_mib_per_s})
    return guest


def _half_seen(home: Sighting, left: Vm | None, seen: Seen) -> Vm:
    """A guest of which only the arriving end is seen: its source does not answer, or is not ours."""
    if left is not None and left.host in seen.failures:
        return left.model_copy(update={**_UNREAD, "moving_to": home.host, "state": VmState.MIGRATING})
    return _as_seen(home, GuestRate(), None, seen).model_copy(update={"state": VmState.UNKNOWN})


def _as_seen(home: Sighting, rate: GuestRate, moving_to: str | None, seen: Seen) -> Vm:
    definition = home.definition
    movable, why_not = _movable(home)
    return Vm(
        name=home.name,
        id=home.id,
        host=home.host,
        state=VmState.MIGRATING if moving_to and home.is_active else home.state,
        moving_to=moving_to,
        vcpus=home.vcpus,
        memory_mib=home.memory_mib,
        memory_used_mib=home.memory_used_mib,
        cpu_used_cores=rate.cores,
        cpu_wait_share=rate.wait_share,
        dirty_mib_per_s=home.dirty_mib_per_s,
        storage="local" if definition.local_sources else "shared",
        disk_gib=home.disk_gib,
        cpu_mode=definition.cpu_mode,
        movable=movable,
        why_not=why_not,
        labels=definition.labels,
        asks=definition.asks,
        dear=_how_dear(home),
        why_dear=definition.why_dear or ("its disk would be copied" if home.definition.local_disks else None),
        cpu_models=seen.able_hosts(definition.cpu),
        networks=definition.networks,
        pools=definition.pools,
        autostart=home.autostart,
    )


def _how_dear(home: Sighting) -> float:
    """Return how many times its memory a move of it costs: what comes along is copied too."""
    scarce = 1.0 if home.definition.why_dear is None else DEAR
    if not home.definition.local_disks or home.disk_gib is None or home.memory_mib <= 0:
        return scarce
    return max(scarce, 1.0 + home.disk_gib * MIB_PER_GIB / home.memory_mib)


def _movable(home: Sighting) -> tuple[Movable, str | None]:
    """A disk that is here alone can be copied: whether it may be is the policy's to say."""
    definition = home.definition
    if definition.bound_by is not None:
        return Movable.NEVER, definition.bound_by
    return (Movable.LIVE if home.is_active else Movable.COLD), definition.why_alone


def vms_remembered(memory: Memory, seen: Seen, known: Mapping[str, Vm]) -> Iterable[Vm]:
    """Keep guests that nobody lists now, if a host that may have them does not answer."""
    for vm in memory.vms.values():
        silent = [end for end in (vm.host, vm.moving_to) if end is not None and end in seen.failures]
        if vm.key in known or not silent:
            continue
        goal = vm.moving_to if vm.host in silent else None
        unread = _UNREAD if vm.is_active else {}
        yield vm.model_copy(update={**unread, "host": silent[0], "moving_to": goal})
