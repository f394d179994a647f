"""Closing a host to guests, and opening it again. It is a mark in the store, so it ends as soon as it begins."""

from __future__ import annotations

from balancer.domain.plan import Action
from balancer.execution.acting_site import ActingSite
from balancer.execution.report import Course, Ending, Result
from balancer.store.journal import JournalEntry


class Marking:
    """A cordon that is set or lifted."""

    course = Course()

    def __init__(self, site: ActingSite, entry: JournalEntry, host: str) -> None:
        self.entry = entry
        self._site = site
        self._host = host

    def request(self) -> None:
        """Set or lift the mark."""
        marks = self._site.store.marks
        if self.entry.action is Action.CORDON:
            marks.cordon(self._host, self.entry.step.because or f"plan {self.entry.plan_id}", self._site.now)
        else:
            marks.uncordon(self._host)

    def poll(self) -> Ending | None:
        """Say what the store has: a mark that is another's stays."""
        cordon = self._site.store.marks.of(self._host).cordon
        if (cordon is not None) == (self.entry.action is Action.CORDON):
            return Ending(Result.DONE, "")
        said = f"it was closed by the {cordon.by}: {cordon.why}" if cordon else "its mark is gone"
        return Ending(Result.FAILED, said)
