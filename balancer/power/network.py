"""A BMC that is asked over the network. Each call runs in a child of its own that a deadline ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from balancer.errors import PowerError
from balancer.lifetime import ended_with_us
from balancer.power.base import PowerState
from balancer.power.words import Words

Action = Literal["state", "on", "off", "shutdown", "guid", "watts"]

IN_WORDS: dict[Action, str] = {
    "state": "asking whether it has power",
    "on": "switching it on",
    "off": "cutting its power",
    "shutdown": "shutting it down",
    "guid": "asking for its system GUID",
    "watts": "asking how much it draws",
}
# The child gets these and no more: secrets that came to us by environment are none of its business.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_NO_PROCESS = Words("no process could be started to ask its BMC ({text})", "is the machine out of memory?")


class NetworkSwitch:
    """The power of one host, by its BMC; a kind says which script asks it, and what its complaints mean."""

    call: ClassVar[Path]
    usual_port: ClassVar[int]
    out_of_time: ClassVar[Words]

    def __init__(
        self, host: str, address: str, port: int | None, user: str, password: SecretStr, *, deadline_seconds: float = 15
    ) -> None:
        self.host = host
        self.deadline_seconds = deadline_seconds
        self._where = address
        self._port = port or self.usual_port
        self._user = user
        self._password = password

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host}, {self._user} at {self.address})"

    @property
    def address(self) -> str:
        """Where the BMC is, with its port."""
        return f"[{self._where}]:{self._port}" if ":" in self._where else f"{self._where}:{self._port}"

    def state(self) -> PowerState:
        """Ask the BMC whether the host has power; off only if it said off."""
        said = self._ask("state")
        return PowerState(said) if said in {PowerState.ON, PowerState.OFF} else PowerState.UNKNOWN

    def power_on(self) -> None:
        """Ask for power."""
        self._ask("on")

    def shut_down(self) -> None:
        """Ask the operating system to shut down."""
        self._ask("shutdown")

    def cut_power(self) -> None:
        """Cut the power."""
        self._ask("off")

    def system_guid(self) -> str | None:
        """Return the GUID in the order in which its bytes came; `same_machine` knows the other orders."""
        return self._ask("guid")

    def watts(self) -> float | None:
        """Return what the host draws; None where its BMC does not measure it."""
        said = self._ask("watts")
        return None if said is None else float(said)

    def words_for(self, kind: str, text: str) -> Words:
        """Find the words for what the child's library threw: its class name and its text."""
        raise NotImplementedError

    def details(self) -> dict[str, Any]:
        """What the child is told besides address, user and password."""
        return {}

    def _ask(self, action: Action) -> str | None:
        answer = self._answer_of_a_child(action)
        if "said" in answer:
            said: str | None = answer["said"]
            return said
        raise self._error(action, self.words_for(answer["failed"], answer["text"]), answer["text"] or answer["failed"])

    def _answer_of_a_child(self, action: Action) -> dict[str, Any]:
        try:
            done = subprocess.run(
                ended_with_us([sys.executable, "-P", str(self.call)]),
                input=self._question(action),
                capture_output=True,
                text=True,
                timeout=self.deadline_seconds,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._error(action, self.out_of_time) from None
        except OSError as failed:
            raise self._error(action, _NO_PROCESS, failed.strerror or type(failed).__name__) from None
        if done.returncode == -signal.SIGALRM:
            raise self._error(action, self.out_of_time)
        if done.returncode != 0:
            raise self._error(action, Words("the process that asked its BMC ended with {text}"), str(done.returncode))
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _question(self, action: Action) -> str:
        return json.dumps(
            {
                "action": action,
                "address": self._where,
                "port": self._port,
                "user": self._user,
                "password": self._password.get_secret_value(),
                "deadline_seconds": self.deadline_seconds,
                **self.details(),
            }
        )

    def _error(self, action: Action, words: Words, text: str = "") -> PowerError:
        secret = self._password.get_secret_value()
        cause = words.cause.format(
            address=self.address,
            user=self._user,
            deadline=self.deadline_seconds,
            text=text.replace(secret, "********") if secret else text,
        )
        return PowerError(self.host, IN_WORDS[action], cause, words.way_out)
