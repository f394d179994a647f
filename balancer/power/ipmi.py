"""Switch hosts by IPMI over LAN."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from balancer.errors import MissingExtra
from balancer.power.ipmi_words import OUT_OF_TIME, words_for
from balancer.power.network import NetworkSwitch
from balancer.power.words import Words

CALL = Path(__file__).with_name("ipmi_call.py")


class IpmiSwitch(NetworkSwitch):
    """The power of one host, by its BMC.

    privilege: the level that is asked for; None for administrator, or operator where the BMC gives no more
    cipher: the only cipher suite that is spoken; None for 17, or 3 where the BMC does not know it
    """

    call = CALL
    usual_port = 623
    out_of_time = OUT_OF_TIME

    def __init__(
        self,
        host: str,
        address: str,
        port: int | None,
        user: str,
        password: SecretStr,
        *,
        privilege: str | None = None,
        cipher: int | None = None,
        deadline_seconds: float = 15,
    ) -> None:
        if importlib.util.find_spec("pyghmi") is None:
            raise MissingExtra(f"switching {host} by IPMI", "ipmi")
        super().__init__(host, address, port, user, password, deadline_seconds=deadline_seconds)
        self._privilege, self._cipher = privilege, cipher

    def words_for(self, kind: str, text: str) -> Words:
        return words_for(kind, text)

    def details(self) -> dict[str, Any]:
        return {"privilege": self._privilege, "cipher": self._cipher}
