"""What every way of switching a host can do. The contract suite in tests/contracts holds each implementation to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class PowerState(StrEnum):
    """What the BMC says; `unknown` is never read as off."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


class PowerSwitch(Protocol):
    """The power of one host. Each call has a deadline of its own; failures are PowerError in words.

    Words tell at least these apart: unreachable, wrong user or password, not supported, busy. Asking for a state that
    the host has already is no error. A call that returns has been accepted; whether it worked is seen by `state`.
    """

    host: str

    @property
    def address(self) -> str:
        """Where the BMC is; part of the proof that it belongs to this host."""
        ...

    def state(self) -> PowerState:
        """Ask the BMC whether the host has power."""
        ...

    def power_on(self) -> None:
        """Ask for power."""
        ...

    def shut_down(self) -> None:
        """Ask the operating system to shut down (ACPI, soft)."""
        ...

    def cut_power(self) -> None:
        """Cut the power, hard."""
        ...

    def system_guid(self) -> str | None:
        """Return the system GUID as a UUID in lower case with dashes; None where the BMC has none."""
        ...

    def watts(self) -> float | None:
        """Return what the host draws now, in watts; None where nobody measures it."""
        ...
