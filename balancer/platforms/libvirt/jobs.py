"""What a hypervisor says of a guest's state, and of the work that goes on with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree

from balancer.domain.vm import VmState
from balancer.platforms.libvirt.library import Domain, library

BYTES_PER_MIB = 1024**2


class Part(StrEnum):
    """The part that a host has in a guest's migration, as its hypervisor says itself."""

    NONE = "none"
    OUTGOING = "outgoing"
    INCOMING = "incoming"


def vm_state(state: int) -> VmState:
    """Translate the virDomainState of an active guest. One that is shutting down still runs."""
    libvirt = library()
    return {
        libvirt.VIR_DOMAIN_RUNNING: VmState.RUNNING,
        libvirt.VIR_DOMAIN_BLOCKED: VmState.RUNNING,
        libvirt.VIR_DOMAIN_SHUTDOWN: VmState.RUNNING,
        libvirt.VIR_DOMAIN_PAUSED: VmState.PAUSED,
        libvirt.VIR_DOMAIN_PMSUSPENDED: VmState.PAUSED,
    }.get(state, VmState.UNKNOWN)


def part_in_migration(domain: Domain, state: int, reason: int) -> Part:
    """Say which end of a migration this is. Only guests in a state that a migration brings about are asked."""
    libvirt = library()
    odd = {
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED),
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY),
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED),
        # This reason stays with a guest for good; while the last words are exchanged it is still coming in.
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATED),
    }
    return part_by_job(domain) if (state, reason) in odd else Part.NONE


def part_by_job(domain: Domain) -> Part:
    """Ask a guest's job which end of a migration this is."""
    libvirt = library()
    try:
        job = domain.jobStats()
    except libvirt.libvirtError as error:
        # "migration statistics are available only on the source host": so this is the other one.
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED:
            return Part.INCOMING
        raise
    return Part.OUTGOING if is_migration(job) else Part.NONE


def is_migration(job: Mapping[str, Any]) -> bool:
    """Whether a job sends its guest to another host."""
    libvirt = library()
    if job["type"] == libvirt.VIR_DOMAIN_JOB_NONE:
        return False
    # A hypervisor before libvirt 3.3 does not say what kind of job it is.
    return "operation" not in job or job["operation"] == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT


def share_done(job: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the share of a migration's memory that has arrived and the MiB that remain, where they are known."""
    total, remaining = job.get("memory_total") or 0, job.get("memory_remaining")
    if remaining is None or not total:
        return None, None
    return min(1.0, max(0.0, 1.0 - remaining / total)), remaining / BYTES_PER_MIB


def work_on(domain: Domain) -> Iterator[str]:
    """Name the jobs that go on with an active guest: migrations, dumps, copies of its disks."""
    libvirt = library()
    part = part_by_job(domain)
    if part is not Part.NONE:
        yield f"its migration is under way ({part})"
    elif domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
        yield "a job is under way (save, dump, snapshot or backup)"
    for target in ElementTree.fromstring(domain.XMLDesc(0)).iterfind("devices/disk/target"):
        disk = target.get("dev") or "?"
        if domain.blockJobInfo(disk):
            yield f"its disk {disk} is being copied"
