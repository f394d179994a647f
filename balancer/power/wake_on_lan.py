"""Hosts that a packet wakes, and whose power nobody can be asked about.

What the packet cannot do is done by commands, where the entry has some. Without a `state` command a host that answers
is on; one that does not is "not known": only an entry that says `silence_means_off: true` reads silence as off.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from balancer.domain.site_file import PowerAction
from balancer.errors import PowerError
from balancer.lifetime import ended_with_us
from balancer.power.base import PowerState
from balancer.power.command import CommandSwitch
from balancer.power.magic_packet import send_magic_packet
from balancer.power.signs import shows_life

SUSPEND_CALL: Final = Path(__file__).with_name("suspend_call.py")


@dataclass(frozen=True)
class Wire:
    """How a host is woken and watched over the network. probe: `address:port` that answers while it is up."""

    mac: str
    broadcast: str
    probe: str
    silence_means_off: bool


class WakeOnLanSwitch(CommandSwitch):
    """A host that sleeps however its commands say, and is woken by a packet."""

    def __init__(
        self,
        host: str,
        wire: Wire,
        commands: Mapping[PowerAction, Sequence[str]],
        secret: SecretStr | None = None,
        *,
        deadline_seconds: float = 30,
    ) -> None:
        super().__init__(host, commands, secret, address=f"wake-on-lan:{wire.mac}", deadline_seconds=deadline_seconds)
        self._wire = wire

    def state(self) -> PowerState:
        if "state" in self._commands:
            return super().state()
        if shows_life(self._wire.probe):
            return PowerState.ON
        return PowerState.OFF if self._wire.silence_means_off else PowerState.UNKNOWN

    def power_on(self) -> None:
        send_magic_packet(self.host, self._wire.mac, self._wire.broadcast)


class SuspendSwitch(WakeOnLanSwitch):
    """A host that libvirt suspends to RAM; it wakes by a packet, or by its own clock when its time is over.

    uri: how its hypervisor is reached
    longest_seconds: after which it wakes by itself (libvirt wants 60 at least)
    """

    def __init__(
        self,
        host: str,
        wire: Wire,
        commands: Mapping[PowerAction, Sequence[str]],
        uri: str,
        longest_seconds: int,
        *,
        deadline_seconds: float = 30,
    ) -> None:
        super().__init__(host, wire, commands, deadline_seconds=deadline_seconds)
        self._uri = uri
        self._longest_seconds = longest_seconds

    def shut_down(self) -> None:
        if self.state() is PowerState.OFF:
            return
        operation = "suspending it to RAM"
        question = {"uri": self._uri, "seconds": self._longest_seconds, "deadline_seconds": self.deadline_seconds}
        try:
            done = subprocess.run(
                ended_with_us([sys.executable, "-P", str(SUSPEND_CALL)]),
                input=json.dumps(question),
                capture_output=True,
                text=True,
                timeout=self.deadline_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PowerError(self.host, operation, f"no answer within {self.deadline_seconds:g} s") from None
        if done.returncode == -signal.SIGALRM:
            raise PowerError(self.host, operation, f"no answer within {self.deadline_seconds:g} s")
        if done.returncode or (complaint := json.loads(done.stdout)["failed"]):
            cause = complaint if not done.returncode else f"the process that asked ended with {done.returncode}"
            raise PowerError(self.host, operation, cause, "does the host suspend by hand, as `systemctl suspend`?")
