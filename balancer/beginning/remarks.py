"""What is wrong with a new site, or will be in the way, in words and with the way out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

from balancer.beginning.finding import BmcFound, Found
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.power.identity import is_placeholder, same_machine


class Weight(StrEnum):
    """How much a remark matters."""

    FAULT = "fault"
    WARNING = "warning"


@dataclass(frozen=True)
class Remark:
    """One thing about one host, or about all (`host` is empty)."""

    host: str
    weight: Weight
    words: str


def remarks(site: SiteFile, found: Found) -> tuple[Remark, ...]:
    """Say all that stands in the way, host by host, and then what hosts have to have in common."""
    each = [remark for host in site.hosts for remark in _about(host, found)]
    return (*each, *between(site, found))


def _about(host: SiteHost, found: Found) -> Iterator[Remark]:
    name = host.name
    if name in found.failures:
        yield Remark(name, Weight.FAULT, f"its hypervisor: {found.failures[name]}")
    bmc = found.bmcs.get(name)
    if bmc is None:
        yield Remark(name, Weight.WARNING, "has no BMC: it is balanced, and never put to sleep")
    elif bmc.failure:
        yield Remark(name, Weight.FAULT, f"its BMC: {bmc.failure}")
    elif name in found.hosts:
        yield from whose(name, bmc, found)
    yield from reached_by_others(host, found)


def whose(name: str, bmc: BmcFound, found: Found) -> Iterator[Remark]:
    """Say what is wrong with whose BMC it is; nothing where it is its own."""
    uuid = found.hosts[name].facts.uuid
    if bmc.state == "off":
        words = "its BMC says that it is off, and its hypervisor answers: is it another host's BMC?"
        yield Remark(name, Weight.FAULT, words)
    if same_machine(bmc.guid, uuid):
        return
    others = [other for other, there in found.hosts.items() if same_machine(bmc.guid, there.facts.uuid)]
    if others:
        yield Remark(name, Weight.FAULT, f"its BMC is {others[0]}'s: exchange the two addresses")
        return
    words = f"its BMC reports the GUID {bmc.guid or 'none'}, its hypervisor the UUID {uuid or 'none'}"
    yield Remark(name, Weight.WARNING, f"{words}: before it may sleep, balancer power test {name} has to pass")


def reached_by_others(host: SiteHost, found: Found) -> Iterator[Remark]:
    """As far as can be seen without moving anything: whether the others could know where to go."""
    if host.name not in found.hosts:
        return
    way = urlsplit(host.peer_uri or host.uri or "").scheme.partition("+")[2]
    if not host.peer_uri and way == "unix":
        words = "other hosts cannot reach its hypervisor by a socket of this machine: give it a `peer_uri`"
        yield Remark(host.name, Weight.FAULT, words)
    if not host.peer_uri and way == "ssh":
        words = (
            "other hosts hand guests over by the same `uri`, with their own SSH keys; "
            "where they have none, give it a `peer_uri` such as qemu+tls://..."
        )
        yield Remark(host.name, Weight.WARNING, words)
    called = found.hosts[host.name].hostname
    if host.migration_uri is None and called.partition(".")[0] == "localhost":
        words = f"it calls itself {called}, and guests on their way would look for it there: give it a `migration_uri`"
        yield Remark(host.name, Weight.FAULT, words)


def between(site: SiteFile, found: Found) -> Iterator[Remark]:
    """Say what hosts have not in common, and should."""
    for uuid, hosts in _grouped({name: each.facts.uuid for name, each in found.hosts.items()}).items():
        if uuid is not None and (len(hosts) > 1 or is_placeholder(UUID(uuid))):
            words = f"its hypervisor's UUID {uuid} is no machine's own: set a `host_uuid` in its libvirtd.conf"
            shared = f", and {', '.join(hosts[1:])} has it too; libvirt refuses to migrate between them"
            yield Remark(hosts[0], Weight.FAULT, words + (shared if len(hosts) > 1 else ""))
    cpus = {name: each.facts.cpu_digest for name, each in found.hosts.items()}
    yield from _differing(cpus, "CPU", "guests with `host-passthrough` stay among hosts of a kind")
    hypervisors: dict[str, str | None] = {name: each.hypervisor for name, each in found.hosts.items()}
    yield from _differing(hypervisors, "hypervisor", "a guest that moved to a newer one may not find its way back")
    if len(site.hosts) == 1:
        yield Remark("", Weight.WARNING, "there is one host only: nothing can be moved anywhere")


def _differing(values: Mapping[str, str | None], what: str, then: str) -> Iterator[Remark]:
    groups = _grouped(values)
    if len(groups) > 1:
        listed = "; ".join(", ".join(hosts) for hosts in groups.values())
        yield Remark("", Weight.WARNING, f"hosts differ in their {what} ({listed}): {then}")


def _grouped(values: Mapping[str, str | None]) -> dict[str | None, list[str]]:
    groups: dict[str | None, list[str]] = defaultdict(list)
    for name, value in values.items():
        groups[value].append(name)
    return groups


def shared_paths(found: Found) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the directories that are the same on all hosts: those that pools on a network say, and those that look so.

    A directory that looks so has the same path, size and volumes everywhere; whether it is one, nobody has said.
    """
    certain = _common(
        {(p.path, "") for p in host.pools if p.is_on_a_network and p.path} for host in found.hosts.values()
    )
    alike = _common(
        {(p.path, f"{p.capacity_bytes} {sorted(p.volumes)}") for p in host.pools if p.kind == "dir" and p.volumes}
        for host in found.hosts.values()
    )
    return tuple(sorted(path for path, _ in certain)), tuple(sorted(path for path, _ in alike))


def _common(sets: Iterable[set[tuple[str, str]]]) -> set[tuple[str, str]]:
    listed = list(sets)
    return set.intersection(*listed) if len(listed) > 1 else set()
