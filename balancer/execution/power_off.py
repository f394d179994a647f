"""Switching a host off: softly, watched to the end. Success is that it was seen off, not that it was asked."""

from __future__ import annotations

from contextlib import suppress

from balancer.domain.units import in_words
from balancer.errors import PlatformError, PowerError
from balancer.execution.acting_site import ActingSite
from balancer.execution.identity import identity_now
from balancer.execution.limits import Limits
from balancer.execution.report import Course, Ending, Result
from balancer.execution.work import power_state, seconds_since_begun
from balancer.power.base import PowerState, PowerSwitch
from balancer.store.equipment import Equipment
from balancer.store.journal import JournalEntry


class ShuttingDown:
    """A host that was asked to shut down."""

    course = Course()

    def __init__(self, site: ActingSite, entry: JournalEntry, switch: PowerSwitch, limits: Limits) -> None:
        self.entry = entry
        self._site = site
        self._host = switch.host
        self._switch = switch
        self._hard_off_allowed = limits.hard_off_allowed
        self._not_asked = ""  # why the host was not asked to shut down after all
        self._seen_empty = False  # by its own word, after it was asked
        self._guests_seen: tuple[str, ...] = ()
        self._was_cut = False

    def request(self) -> None:
        """Ask the hypervisor one last time, then ask the host to shut down."""
        # All conditions were looked at a moment ago; a guest that was started since shows here and nowhere else.
        try:
            reasons = self._site.platform.reasons_to_stay_on(self._host)
        except PlatformError as failed:
            reasons = (str(failed),)
        if reasons:
            self._not_asked = f"in the last moment: {'; '.join(reasons)}"
            return
        self._remember_what_it_has()
        try:
            self._switch.shut_down()
        except PowerError as failed:
            # Refused or not, the answer alone says nothing: whether it goes down is seen.
            self._site.store.journal.remark(self.entry.id, str(failed))

    def _remember_what_it_has(self) -> None:
        """Note its pools and networks: it is not ready for guests again before it has them."""
        with suppress(PlatformError):
            seen = self._site.platform.observe()
            if seen.has_host(self._host):
                self._site.store.equipment.note(self._host, Equipment.of(seen.host(self._host)))

    def poll(self) -> Ending | None:
        if self._not_asked:
            return Ending(Result.REFUSED, self._not_asked)
        if self._site.platform.answers(self._host):
            self._look_for_guests()
        elif power_state(self._switch) is PowerState.OFF:
            return self._gone()
        if seconds_since_begun(self._site, self.entry) <= self._deadline_seconds:
            return None
        return self._cut() if self._may_be_cut() else self._stayed()

    @property
    def _deadline_seconds(self) -> float:
        # Cutting the power is asked for once; it then has as long again.
        return self._site.file.shutdown_deadline_seconds * (2 if self._was_cut else 1)

    def _look_for_guests(self) -> None:
        try:
            reasons = self._site.platform.reasons_to_stay_on(self._host)
        except PlatformError:
            return  # it went silent between two questions
        self._seen_empty = self._seen_empty or not reasons
        self._guests_seen = self._guests_seen or reasons

    def _gone(self) -> Ending:
        self._site.store.marks.fell_asleep(self._host, self._site.now)
        if self._guests_seen:
            return Ending(Result.FAILED, f"it went down under guests: {'; '.join(self._guests_seen)}", alarm=True)
        took = in_words(seconds_since_begun(self._site, self.entry))
        return Ending(Result.DONE, f"its power was cut after {took}" if self._was_cut else f"off after {took}")

    def _may_be_cut(self) -> bool:
        """Whether the power may be cut: by the policy's word, and only with certainty that no guest came meanwhile."""
        was_empty = self._seen_empty and not self._guests_seen
        return self._hard_off_allowed and was_empty and not self._was_cut and not self._site.why_held()

    def _cut(self) -> Ending | None:
        try:
            # Silence is no proof that nobody started a guest, and five minutes ago is no proof of whose BMC it is.
            if self._site.platform.reasons_to_stay_on(self._host) or identity_now(self._site, self._host).proof is None:
                return self._stayed()
            self._site.store.journal.remark(self.entry.id, "the soft shutdown did not end, so its power is cut")
            self._was_cut = True
            self._switch.cut_power()
        except PlatformError:
            return self._stayed()
        except PowerError as failed:
            self._site.store.journal.remark(self.entry.id, str(failed))
        return None

    def _stayed(self) -> Ending:
        """It leaves the power scheme and stays cordoned: it may yet go down, under whatever is placed on it."""
        took = in_words(seconds_since_begun(self._site, self.entry))
        why = f"was asked to shut down and was still on after {took}"
        self._site.store.marks.quarantine(self._host, why, self._site.now)
        if self._guests_seen:
            seen = "; ".join(self._guests_seen)
            return Ending(Result.FAILED, f"{why}; seen after it had been asked: {seen}", alarm=True)
        return Ending(Result.FAILED, f"{why}; balancer power test {self._host}")
