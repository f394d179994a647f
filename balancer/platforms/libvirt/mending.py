"""A migration that was cut in post-copy: memory is at either end, so neither is ever given up or started anew."""

from __future__ import annotations

from typing import Any

from balancer.platforms.libvirt.library import Connection, Domain, library
from balancer.platforms.libvirt.questions import find, is_cut_off


def is_cut(connection: Connection, vm_id: str) -> bool:
    """Whether a guest stands still at its source because its line broke in post-copy."""
    domain = find(connection, vm_id)
    return domain is not None and is_cut_off(domain)


def waits_at_source(connection: Connection, vm_id: str) -> bool:
    """Whether a guest stands still here because it goes on at its target, cut off or not."""
    libvirt, domain = library(), find(connection, vm_id)
    reasons = {libvirt.VIR_DOMAIN_PAUSED_POSTCOPY, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED}
    if domain is None:
        return False
    state, reason = domain.state()
    return state == libvirt.VIR_DOMAIN_PAUSED and reason in reasons


def runs(connection: Connection, vm_id: str) -> bool:
    """Whether a host has a guest active."""
    domain = find(connection, vm_id)
    return domain is not None and bool(domain.isActive())


def resume(domain: Domain, uri: str | None, parameters: dict[str, Any], flags: int) -> None:
    """Let the two hypervisors take up a post-copy migration where it was cut. Raises libvirt's own error."""
    # libvirt 8.5 and later; QEMU has to have noticed itself that the line is gone.
    domain.migrateToURI3(uri, parameters, flags | library().VIR_MIGRATE_POSTCOPY_RESUME)


def forget_definition(connection: Connection, vm_id: str) -> bool:
    """Undefine what a guest has left behind here, unless it is active; say whether there was such a thing.

    Its firmware variables and TPM state stay where they are: the guest may use the same files from its new host.
    """
    libvirt = library()
    domain = find(connection, vm_id)
    if domain is None or domain.isActive() or not domain.isPersistent():
        return False
    keep = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_KEEP_TPM", 0)
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | keep)
    return True


def make_persistent(connection: Connection, vm_id: str) -> bool:
    """Define an active guest where it is, if it is not; say whether it runs here and is defined now."""
    libvirt = library()
    domain = find(connection, vm_id)
    if domain is None or not domain.isActive():
        return False
    if not domain.isPersistent():
        connection.defineXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
    return True
