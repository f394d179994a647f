"""Watching the others while one host is switched off and on for its test: its BMC may in truth be another host's.

Where another goes silent after the order, at worst it was its BMC: the tested host leaves the power scheme, and all
are brought back at once.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from balancer.domain.plan import Action
from balancer.errors import PowerError
from balancer.execution.acting_site import ActingSite
from balancer.execution.power_off import ShuttingDown
from balancer.execution.power_on import Waking
from balancer.execution.report import Course, Ending, Result
from balancer.execution.work import power_state
from balancer.power.base import PowerState, PowerSwitch
from balancer.store.journal import JournalEntry


def witnesses_of(site: ActingSite, host: str) -> frozenset[str]:
    """Return the other hosts that answer now; each has to go on answering while this one is tested."""
    others = (entry.name for entry in site.file.hosts if entry.name != host)
    return frozenset(name for name in others if site.platform.answers(name))


class Witnessed:
    """A host under test that goes or comes while all others are seen to answer."""

    def __init__(
        self, site: ActingSite, work: ShuttingDown | Waking, switch: PowerSwitch, witnesses: frozenset[str]
    ) -> None:
        self._site = site
        self._work = work
        self._switch = switch
        self._host = switch.host
        self._witnesses = witnesses
        self._gone: tuple[str, ...] = ()
        self._give_up = site.now  # set anew when the first goes silent

    @property
    def entry(self) -> JournalEntry:
        return self._work.entry

    @property
    def course(self) -> Course:
        return self._work.course

    def request(self) -> None:
        """Ask for what is watched."""
        self._work.request()

    def poll(self) -> Ending | None:
        """Look at the others before the host itself: its end would be remembered as a proof."""
        if not self._gone:
            self._gone = self._gone_now()
            if not self._gone:
                return self._work.poll()
            self._site.store.marks.quarantine(self._host, self._words, self._site.now)
            deadlines = self._site.file.shutdown_deadline_seconds + self._site.file.wake_deadline_seconds
            self._give_up = self._site.now + timedelta(seconds=deadlines)
        return self._bring_back()

    def _gone_now(self) -> tuple[str, ...]:
        silent = sorted(name for name in self._witnesses if not self._site.platform.answers(name))
        return tuple(name for name in silent if not self._was_sent_to_sleep(name))

    def _was_sent_to_sleep(self, host: str) -> bool:
        """Whether a host goes by an order of its own, and not by this test's."""
        going = (entry.step.host for entry in self._site.store.journal.unsettled() if entry.action is Action.POWER_OFF)
        return self._site.store.marks.of(host).asleep_by_us or host in going

    @property
    def _words(self) -> str:
        silent = ", ".join(self._gone)
        question = f"is {self._switch.address} the BMC of {self._gone[0]}?"
        return f"{silent} went silent while {self._host} was tested; {question}"

    def _bring_back(self) -> Ending | None:
        still_silent = [host for host in sorted({self._host, *self._gone}) if not self._site.platform.answers(host)]
        if still_silent:
            self._ask_for_power()
            if self._site.now < self._give_up:
                return None
        late = f" {', '.join(still_silent)} did not return within the deadline: go and look" if still_silent else ""
        return Ending(Result.FAILED, self._words + late, alarm=True)

    def _ask_for_power(self) -> None:
        # A server that is still shutting down does not hear that it is to start: it is asked again once it is off.
        if power_state(self._switch) is not PowerState.ON and not self._site.why_held(is_waking=True):
            with suppress(PowerError):
                self._switch.power_on()
