"""A migration's order in libvirt's own flags and parameters."""

from __future__ import annotations

from typing import Any

from balancer.domain.site_file import SiteHost
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.library import library


def flags_of(order: MigrationOrder, is_persistent: bool) -> int:
    """Never UNSAFE, and no definition left behind: not at the source, and none at all of a transient guest."""
    libvirt, options = library(), order.options
    flags = libvirt.VIR_MIGRATE_PEER2PEER
    if order.kind == "cold":
        flags |= libvirt.VIR_MIGRATE_OFFLINE
    else:
        flags |= libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        wanted = (
            (options.auto_converge, libvirt.VIR_MIGRATE_AUTO_CONVERGE),
            (options.post_copy, libvirt.VIR_MIGRATE_POSTCOPY),
            (options.copy_storage == "all", libvirt.VIR_MIGRATE_NON_SHARED_DISK),
            (options.copy_storage == "incremental", libvirt.VIR_MIGRATE_NON_SHARED_INC),
            (options.compression, libvirt.VIR_MIGRATE_COMPRESSED),
            (options.parallel > 0, libvirt.VIR_MIGRATE_PARALLEL),
            (options.tls, libvirt.VIR_MIGRATE_TLS),
        )
        for is_wanted, flag in wanted:
            flags |= flag if is_wanted else 0
    if is_persistent:
        flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    return int(flags)


def parameters_of(order: MigrationOrder, target: SiteHost) -> dict[str, Any]:
    """A guest that is shut off sends no memory, so there is no stream to lead or to slow down."""
    libvirt, options = library(), order.options
    if order.kind == "cold":
        return {}
    parameters: dict[str, Any] = {}
    if target.migration_uri is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_URI] = target.migration_uri
    if order.bandwidth_mib_per_s is not None:
        most = max(1, int(order.bandwidth_mib_per_s))
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = most
        if options.post_copy:  # has a limit of its own, without which the line would be taken whole
            parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = most
    if options.parallel:
        parameters[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = options.parallel
    return parameters
