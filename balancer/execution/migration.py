"""The life of one migration. How it ended is read from where the guest is, never from an exit code or a time-out.

prepare     the guest, its place and its goal are looked at again, and both ends are asked what speaks against it
request     room is reserved at the target and the step is written down; then the source is asked to begin
transfer    the source stays the truth; how far it has come is polled
finalise    the job is over: both ends are asked who has the guest, and whether the other one has let go of it
complete    exactly one of them has it: the journal says so, the room is released, what it cost is remembered
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from balancer.domain.plan import Step
from balancer.domain.units import in_words
from balancer.errors import PlatformError
from balancer.execution.acting_site import ActingSite
from balancer.execution.limits import Limits
from balancer.execution.report import Course, Ending, Result
from balancer.execution.restarting import started_again
from balancer.execution.work import is_certainly_off, seconds_since_begun
from balancer.platforms.base import MigrationOrder, MigrationPhase, MigrationStatus, Whereabouts
from balancer.store.journal import JournalEntry, Phase

TIME_TO_ABORT_SECONDS = 60.0  # a job that was told to stop still has to clean up at both ends
CUT = "its line broke in post-copy: it needs both hosts, and goes on by itself as soon as they reach each other"
_NEWEST = 0.5  # what the last poll counts in the speed that is shown; the rest is what was shown before


class Migration:
    """A migration in flight."""

    def __init__(self, site: ActingSite, entry: JournalEntry, limits: Limits) -> None:
        self.entry = entry
        self.course = Course(entry.phase)
        self._site = site
        self._order = order_of(entry, limits)
        self._deadline_seconds = limits.deadline_of_migration(entry.step.seconds)
        self._refused: PlatformError | None = None
        self._abort = ""
        self._is_asked_for = False
        self._last: tuple[float, float] | None = None  # seconds since it was begun, MiB that were left then

    def request(self) -> None:
        """Ask the source to begin. Refused or not, it has ended only when both ends have been asked."""
        try:
            self._site.platform.begin_migration(self._order)
        except PlatformError as refused:
            self._refused = refused
        else:
            self._enter(Phase.TRANSFER)

    @property
    def needs_us(self) -> bool:
        """Whether it ends well only if we do something yet; what two hypervisors copy between them goes on alone."""
        return self._order.kind != "live" or self._order.options.post_copy

    def give_up(self, why: str) -> None:
        """Ask for its end because a person wants it. One that cannot be asked now is asked again at the next poll."""
        if not self._abort and not ask_to_stop(self._site, self._order):
            self._abort, self._is_asked_for = why, True

    def poll(self) -> Ending | None:
        status = status_of(self._site, self._order)
        if status.phase is MigrationPhase.RUNNING:
            self._note(status)
            return self._in_time(status)
        if status.phase is MigrationPhase.CUT:
            return self._mended_in_time()
        is_over = status.phase is MigrationPhase.ENDED or self._refused is not None
        if is_over and self._refused is None:
            self._enter(Phase.FINALISE)
        said = self._abort or str(self._refused or "") or status.error
        ending = ending_of(self._site, self.entry, is_over, said)
        if ending is None:
            return self._in_time(status)
        if self._refused is None:  # what was refused has shut nothing down: if it is off, a person wanted that
            ending = started_again(self._site, self.entry, ending)
        return self._with_prospect(ending, status)

    def _mended_in_time(self) -> Ending | None:
        """Go on with a migration that was cut; it is never given up, and after its deadline a person is told."""
        mend(self._site, self._order)
        late = seconds_since_begun(self._site, self.entry) - self._deadline_seconds
        return None if late <= 0 else Ending(Result.UNKNOWN, CUT, alarm=True)

    def _with_prospect(self, ending: Ending, status: MigrationStatus) -> Ending:
        prospect = self._refused.prospect if self._refused is not None else status.prospect
        asked_for = self._is_asked_for and ending.result is Result.FAILED and not ending.alarm
        measured = status if ending.result is Result.DONE and status.seconds is not None else None
        return replace(ending, prospect=prospect, asked_for=asked_for, measured=measured)

    def _enter(self, phase: Phase) -> None:
        if self.entry.phase is not phase:
            self.entry = self._site.store.journal.enter(self.entry, phase)
            self.course = replace(self.course, phase=phase, seconds_left=None, mib_per_s=None)

    def _note(self, status: MigrationStatus) -> None:
        now, left = seconds_since_begun(self._site, self.entry), status.remaining_mib
        speed = self.course.mib_per_s
        if left is not None and self._last is not None and now > self._last[0]:
            newest = max(0.0, (self._last[1] - left) / (now - self._last[0]))
            speed = newest if speed is None else _NEWEST * newest + (1 - _NEWEST) * speed
        self._last = self._last if left is None else (now, left)
        seconds_left = left / speed if left is not None and speed else None
        self.course = Course(self.entry.phase, status.share_done, speed, seconds_left)

    def _in_time(self, status: MigrationStatus) -> Ending | None:
        """Let it go on while it has time; then ask for its end; then leave the question open in the journal."""
        late = seconds_since_begun(self._site, self.entry) - self._deadline_seconds
        if late <= 0:
            return None
        if not self._abort:
            failed = ask_to_stop(self._site, self._order)
            self._abort = f"given up after {in_words(self._deadline_seconds)}" + (f" ({failed})" if failed else "")
        if late <= TIME_TO_ABORT_SECONDS:
            return None
        detail = f"{self._abort}, and where the guest is cannot be seen"
        if status.phase is MigrationPhase.RUNNING:
            detail = f"{self._abort}, and the job runs on"
        return Ending(Result.UNKNOWN, detail, alarm=True)


def order_of(entry: JournalEntry, limits: Limits) -> MigrationOrder:
    """Return the order that a journal entry stands for."""
    step = entry.step
    vm_id = entry.vm_id or step.move.vm
    return MigrationOrder(step.move, vm_id, step.kind or "live", limits.bandwidth_mib_per_s, step.options)


def mend(site: ActingSite, order: MigrationOrder) -> None:
    """Ask for a migration that was cut in post-copy to go on; while its hosts do not answer, it is asked again."""
    with suppress(PlatformError):
        site.platform.mend_migration(order)


def ask_to_stop(site: ActingSite, order: MigrationOrder) -> str:
    """Ask for a migration to be given up; say why it could not be asked, if so."""
    try:
        site.platform.abort_migration(order)
    except PlatformError as failed:
        return str(failed)
    return ""


def status_of(site: ActingSite, order: MigrationOrder) -> MigrationStatus:
    """Ask how far a migration has come; no answer is not an end."""
    try:
        return site.platform.migration_status(order)
    except PlatformError as failed:
        return MigrationStatus(MigrationPhase.UNKNOWN, error=str(failed))


def ending_of(site: ActingSite, entry: JournalEntry, is_over: bool, said: str) -> Ending | None:
    """Find out how a migration ended from where its guest is; None while that cannot be told.

    Both ends have to be asked: each alone may hold a copy that the other one knows nothing of. A guest that is at its
    source alone may still be leaving it, unless the job `is_over`.
    """
    where = _where_is(site, entry)
    if where is None or not _both_ends_asked(site, entry.step, where):
        return None
    source, target = entry.step.move.source, entry.step.move.target
    has_it = set(where.active_on or where.defined_on)
    if len(has_it) > 1:
        return _on_several(where, is_over)
    if has_it == {target}:
        return _arrived(where, source, is_over, said)
    if has_it == {source}:
        return Ending(Result.FAILED, said or f"the guest stayed on {source}") if is_over else None
    if has_it:
        return Ending(Result.FAILED, f"the guest is on {has_it.pop()}, where somebody else took it")
    return _nowhere(site, where)


def _arrived(where: Whereabouts, source: str, is_over: bool, said: str) -> Ending | None:
    """The target has the guest: it is done once the source has let go of its definition, or never will."""
    though = f"though the job said: {said}" if said else ""
    if source not in where.defined_on:
        return Ending(Result.DONE, though)
    left = f"it runs on its target, and its old definition is still on {source}; undefine it there"
    return Ending(Result.DONE, "; ".join(filter(None, (though, left))), alarm=True) if is_over else None


def _on_several(where: Whereabouts, is_over: bool) -> Ending | None:
    if len(where.active_on) > 1:
        return Ending(Result.UNKNOWN, f"runs on {' and '.join(where.active_on)} at the same time", alarm=True)
    # Between arriving and being forgotten at the source a guest that is shut off is defined at both ends.
    return Ending(Result.UNKNOWN, f"is defined on {' and '.join(where.defined_on)}", alarm=True) if is_over else None


def _nowhere(site: ActingSite, where: Whereabouts) -> Ending | None:
    if not all(is_certainly_off(site, host) for host in where.not_asked):
        return None
    return Ending(Result.FAILED, "no hypervisor that answers has the guest any more", alarm=True)


def _where_is(site: ActingSite, entry: JournalEntry) -> Whereabouts | None:
    try:
        return site.platform.whereabouts(entry.vm_id or entry.step.move.vm)
    except PlatformError:
        return None


def _both_ends_asked(site: ActingSite, step: Step, where: Whereabouts) -> bool:
    ends = (step.move.source, step.move.target)
    return all(end not in where.not_asked or is_certainly_off(site, end) for end in ends)
