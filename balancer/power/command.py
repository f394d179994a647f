"""Switch a host by programs of the operator's own: a smart plug, a rack PDU, a vendor's tool.

    state      prints `on` or `off` as its first word; anything else is "not known", never off
    on, shut_down, off    return 0 once the wish has been accepted; whether it worked is seen by `state`
    guid, watts           print what they found out; nothing where there is nothing

Each is a list of words, not a line for a shell. A secret, where the entry has one, is on the program's standard input.
A program that returns another number than 0 has failed: the last line that it wrote to its standard error says why.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import SecretStr

from balancer.domain.site_file import PowerAction
from balancer.errors import PowerError
from balancer.lifetime import ended_with_us
from balancer.power.base import PowerState

OUT_OF_TIME: Final = (-14, -9, 124, 137)  # what is left of a program that an alarm or `timeout` killed, or of it
LONGEST_WORDS: Final = 300  # of what a program complains of
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")


class CommandSwitch:
    """The power of one host, by programs."""

    def __init__(
        self,
        host: str,
        commands: Mapping[PowerAction, Sequence[str]],
        secret: SecretStr | None = None,
        *,
        address: str = "",
        deadline_seconds: float = 30,
    ) -> None:
        self.host = host
        self.deadline_seconds = deadline_seconds
        self._commands = commands
        self._secret = secret
        self._address = address or " ".join(commands.get("state", ("command",)))

    @property
    def address(self) -> str:
        """What tells this host's switch from another's."""
        return self._address

    def state(self) -> PowerState:
        words = self._run("state").split()
        said = words[0].casefold() if words else ""
        return PowerState(said) if said in {PowerState.ON, PowerState.OFF} else PowerState.UNKNOWN

    def power_on(self) -> None:
        self._run("on")

    def shut_down(self) -> None:
        if self.state() is not PowerState.OFF:
            self._run("shut_down")

    def cut_power(self) -> None:
        if self.state() is not PowerState.OFF:
            self._run("off")

    def system_guid(self) -> str | None:
        return (self._run("guid").strip().lower() or None) if "guid" in self._commands else None

    def watts(self) -> float | None:
        if "watts" not in self._commands:
            return None
        found = re.search(r"\d+(\.\d+)?", self._run("watts"))
        return float(found.group()) if found else None

    def _run(self, action: PowerAction) -> str:
        """Run a program and return what it printed; by its deadline it is gone, even when we are frozen."""
        operation = f"running its `{action}` command"
        if action not in self._commands:
            way_out = f"write `commands: {{{action}: [...]}}` into its `bmc:` in the site file"
            raise PowerError(self.host, operation, "not supported: there is none", way_out)
        done = self._outcome(operation, self._commands[action])
        if done.returncode in OUT_OF_TIME:
            raise PowerError(self.host, operation, f"no answer within {self.deadline_seconds:g} s")
        if done.returncode:
            raise PowerError(self.host, operation, f"it returned {done.returncode}: {self._complaint(done.stderr)}")
        return done.stdout

    def _outcome(self, operation: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        if shutil.which(words[0]) is None:
            way_out = "give its whole path, and see that it may be executed"
            raise PowerError(self.host, operation, f"there is no program {words[0]}", way_out)
        try:
            return subprocess.run(
                ended_with_us(["timeout", "--signal=KILL", f"{self.deadline_seconds:g}", *words]),
                input=self._secret.get_secret_value() if self._secret else "",
                capture_output=True,
                text=True,
                errors="replace",
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                check=False,
            )
        except OSError as failed:
            raise PowerError(self.host, operation, failed.strerror or type(failed).__name__) from None

    def _complaint(self, said: str) -> str:
        lines = said.strip().splitlines() or ["it did not say why"]
        secret = self._secret.get_secret_value() if self._secret else ""
        return (lines[-1].replace(secret, "********") if secret else lines[-1])[:LONGEST_WORDS]
