"""Switch hosts by Redfish, over HTTPS."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from balancer.errors import MissingExtra
from balancer.power.network import NetworkSwitch
from balancer.power.redfish_words import OUT_OF_TIME, words_for
from balancer.power.words import Words

CALL = Path(__file__).with_name("redfish_call.py")


class RedfishSwitch(NetworkSwitch):
    """The power of one host, by its BMC.

    system: the id of the host among the systems of the BMC; None where it has one only
    verify: whether the BMC's certificate is checked: by the machine's authorities, by those of a file, or not at all
    """

    call = CALL
    usual_port = 443
    out_of_time = OUT_OF_TIME

    def __init__(
        self,
        host: str,
        address: str,
        port: int | None,
        user: str,
        password: SecretStr,
        *,
        system: str | None = None,
        verify: bool | str = True,
        scheme: str = "https",
        deadline_seconds: float = 30,
    ) -> None:
        if importlib.util.find_spec("sushy") is None:
            raise MissingExtra(f"switching {host} by Redfish", "redfish")
        super().__init__(host, address, port, user, password, deadline_seconds=deadline_seconds)
        self._system, self._verify, self._scheme = system, verify, scheme

    @property
    def address(self) -> str:
        """Where the BMC is; with the system where it has several, for they share the rest."""
        return super().address + (f"/{self._system}" if self._system else "")

    def words_for(self, kind: str, text: str) -> Words:
        return words_for(kind, text)

    def details(self) -> dict[str, Any]:
        return {"system": self._system, "verify": self._verify, "url": f"{self._scheme}://{super().address}"}
