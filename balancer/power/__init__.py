"""How hosts sleep and wake: one file a backend, and one line in the list that opens them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from balancer.domain.site_file import Bmc, SiteFile
from balancer.errors import PowerError, SiteError
from balancer.power.base import PowerSwitch
from balancer.power.broken import BrokenSwitch
from balancer.secrets import read_secret

if TYPE_CHECKING:
    from balancer.simulation.world import World

log = structlog.get_logger()


@dataclass(frozen=True)
class Opening:
    """What a backend needs to open the switch of one host."""

    host: str
    bmc: Bmc
    secrets_dir: Path
    world: World | None


def _open_ipmi(opening: Opening) -> PowerSwitch:
    from balancer.power.ipmi import IpmiSwitch

    bmc = opening.bmc
    if not bmc.address or bmc.user is None or bmc.secret_ref is None:
        raise _incomplete(opening.host, "its entry lacks `address:`, `user:` or `secret_ref:`")
    secret = read_secret(bmc.secret_ref, opening.secrets_dir, opening.host)
    if secret.warning:
        log.warning(secret.warning)
    return IpmiSwitch(opening.host, bmc.address, bmc.port, bmc.user, secret.value)


def _open_simulated(opening: Opening) -> PowerSwitch:
    if opening.world is None:
        raise _incomplete(opening.host, "`kind: simulated` needs `platform: {kind: simulated}`")
    from balancer.power.simulated import SimulatedSwitch

    return SimulatedSwitch(opening.world, opening.host)


BACKENDS: Final[dict[str, Callable[[Opening], PowerSwitch]]] = {
    "ipmi": _open_ipmi,
    "simulated": _open_simulated,
}


def open_switches(site: SiteFile, secrets_dir: Path, world: World | None = None) -> dict[str, PowerSwitch]:
    """Open the switch of each host that has a BMC; one that cannot be opened says why when it is used."""
    return {
        host.name: _open_one(Opening(host.name, host.bmc, secrets_dir, world))
        for host in site.hosts
        if host.bmc is not None
    }


def _open_one(opening: Opening) -> PowerSwitch:
    try:
        return BACKENDS[opening.bmc.kind](opening)
    except SiteError as reason:
        log.warning(f"{opening.host} cannot be switched: {reason}")
        return BrokenSwitch(opening.host, opening.bmc.address, reason)


def _incomplete(host: str, cause: str) -> SiteError:
    return PowerError(host, "opening its BMC", cause, "complete `bmc:` in the site file")
