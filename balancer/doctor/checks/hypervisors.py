"""Hypervisors: does each answer, which versions are they, and what have they in common."""

from __future__ import annotations

from collections.abc import Iterator

from balancer.beginning.remarks import Weight, between, reached_by_others
from balancer.doctor.base import Examined, Finding, Standing

STANDINGS = {Weight.FAULT: Standing.FAULT, Weight.WARNING: Standing.WARNING}


def hypervisors(world: Examined) -> Iterator[Finding]:
    """Ask each for a sign of life. One that the balancer has put to sleep itself is silent as it should be."""
    if world.found is None or world.site is None:
        return
    asleep = world.remembered.marks.all() if world.remembered is not None else {}
    for host in world.site.hosts:
        failure = world.found.failures.get(host.name)
        if failure is None:
            yield Finding(Standing.OK, f"answers, {world.found.hosts[host.name].guests} guests", about=host.name)
        elif host.name in asleep and asleep[host.name].asleep_by_us:
            yield Finding(Standing.OK, "sleeps, as the balancer has put it", about=host.name)
        else:
            yield Finding(Standing.FAULT, failure, about=host.name)


def versions(world: Examined) -> Iterator[Finding]:
    """Say which versions there are, and which hosts have them."""
    if world.found is None:
        return
    by_version: dict[str, list[str]] = {}
    for name, there in world.found.hosts.items():
        by_version.setdefault(f"libvirt {there.libvirt}, {there.hypervisor}", []).append(name)
    for version, names in by_version.items():
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        yield Finding(Standing.OK, version, about=shown)


def in_common(world: Examined) -> Iterator[Finding]:
    """Say what keeps guests from moving between hosts, as far as that can be seen without moving one."""
    if world.found is None or world.site is None:
        return
    said = [r for host in world.site.hosts for r in reached_by_others(host, world.found)]
    for remark in (*said, *between(world.site, world.found)):
        yield Finding(STANDINGS[remark.weight], remark.words, about=remark.host)
    if not said:
        yield Finding(Standing.UNSEEN, "whether hosts reach each other is seen when a guest moves, not before")
