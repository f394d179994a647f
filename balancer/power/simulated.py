"""The power of a host in a simulated world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from balancer.errors import PowerError
from balancer.power.base import PowerState
from balancer.simulation.machines import BmcFault, SimHost
from balancer.simulation.world import World

_WAYS_OUT = {
    BmcFault.SILENT: "check the BMC's network and its power",
    BmcFault.WRONG_PASSWORD: "check `user` and `secret_ref` of this host in the site file",
    BmcFault.BUSY: "try again in a moment",
    BmcFault.NOT_SUPPORTED: "",
}


class SimulatedSwitch:
    """The BMC that is cabled as this host's; which server it really switches is the world's affair."""

    def __init__(self, world: World, host: str) -> None:
        self.host = host
        self._world = world

    @property
    def address(self) -> str:
        return f"simulated:{self.host}"

    def state(self) -> PowerState:
        with self._server("read the power state") as server:
            if self._world.hosts[self.host].bmc_is_vague:
                return PowerState.UNKNOWN
            lie = self._world.hosts[self.host].bmc_lies
            return PowerState.ON if (server.has_power if lie is None else lie) else PowerState.OFF

    def power_on(self) -> None:
        with self._server("switch on") as server:
            self._world.power_on(server.spec.name)

    def shut_down(self) -> None:
        with self._server("shut down") as server:
            self._world.shut_down(server.spec.name)

    def cut_power(self) -> None:
        with self._server("cut the power") as server:
            self._world.cut_power(server.spec.name)

    def system_guid(self) -> str | None:
        with self._server("read the system GUID") as server:
            return server.spec.id if server.spec.bmc_has_guid else None

    def watts(self) -> float | None:
        with self._server("read what it draws") as server:
            return self._world.watts_of(server.spec.name)

    @contextmanager
    def _server(self, operation: str) -> Iterator[SimHost]:
        """Reach the server behind the BMC, or say in words why the BMC does not do it."""
        with self._world.seen():
            bmc = self._world.hosts[self.host]
            if bmc.bmc_fault is not None:
                raise PowerError(self.host, operation, f"the BMC: {bmc.bmc_fault}", _WAYS_OUT[bmc.bmc_fault])
            yield self._world.hosts[bmc.bmc_of]
