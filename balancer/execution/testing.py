"""What is written down of a power test that is part of a plan: how far it came, and what it found out."""

from __future__ import annotations

from balancer.domain.plan import Action
from balancer.execution.acting_site import ActingSite
from balancer.execution.report import Ending, Result
from balancer.store.journal import JournalEntry
from balancer.store.power_tests import TestRecord, TestResult


def put_off(site: ActingSite, host: str, why: str) -> None:
    """Remember that a test did not come about, so that the next one is not begun at once."""
    site.store.power_tests.note(TestRecord(host, site.now, TestResult.FAILED, why))


def found_out(site: ActingSite, entry: JournalEntry, ending: Ending) -> TestRecord | None:
    """Return what the end of a step says about the test that it is part of; None where it says nothing.

    A host that was switched off is unfinished until somebody has seen it return: a killed balancer did not.
    """
    host = entry.step.host
    if not entry.step.test or host is None:
        return None
    if entry.action is Action.POWER_OFF:
        result = TestResult.UNFINISHED if site.store.marks.of(host).asleep_by_us else TestResult.FAILED
    elif entry.action is Action.POWER_ON and not ending.was_interrupted:
        result = TestResult.PASSED if ending.result is Result.DONE else TestResult.FAILED
    else:
        return None
    return TestRecord(host, site.now, result, ending.detail)
