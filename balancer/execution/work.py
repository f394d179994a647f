"""What every step in flight can do, and how its end is found out."""

from __future__ import annotations

from typing import Protocol

from balancer.errors import PowerError
from balancer.execution.acting_site import ActingSite
from balancer.execution.report import Course, Ending
from balancer.power.base import PowerState, PowerSwitch
from balancer.store.journal import JournalEntry


class Work(Protocol):
    """A step that was begun and whose end has not been seen yet."""

    @property
    def entry(self) -> JournalEntry:
        """What the journal has of it."""
        ...

    def poll(self) -> Ending | None:
        """Look at how it stands; None while it goes on. Looking again changes nothing."""
        ...

    @property
    def course(self) -> Course:
        """How far it has come, as it was last seen."""
        ...


def power_state(switch: PowerSwitch | None) -> PowerState:
    """Ask a BMC for the state of its host; a BMC that is not there or does not answer knows nothing."""
    if switch is None:
        return PowerState.UNKNOWN
    try:
        return switch.state()
    except PowerError:
        return PowerState.UNKNOWN


def is_certainly_off(site: ActingSite, host: str) -> bool:
    """Whether a host runs nothing: its hypervisor is silent and a BMC that was proven to be its own says off.

    Where nobody says so, and its silence has to do, that is enough of a host that was put to sleep from here: any other
    may have lost its network and nothing else.
    """
    switch = site.switch_of(host)
    marks, entry = site.store.marks.of(host), site.entry_of(host)
    proof = marks.identity
    if entry is not None and entry.bmc is not None and entry.bmc.only_silence_tells and not marks.asleep_by_us:
        return False
    if switch is None or proof is None or proof.address != switch.address:
        return False
    return not site.platform.answers(host) and power_state(switch) is PowerState.OFF


def seconds_since_begun(site: ActingSite, entry: JournalEntry) -> float:
    """Return for how long a step has been under way."""
    return (site.now - entry.at).total_seconds()
