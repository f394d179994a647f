"""How hosts sleep and wake: one file a backend, and one line in the list that opens them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import SecretStr

from balancer.domain.site_file import Bmc, SiteFile
from balancer.errors import PowerError, SiteError
from balancer.power.base import PowerSwitch
from balancer.power.broken import BrokenSwitch
from balancer.power.command import CommandSwitch
from balancer.power.wake_on_lan import SuspendSwitch, WakeOnLanSwitch, Wire
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
    uri: str | None = None

    def secret(self) -> SecretStr | None:
        """Read the secret of the entry; None where it has none."""
        if self.bmc.secret_ref is None:
            return None
        secret = read_secret(self.bmc.secret_ref, self.secrets_dir, self.host)
        if secret.warning:
            log.warning(secret.warning)
        return secret.value

    def login(self) -> tuple[str, SecretStr]:
        """Return user and password; PowerError where the entry does not say where the BMC is, or who asks."""
        password = self.secret()
        if not self.bmc.address or self.bmc.user is None or password is None:
            raise _incomplete(self.host, "its entry lacks `address:`, `user:` or `secret_ref:`")
        return self.bmc.user, password

    def wire(self) -> Wire:
        """Return how the host is woken by a packet and watched."""
        bmc = self.bmc
        if bmc.mac is None or (bmc.probe is None and "state" not in bmc.commands):
            raise _incomplete(self.host, "its entry lacks `mac:`, or `probe:` (or `commands: {state: [...]}`)")
        return Wire(bmc.mac, bmc.broadcast, bmc.probe or "", bmc.silence_means_off)


def _open_ipmi(opening: Opening) -> PowerSwitch:
    from balancer.power.ipmi import IpmiSwitch

    bmc, (user, password) = opening.bmc, opening.login()
    return IpmiSwitch(
        opening.host,
        bmc.address,
        bmc.port,
        user,
        password,
        privilege=bmc.privilege,
        cipher=bmc.cipher,
        deadline_seconds=bmc.deadline_seconds or 15,
    )


def _open_redfish(opening: Opening) -> PowerSwitch:
    from balancer.power.redfish import RedfishSwitch

    bmc, (user, password) = opening.bmc, opening.login()
    return RedfishSwitch(
        opening.host,
        bmc.address,
        bmc.port,
        user,
        password,
        system=bmc.system,
        verify=bmc.verify is not False and (bmc.ca_file or True),
        deadline_seconds=bmc.deadline_seconds or 30,
    )


def _open_wake_on_lan(opening: Opening) -> PowerSwitch:
    bmc, wire = opening.bmc, opening.wire()
    deadline = bmc.deadline_seconds or 30
    return WakeOnLanSwitch(opening.host, wire, bmc.commands, opening.secret(), deadline_seconds=deadline)


def _open_suspend(opening: Opening) -> PowerSwitch:
    bmc, wire = opening.bmc, opening.wire()
    if opening.uri is None:
        raise _incomplete(opening.host, "the host has no `uri:` by which its hypervisor could suspend it")
    deadline = bmc.deadline_seconds or 30
    return SuspendSwitch(opening.host, wire, bmc.commands, opening.uri, bmc.longest_seconds, deadline_seconds=deadline)


def _open_command(opening: Opening) -> PowerSwitch:
    bmc = opening.bmc
    if "state" not in bmc.commands:
        raise _incomplete(opening.host, "`commands:` lacks `state:`, and what is off has to be seen")
    deadline = bmc.deadline_seconds or 30
    return CommandSwitch(opening.host, bmc.commands, opening.secret(), deadline_seconds=deadline)


def _open_simulated(opening: Opening) -> PowerSwitch:
    if opening.world is None:
        raise _incomplete(opening.host, "`kind: simulated` needs `platform: {kind: simulated}`")
    from balancer.power.simulated import SimulatedSwitch

    return SimulatedSwitch(opening.world, opening.host)


BACKENDS: Final[dict[str, Callable[[Opening], PowerSwitch]]] = {
    "ipmi": _open_ipmi,
    "redfish": _open_redfish,
    "wake_on_lan": _open_wake_on_lan,
    "suspend": _open_suspend,
    "command": _open_command,
    "simulated": _open_simulated,
}


def open_switches(site: SiteFile, secrets_dir: Path, world: World | None = None) -> dict[str, PowerSwitch]:
    """Open the switch of each host that has a BMC; one that cannot be opened says why when it is used."""
    return {
        host.name: _open_one(Opening(host.name, host.bmc, secrets_dir, world, host.uri))
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
