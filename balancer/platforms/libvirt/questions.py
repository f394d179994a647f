"""Short questions to one hypervisor, each asked afresh. They run on a host's line and raise libvirt's own errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from balancer.platforms.base import MigrationPhase, MigrationStatus
from balancer.platforms.libvirt.definition import CpuAsked, read_definition
from balancer.platforms.libvirt.jobs import Part, is_migration, part_by_job, part_in_migration, share_done, work_on
from balancer.platforms.libvirt.library import Connection, Domain, LibvirtError, library
from balancer.platforms.libvirt.looking import shared_storage
from balancer.platforms.libvirt.passenger import Passenger
from balancer.platforms.libvirt.words import is_not_found


@dataclass(frozen=True)
class Presence:
    """What one host has of a guest. One that is still coming in is not active here yet."""

    is_active: bool = False
    is_defined: bool = False


class Abort(Enum):
    """What came of a wish to give a migration up."""

    ASKED = "asked"
    NO_MIGRATION = "no migration"
    NO_GUEST = "no guest"


def find(connection: Connection, vm_id: str) -> Domain | None:
    """Return a guest by its UUID; None where this host has none such."""
    try:
        return connection.lookupByUUIDString(vm_id)
    except library().libvirtError as error:
        if is_not_found(error):
            return None
        raise


def presence(connection: Connection, vm_id: str) -> Presence:
    """Ask for one guest."""
    domain = find(connection, vm_id)
    if domain is None:
        return Presence()
    try:
        state, reason = domain.state()
        active = bool(domain.isActive()) and part_in_migration(domain, state, reason) is not Part.INCOMING
        return Presence(active, bool(domain.isPersistent()))
    except library().libvirtError as error:
        if is_not_found(error):
            return Presence()
        raise


def passenger_of(connection: Connection, vm_id: str, shared_paths: tuple[str, ...] = ()) -> Passenger | None:
    """Ask what has to be known before a guest leaves; None where this host has none such."""
    domain = find(connection, vm_id)
    if domain is None:
        return None
    definition = read_definition(domain.XMLDesc(0), shared_storage(connection, shared_paths))
    persistent = bool(domain.isPersistent())
    return Passenger(
        bool(domain.isActive()), persistent, persistent and bool(domain.autostart()), definition.local_disks
    )


def progress(connection: Connection, vm_id: str) -> MigrationStatus:
    """Ask the source how far a migration has come. It is over when the guest has gone.

    A guest that is here without such a job has not left yet, or not left at all: that is for the caller to know.
    """
    domain = find(connection, vm_id)
    if domain is None:
        return MigrationStatus(MigrationPhase.ENDED)
    try:
        job = domain.jobStats() if domain.isActive() else None
    except library().libvirtError as error:
        if is_not_found(error):
            return MigrationStatus(MigrationPhase.ENDED)
        if error.get_error_code() != library().VIR_ERR_OPERATION_UNSUPPORTED:  # it is coming in, so it does not leave
            raise
        job = None
    if job is None or not is_migration(job):
        return MigrationStatus(MigrationPhase.UNKNOWN)
    share, remaining_mib = share_done(job)
    phase = MigrationPhase.CUT if is_cut_off(domain) else MigrationPhase.RUNNING
    return MigrationStatus(phase, share, remaining_mib)


def is_cut_off(domain: Domain) -> bool:
    """Whether a guest stands still at its source because its line broke in post-copy."""
    libvirt = library()
    return tuple(domain.state()) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)


def start(connection: Connection, vm_id: str) -> None:
    """Start a guest that is shut off; one that is active is left as it is."""
    domain = connection.lookupByUUIDString(vm_id)
    if not domain.isActive():
        domain.create()


def give_up_migration(connection: Connection, vm_id: str) -> Abort:
    """Abort a guest's job if it is a migration; a backup or a snapshot is nobody's to end here."""
    libvirt, domain = library(), find(connection, vm_id)
    if domain is None:
        return Abort.NO_GUEST
    try:
        if not domain.isActive() or part_by_job(domain) is not Part.OUTGOING:
            return Abort.NO_MIGRATION
        domain.abortJob()
    except libvirt.libvirtError as error:
        if is_not_found(error):
            return Abort.NO_GUEST
        # "no job is active on the domain": it has ended between the two calls.
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID and "no job" in str(error):
            return Abort.NO_MIGRATION
        raise
    return Abort.ASKED


def can_give(connection: Connection, cpus: Iterable[CpuAsked]) -> dict[CpuAsked, bool]:
    """Ask a hypervisor which of these CPUs it could give a guest; one that it has no answer for is left out."""
    libvirt, answers = library(), dict[CpuAsked, bool]()
    for cpu in cpus:
        try:
            found = connection.compareHypervisorCPU(None, cpu.arch, cpu.machine, cpu.virt_type, cpu.xml, 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                continue
            if not _is_unknown_kind(error):
                raise
            found = libvirt.VIR_CPU_COMPARE_INCOMPATIBLE
        answers[cpu] = found in {libvirt.VIR_CPU_COMPARE_IDENTICAL, libvirt.VIR_CPU_COMPARE_SUPERSET}
    return answers


def _is_unknown_kind(error: LibvirtError) -> bool:
    """Whether a hypervisor does not know a machine type or CPU model: a guest of that kind cannot run there."""
    libvirt = library()
    if error.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR:
        return "Unknown CPU model" in str(error)
    return error.get_error_code() in {libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_CONFIG_UNSUPPORTED}


def reasons_to_stay(connection: Connection) -> tuple[str, ...]:
    """Name each active guest with what goes on with it."""
    domains = connection.listAllDomains(library().VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    return tuple(", ".join([f"{domain.name()} is active here", *_work(domain)]) for domain in domains)


def _work(domain: Domain) -> list[str]:
    """A guest that ends or leaves while it is asked stays a reason, this once: the next question will tell."""
    try:
        return list(work_on(domain))
    except library().libvirtError as error:
        if is_not_found(error) or error.get_error_code() == library().VIR_ERR_OPERATION_INVALID:
            return []
        raise


def shut_off_guests(connection: Connection) -> tuple[str, ...]:
    """Name the guests that are defined and not active."""
    domains = connection.listAllDomains(library().VIR_CONNECT_LIST_DOMAINS_INACTIVE)
    return tuple(sorted(domain.name() for domain in domains))
