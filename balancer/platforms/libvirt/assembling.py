"""From what each host said to one cluster. Pure: what was seen, what was known before, and the site file go in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from balancer.domain.cluster import Cluster
from balancer.domain.host import DEFAULT_MIGRATION_MIB_PER_S, Host, HostState
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.domain.vm import Vm
from balancer.platforms.libvirt.guests_seen import Doubts, Memory, Seen, vm_seen, vms_remembered
from balancer.platforms.libvirt.looking import HostLook, Sighting
from balancer.platforms.libvirt.settling import Ends, is_suspect, settle


@dataclass(frozen=True)
class StaleDefinition:
    """A definition that a guest left behind: shut off here, while the guest itself is elsewhere."""

    vm_id: str
    vm: str
    host: str
    lives_on: str


@dataclass(frozen=True)
class Picture:
    """A cluster, what is to be remembered of it, and the definitions that were left behind."""

    cluster: Cluster
    memory: Memory
    stale: tuple[StaleDefinition, ...]


def assemble(site: SiteFile, now: datetime, seen: Seen, memory: Memory, in_flight: Mapping[str, Ends]) -> Picture:
    """Put a cluster together."""
    doubts = Doubts()
    hosts = [_host(entry, seen, memory, doubts) for entry in site.hosts]
    _doubt_twins(seen, doubts)
    settled = {
        vm_id: settle(sightings, memory.home_of(vm_id), in_flight.get(vm_id))
        for vm_id, sightings in sightings_by_id(seen.looks).items()
    }
    vms = {vm_id: vm_seen(place, seen, memory, doubts) for vm_id, place in settled.items()}
    vms |= {vm.key: vm for vm in vms_remembered(memory, seen, known=vms)}
    names = _unique_names(vms.values())
    cluster = Cluster(
        taken_at=now,
        cluster=site.cluster,
        hosts=tuple(hosts),
        vms=tuple(
            sorted((vm.model_copy(update={"name": names[vm.key]}) for vm in vms.values()), key=lambda vm: vm.name)
        ),
        doubts=doubts.in_words(names),
    )
    stale = tuple(_stale(old, names, place.home.host) for place in settled.values() for old in place.stale)
    known_hosts = {host.name: host for host in hosts if host.id is not None}
    return Picture(cluster, Memory(known_hosts, vms), stale)


def sightings_by_id(looks: Mapping[str, HostLook]) -> dict[str, list[Sighting]]:
    """Return each guest's sightings, under its UUID."""
    found: dict[str, list[Sighting]] = defaultdict(list)
    for one in looks.values():
        for sighting in one.guests:
            found[sighting.id].append(sighting)
    return found


# -- hosts


def _host(entry: SiteHost, seen: Seen, memory: Memory, doubts: Doubts) -> Host:
    if entry.name not in seen.looks:
        doubts.of_hosts.append((entry.name, "unreachable", seen.failures[entry.name]))
        return _silent_host(entry, memory.hosts.get(entry.name))
    look, rates = seen.looks[entry.name], seen.rates[entry.name]
    if rates.absurd:
        doubts.of_hosts.append((entry.name, "absurd", rates.absurd))
    elif rates.cores is None:
        doubts.of_hosts.append((entry.name, "missing", "its hypervisor does not say how busy its CPUs are"))
    if look.memory_used_mib is None:
        doubts.of_hosts.append((entry.name, "missing", "its hypervisor does not say how much memory is in use"))
    return _as_the_site_says(
        Host(
            name=entry.name,
            id=look.facts.uuid,
            seen_at=look.seen_at,
            cpu_cores=look.cpus,
            memory_mib=look.memory_mib,
            cpu_used_cores=rates.cores,
            memory_used_mib=look.memory_used_mib,
            cpu_model=look.facts.cpu_model,
            cpu_digest=look.facts.cpu_digest,
            networks=look.networks,
            pools=look.pools,
        ),
        entry,
    )


def _silent_host(entry: SiteHost, remembered: Host | None) -> Host:
    """A host that does not answer, as it was last seen; one never seen has what the site file says, or nothing."""
    host = remembered or Host(name=entry.name, cpu_cores=0.0, memory_mib=0.0)
    unread = {"state": HostState.UNREACHABLE, "cpu_used_cores": None, "memory_used_mib": None}
    return _as_the_site_says(host.model_copy(update=unread), entry)


def _as_the_site_says(host: Host, entry: SiteHost) -> Host:
    told = {
        "cpu_cores": host.cpu_cores if entry.capacity.cpu_cores is None else entry.capacity.cpu_cores,
        "memory_mib": host.memory_mib if entry.capacity.memory_mib is None else entry.capacity.memory_mib,
        "reserved": entry.reserved,
        "labels": entry.labels,
        "power": entry.power,
        "may_sleep": entry.may_sleep,
        "migration_mib_per_s": DEFAULT_MIGRATION_MIB_PER_S
        if entry.migration_mib_per_s is None
        else entry.migration_mib_per_s,
    }
    return host.model_copy(update=told)


def _doubt_twins(seen: Seen, doubts: Doubts) -> None:
    """Two entries that lead to one hypervisor would show each guest twice."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, look in seen.looks.items():
        if look.facts.uuid is not None:
            found[look.facts.uuid].append(name)
    for twins in (names for names in found.values() if len(names) > 1):
        detail = (
            f"{' and '.join(twins)} answer with the same host UUID: one `uri` is wrong, or a `host_uuid` was copied"
        )
        doubts.of_hosts.extend((name, "clash", detail) for name in twins)


def _unique_names(vms: Iterable[Vm]) -> dict[str, str]:
    """Each guest's name by UUID; where several have one name, each gets `~` and as much of its UUID as it takes."""
    listed = list(vms)
    names = {vm.key: vm.name for vm in listed}
    for digits in (8, None):
        taken = Counter(names.values())
        names = {
            vm.key: names[vm.key] if taken[names[vm.key]] == 1 else f"{vm.name}~{vm.key[:digits]}" for vm in listed
        }
    return names


def _stale(old: Sighting, names: Mapping[str, str], lives_on: str) -> StaleDefinition:
    return StaleDefinition(old.id, names[old.id], old.host, lives_on)


def suspects(
    looks: Mapping[str, HostLook], failures: Container[str], memory: Memory, in_flight: Mapping[str, Ends]
) -> bool:
    """Whether the hosts have to be looked at once more: a guest seems to run twice, or one that ran is nowhere."""
    found = sightings_by_id(looks)
    twice = any(is_suspect(sightings, in_flight.get(vm_id)) for vm_id, sightings in found.items())
    gone = any(vm.is_active and vm.host not in failures and key not in found for key, vm in memory.vms.items())
    return twice or gone
