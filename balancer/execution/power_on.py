"""Waking a host: it is awake when its hypervisor answers. That its chassis has power is not enough."""

from __future__ import annotations

from balancer.domain.plan import Action
from balancer.domain.units import in_words
from balancer.errors import PowerError
from balancer.execution.acting_site import ActingSite
from balancer.execution.limits import Limits
from balancer.execution.report import Course, Ending, Result
from balancer.execution.work import power_state, seconds_since_begun
from balancer.power.base import PowerState
from balancer.store.journal import JournalEntry

_ASK_AGAIN_SECONDS = 30.0  # BMCs lose commands; asking one that has power already changes nothing


def reasons_against_power_on(site: ActingSite, host: str, limits: Limits) -> list[str]:
    """Say what speaks against waking a host: the balancer wakes what it put to sleep, and what the policy lists."""
    if site.switch_of(host) is None:
        return [f"{host} has no BMC in the site file"]
    if host in site.store.drains.all():
        return [f"{host} is kept for maintenance; for a person: balancer power wake {host}"]
    if site.platform.answers(host) or site.store.marks.of(host).asleep_by_us or host in limits.wake:
        return []
    return [f"{host} was not put to sleep by the balancer, and the policy does not list it under `power: wake`"]


class Waking:
    """A host that was asked to wake, or one that is waited for."""

    course = Course()

    def __init__(self, site: ActingSite, entry: JournalEntry, host: str) -> None:
        self.entry = entry
        self._site = site
        self._host = host
        self._was_off = False
        self._asked = 0
        self._trouble = ""

    def request(self) -> None:
        """Ask for power, unless the step only waits."""
        if self.entry.action is Action.POWER_ON and not self._site.platform.answers(self._host):
            self._ask_for_power()

    def poll(self) -> Ending | None:
        waited = seconds_since_begun(self._site, self.entry)
        if self._site.platform.answers(self._host):
            return awake(self._site, self._host, waited if self._was_off else None)
        if waited > self._site.file.wake_deadline_seconds:
            return self._did_not_come(waited)
        if self.entry.action is Action.POWER_ON and waited > self._asked * _ASK_AGAIN_SECONDS:
            self._ask_for_power()
        return None

    def _ask_for_power(self) -> None:
        self._asked += 1
        switch = self._site.switch_of(self._host)
        if switch is None or self._site.why_held(is_waking=True) or (state := power_state(switch)) is PowerState.ON:
            return
        self._was_off = self._was_off or state is PowerState.OFF
        try:
            switch.power_on()
            self._trouble = ""
        except PowerError as failed:
            self._trouble = str(failed)

    def _did_not_come(self, waited: float) -> Ending:
        why = f"did not wake within {in_words(waited)}: {self._seen()}"
        self._site.store.marks.quarantine(self._host, why, self._site.now)
        return Ending(
            Result.FAILED, f"{self._host} {why}; go and look, then balancer power test {self._host}", alarm=True
        )

    def _seen(self) -> str:
        if self._trouble:
            return self._trouble
        state = power_state(self._site.switch_of(self._host))
        return f"its BMC says {state}, its hypervisor is silent"


def awake(site: ActingSite, host: str, boot_seconds: float | None) -> Ending:
    """Take a host back that answers again: remember that it wakes and how long it took, and open it to guests.

    One whose guests run somewhere else too stays closed.
    """
    clash = next((d for d in site.platform.observe().doubts if d.subject == f"host:{host}" and d.kind == "clash"), None)
    if clash is not None:
        return Ending(Result.FAILED, f"it answers, but {clash.detail}; it stays cordoned", alarm=True)
    marks = site.store.marks
    if boot_seconds is not None:
        marks.prove_wake(host, site.now, boot_seconds)
    known = marks.of(host)
    if known.asleep_by_us or known.quarantine is None:  # one that failed to shut down may yet go: it stays closed
        marks.uncordon(host)
    marks.woke(host)
    return Ending(Result.DONE, f"answers after {in_words(boot_seconds)}" if boot_seconds is not None else "answers")
