"""A witnessed power test: an empty host is switched off and on, and exactly its hypervisor has to go and return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from balancer.domain.plan import Action, Step
from balancer.domain.units import in_words
from balancer.errors import PowerError
from balancer.execution.acting_site import ActingSite
from balancer.execution.conditions import Testing, reasons_against_power_off
from balancer.execution.identity import identity_now
from balancer.execution.limits import Limits
from balancer.execution.looking import look
from balancer.execution.power_off import ShuttingDown
from balancer.execution.power_on import Waking
from balancer.execution.report import Ending, Result
from balancer.execution.witnesses import Witnessed, witnesses_of
from balancer.power.base import PowerSwitch
from balancer.store.journal import JournalEntry
from balancer.store.marks import IdentityProof, ProofMethod
from balancer.store.power_tests import TestRecord, TestResult


@dataclass(frozen=True)
class PowerTest:
    """What a power test found out about a host."""

    host: str
    passed: bool
    words: str
    boot_seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.host} {'passed' if self.passed else 'failed'} its power test: {self.words}"


def prove_power(
    site: ActingSite, host: str, limits: Limits | None = None, meanwhile: Callable[[], object] = lambda: None
) -> PowerTest:
    """Switch an empty host off and on, watch that exactly its hypervisor goes and returns, and remember the proof.

    Everything that speaks against switching it off speaks against the test, except what the test is to prove. It takes
    minutes; `meanwhile` is done at each look, such as to renew a lease that would run out with the host switched off.
    """
    test = _Test(site, host, limits or Limits(), meanwhile).run()
    result = TestResult.PASSED if test.passed else TestResult.FAILED
    site.store.power_tests.note(TestRecord(host, site.now, result, test.words))
    return test


class _Failed(Exception):
    """The test ended early; its words say why."""


class _Test:
    def __init__(self, site: ActingSite, host: str, limits: Limits, meanwhile: Callable[[], object]) -> None:
        self._site = site
        self._host = host
        # Whose BMC it is, is what the test finds out: until then power is never cut.
        self._limits = replace(limits, hard_off_allowed=False)
        self._meanwhile = meanwhile
        self._plan_id = f"power-test:{host}:{site.now:%Y%m%dT%H%M%SZ}"

    def run(self) -> PowerTest:
        was_closed = self._site.store.marks.of(self._host).cordon is not None
        self._site.store.marks.cordon(self._host, "its power is being tested", self._site.now)
        try:
            switch, witnesses = self._allowed_switch(), witnesses_of(self._site, self._host)
            self._off(switch, witnesses)
            boot_seconds = self._on(switch, witnesses)
        except _Failed as why:
            self._open_again_unless(was_closed)
            return PowerTest(self._host, False, self._short(str(why)))
        return self._remember(switch, boot_seconds)

    def _short(self, words: str) -> str:
        """Leave out which host it is and how to test it: who reads this has just typed both."""
        words = words.removeprefix(f"{self._host} ").replace(f", then balancer power test {self._host}", "")
        return words.replace(f"; balancer power test {self._host}", "")

    def _open_again_unless(self, was_closed: bool) -> None:
        """Open the host again if the test did nothing to it."""
        marks = self._site.store.marks.of(self._host)
        if not was_closed and marks.quarantine is None and not marks.asleep_by_us:
            self._site.store.marks.uncordon(self._host)

    def _allowed_switch(self) -> PowerSwitch:
        reasons = reasons_against_power_off(self._site, self._host, look(self._site), self._limits, Testing.BY_A_PERSON)
        switch = self._site.switch_of(self._host)
        if reasons or switch is None:
            raise _Failed("; ".join(reasons))
        return switch

    def _off(self, switch: PowerSwitch, witnesses: frozenset[str]) -> None:
        work = ShuttingDown(self._site, self._begin(Action.POWER_OFF), switch, self._limits)
        ending = self._watch(Witnessed(self._site, work, switch, witnesses))
        if ending.result is not Result.DONE:
            raise _Failed(ending.detail)

    def _on(self, switch: PowerSwitch, witnesses: frozenset[str]) -> float:
        begun = self._site.now
        work = Waking(self._site, self._begin(Action.POWER_ON), self._host)
        ending = self._watch(Witnessed(self._site, work, switch, witnesses))
        if ending.result is not Result.DONE:
            raise _Failed(ending.detail)
        return (self._site.now - begun).total_seconds()

    def _begin(self, action: Action) -> JournalEntry:
        step = Step(id=action, action=action, host=self._host, because="a power test")
        return self._site.write_down(step, self._plan_id)

    def _watch(self, work: Witnessed) -> Ending:
        """Wait for the end of a step while all others are seen to answer."""
        work.request()
        while (ending := work.poll()) is None:
            self._meanwhile()
            self._site.clock.sleep(self._limits.poll_seconds)
        self._site.store.journal.settle(work.entry.id, ending.result.in_the_journal, ending.detail, self._site.now)
        return ending

    def _remember(self, switch: PowerSwitch, boot_seconds: float) -> PowerTest:
        marks, now = self._site.store.marks, self._site.now
        found = identity_now(self._site, self._host)
        if found.proof is None or found.proof.method is not ProofMethod.GUID:
            guid, uuid = self._guid(switch), self._site.platform.host_uuid(self._host)
            marks.prove_identity(self._host, IdentityProof(now, ProofMethod.WITNESSED, switch.address, guid, uuid))
        else:
            marks.prove_identity(self._host, found.proof)
        marks.prove_wake(self._host, now, boot_seconds)
        marks.release(self._host)
        marks.uncordon(self._host)
        words = f"went and returned alone, and answered after {in_words(boot_seconds)}"
        return PowerTest(self._host, True, words, boot_seconds)

    def _guid(self, switch: PowerSwitch) -> str | None:
        try:
            return switch.system_guid()
        except PowerError:
            return None
