"""A switch that cannot be used, and says why each time somebody tries."""

from __future__ import annotations

from typing import NoReturn

from balancer.errors import PowerError, SiteError
from balancer.power.base import PowerState


class BrokenSwitch:
    """Stands where a host's switch could not be opened, so that the other hosts can go on."""

    def __init__(self, host: str, address: str, reason: SiteError) -> None:
        self.host = host
        self.address = address
        self._reason = reason

    def state(self) -> PowerState:
        self._say_why()

    def power_on(self) -> None:
        self._say_why()

    def shut_down(self) -> None:
        self._say_why()

    def cut_power(self) -> None:
        self._say_why()

    def system_guid(self) -> str | None:
        self._say_why()

    def watts(self) -> float | None:
        self._say_why()

    def _say_why(self) -> NoReturn:
        raise PowerError(self.host, self._reason.operation, self._reason.cause, self._reason.way_out)
