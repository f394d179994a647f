"""Where guests live: one file a platform, and one line in the list that opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from balancer.clock import Clock
from balancer.domain.site_file import SiteFile
from balancer.errors import SiteError
from balancer.platforms.base import Platform

if TYPE_CHECKING:
    from balancer.simulation.world import World


def _open_libvirt(file: SiteFile, clock: Clock, world: World | None) -> Platform:
    from balancer.platforms.libvirt import LibvirtPlatform

    return LibvirtPlatform(file, clock)


def _open_simulated(file: SiteFile, clock: Clock, world: World | None) -> Platform:
    from balancer.platforms.simulated import SimulatedPlatform

    if world is None:
        raise SiteError(file.cluster, "open the platform", "no simulated world was given", "leave BALANCER_SITE unset")
    return SimulatedPlatform(world)


PLATFORMS: Final[dict[str, Callable[[SiteFile, Clock, World | None], Platform]]] = {
    "libvirt": _open_libvirt,
    "simulated": _open_simulated,
}


def open_platform(file: SiteFile, clock: Clock, world: World | None = None) -> Platform:
    """Open the platform that a site file names; MissingExtra where its library is not installed."""
    return PLATFORMS[file.platform.kind](file, clock, world)
