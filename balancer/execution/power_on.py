"""Waking a host: it is awake when its hypervisor answers, and ready when it is whole again.

ready = its hypervisor answers, without a break for `wake_settle_seconds`; the storage pools and networks that it had
        before it slept are there; its CPU is measured

That its chassis has power is not enough. What is not measured by the deadline is a doubt, and keeps guests away by
itself; a host that lacks a pool or a network by then stays closed.
"""

from __future__ import annotations

from datetime import datetime

from balancer.domain.cluster import Cluster
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
        self._comes_back = site.store.marks.of(host).asleep_by_us  # or was seen off; else there is nothing to wait for
        self._answers_since: datetime | None = None

    def request(self) -> None:
        """Ask for power, unless the step only waits."""
        if self.entry.action is Action.POWER_ON and not self._site.platform.answers(self._host):
            self._ask_for_power()

    def poll(self) -> Ending | None:
        waited = seconds_since_begun(self._site, self.entry)
        is_late = waited > self._site.file.wake_deadline_seconds
        if self._site.platform.answers(self._host):
            if (self._comes_back or self._was_off) and (why_not := self._why_not_ready(is_late)):
                return not_whole(self._site, self._host, why_not) if is_late else None
            return awake(self._site, self._host, waited if self._was_off else None)
        self._answers_since = None
        if is_late:
            return self._did_not_come(waited)
        if self.entry.action is Action.POWER_ON and waited > self._asked * _ASK_AGAIN_SECONDS:
            self._ask_for_power()
        return None

    def _why_not_ready(self, is_late: bool) -> str:
        """Say what guests would miss on a host that answers; empty where it is ready for them."""
        now = self._site.now
        self._answers_since = self._answers_since or now
        if (now - self._answers_since).total_seconds() < self._site.file.wake_settle_seconds and not is_late:
            return "it has not answered for long enough"
        seen = self._site.platform.observe()
        if lacking := lacking_on(self._site, self._host, seen):
            return lacking
        return "" if is_late or seen.host(self._host).cpu_used_cores is not None else "its CPU is not measured yet"

    def _ask_for_power(self) -> None:
        self._asked += 1
        switch = self._site.switch_of(self._host)
        if switch is None or self._site.why_held(is_waking=True):
            return
        # Its hypervisor is silent: a BMC that says "on" may be wrong, and to ask one that is right changes nothing.
        self._was_off = self._was_off or power_state(switch) is PowerState.OFF
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


def lacking_on(site: ActingSite, host: str, seen: Cluster) -> str:
    """Say which pools and networks a host had before it slept and has not now; empty where it has all."""
    if not seen.has_host(host):
        return "its hypervisor does not list it"
    lacking = site.store.equipment.of(host).lacking_on(seen.host(host))
    return f"it lacks what it had before it slept: {lacking}" if lacking else ""


def not_whole(site: ActingSite, host: str, why: str) -> Ending:
    """Leave a host closed that came back without what guests need; it leaves the power scheme."""
    words = f"woke and answers, but {why}"
    site.store.marks.quarantine(host, words, site.now)
    site.store.marks.woke(host)
    way_out = f"it stays cordoned; when that is mended: balancer power test {host}"
    return Ending(Result.FAILED, f"{host} {words}; {way_out}", alarm=True)


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
