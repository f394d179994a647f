"""After a crash at any instruction: find out what became of each step that was begun, and repeat nothing blindly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from balancer.domain.plan import Action
from balancer.domain.units import in_words
from balancer.errors import PlatformError
from balancer.execution.acting_site import ActingSite
from balancer.execution.failing import close
from balancer.execution.limits import Limits
from balancer.execution.migration import (
    CUT,
    TIME_TO_ABORT_SECONDS,
    ask_to_stop,
    ending_of,
    mend,
    order_of,
    status_of,
)
from balancer.execution.power_on import awake, lacking_on, not_whole
from balancer.execution.report import Ending, Result
from balancer.execution.restarting import started_again
from balancer.execution.runner import Held
from balancer.execution.work import power_state, seconds_since_begun
from balancer.platforms.base import MigrationPhase
from balancer.power.base import PowerState
from balancer.store.journal import EntryState, JournalEntry, Phase
from balancer.store.marks import CordonedBy, HostMarks

# What our former self asked for in its last instant may still be on its way to the hypervisor or the BMC.
_ON_THE_WIRE_SECONDS = 10.0


class Verdict(StrEnum):
    """What became of a step that was begun."""

    DONE = "done"
    UNDONE = "undone"  # it did not happen, or was undone now
    FAILED = "failed"
    ADOPTED = "adopted"  # it still goes on, and is looked at again
    UNKNOWN = "unknown"  # it cannot be seen; what it touches stays frozen


_IN_THE_JOURNAL = {
    Verdict.DONE: EntryState.DONE,
    Verdict.UNDONE: EntryState.UNDONE,
    Verdict.FAILED: EntryState.FAILED,
    Verdict.UNKNOWN: EntryState.UNKNOWN,
}


@dataclass(frozen=True)
class Settled:
    """One thing that was found out about the past; an alarm wants a person."""

    subject: str
    verdict: Verdict
    words: str
    alarm: bool = False
    entry: JournalEntry | None = None

    def __str__(self) -> str:
        return f"{self.subject}: {self.verdict}" + (f", {self.words}" if self.words else "")


def settle_the_past(site: ActingSite, limits: Limits | None = None, held: Held | None = None) -> tuple[Settled, ...]:
    """Find out what became of every step that no runner holds: once at start, and then in each cycle.

    What still goes on is left alone; what can be told is settled in the journal; what cannot stays open and frozen.
    """
    limits, held = limits or Limits(), held or Held()
    found = []
    _give_up_what_is_not_wanted(site, limits, held)
    for entry in site.store.journal.unsettled():
        if entry.id not in held.entries:
            settled = _FIND_OUT[entry.action](site, entry, limits)
            _write(site, entry, settled, limits)
            found.append(settled)
    return (*found, *_swept(site), *_tidied(site, held))


def _give_up_what_is_not_wanted(site: ActingSite, limits: Limits, held: Held) -> None:
    """Ask for the end of orphaned migrations that a person wants given up."""
    unwanted = site.store.halts.to_give_up()
    for entry in site.store.journal.unsettled() if unwanted and site.may_act else ():
        if entry.id in unwanted and entry.id not in held.entries and entry.step.is_move:
            ask_to_stop(site, order_of(entry, limits))


def _swept(site: ActingSite) -> Iterator[Settled]:
    """Let go of room that is reserved for nothing any more."""
    still_open = {entry.id for entry in site.store.journal.unsettled()}
    for gone in site.store.reservations.sweep(site.now, still_open):
        yield Settled(f"host {gone.target}", Verdict.UNDONE, f"what it had reserved is released: {gone}")


def _write(site: ActingSite, entry: JournalEntry, settled: Settled, limits: Limits) -> None:
    if settled.verdict is Verdict.ADOPTED:
        if entry.state is EntryState.UNKNOWN:
            site.store.journal.settle(entry.id, EntryState.BEGUN, settled.words, site.now)
        return
    result = {Verdict.DONE: Result.DONE, Verdict.UNKNOWN: Result.UNKNOWN}.get(settled.verdict, Result.FAILED)
    asked_for = entry.id in site.store.halts.to_give_up()
    ending = Ending(result, settled.words, settled.alarm, asked_for=asked_for, was_interrupted=True)
    close(site, entry, ending, _IN_THE_JOURNAL[settled.verdict], limits)


def _say(entry: JournalEntry, verdict: Verdict, words: str = "", alarm: bool = False) -> Settled:
    return Settled(str(entry.step), verdict, words, alarm, entry)


# -- moves


def _move(site: ActingSite, entry: JournalEntry, limits: Limits) -> Settled:
    status = status_of(site, order_of(entry, limits))
    if status.phase is MigrationPhase.RUNNING:
        return _still_running(site, entry, limits)
    if status.phase is MigrationPhase.CUT:
        if site.may_act:
            mend(site, order_of(entry, limits))
        return _say(entry, Verdict.ADOPTED, CUT, alarm=True)
    was_over = entry.phase is Phase.FINALISE  # our former self has seen the end of the job
    if not was_over and _is_young(site, entry):
        return _say(entry, Verdict.ADOPTED, "it was asked for a moment ago")
    is_over = was_over or status.phase is MigrationPhase.ENDED or _is_at_rest(site, entry)
    ending = ending_of(site, entry, is_over, status.error)
    if ending is None:
        return _say(entry, Verdict.UNKNOWN, "where the guest is cannot be seen", alarm=True)
    return _as_settled(entry, started_again(site, entry, ending))


def _still_running(site: ActingSite, entry: JournalEntry, limits: Limits) -> Settled:
    """Let it go on while it has time; one that outlived its deadline as an orphan is asked to stop."""
    deadline = limits.deadline_of_migration(entry.step.seconds)
    late = seconds_since_begun(site, entry) - deadline
    if late <= 0:
        return _say(entry, Verdict.ADOPTED, "it still runs")
    failed = ask_to_stop(site, order_of(entry, limits)) if site.may_act else "another balancer acts here"
    words = f"given up after {in_words(deadline)}, and it still runs" + (f": {failed}" if failed else "")
    if late <= TIME_TO_ABORT_SECONDS:
        return _say(entry, Verdict.ADOPTED, words)
    return _say(entry, Verdict.UNKNOWN, words, alarm=True)


def _as_settled(entry: JournalEntry, ending: Ending) -> Settled:
    if ending.result is Result.DONE:
        return _say(entry, Verdict.DONE, ending.detail, ending.alarm)
    if ending.result is Result.UNKNOWN:
        return _say(entry, Verdict.UNKNOWN, ending.detail, ending.alarm)
    return _say(entry, Verdict.FAILED if ending.alarm else Verdict.UNDONE, ending.detail, ending.alarm)


def _is_young(site: ActingSite, entry: JournalEntry) -> bool:
    return seconds_since_begun(site, entry) < _ON_THE_WIRE_SECONDS


def _is_at_rest(site: ActingSite, entry: JournalEntry) -> bool:
    """Whether the hypervisors list the guest at one of its two ends and in no migration, or in one that is not ours."""
    seen = site.platform.observe()
    vm = next((vm for vm in seen.vms if entry.concerns(vm.name, vm.id)), None)
    if vm is None or vm.host not in entry.hosts or seen.is_frozen(vm):
        return False
    return vm.moving_to is None or (vm.host, vm.moving_to) != (entry.step.source, entry.step.target)


# -- power


def _power_off(site: ActingSite, entry: JournalEntry, limits: Limits) -> Settled:
    host = entry.step.host or ""
    answers = site.platform.answers(host)
    state = power_state(site.switch_of(host))
    if state is PowerState.OFF and not answers:
        site.store.marks.fell_asleep(host, site.now)
        return _say(entry, Verdict.DONE, "it is off")
    waited = seconds_since_begun(site, entry)
    if waited <= site.file.shutdown_deadline_seconds:
        return _say(entry, Verdict.ADOPTED, "it may still be shutting down")
    if not answers:
        return _say(entry, Verdict.UNKNOWN, f"its BMC says {state}, its hypervisor is silent", alarm=True)
    return _stayed_on(site, entry, host, waited)


def _stayed_on(site: ActingSite, entry: JournalEntry, host: str, waited: float) -> Settled:
    """It is on and answers, though it was asked to go down: it may yet do so, under whatever is placed on it.

    So it stays cordoned and leaves the power scheme until it has been tested.
    """
    try:
        reasons = site.platform.reasons_to_stay_on(host)
    except PlatformError as failed:
        return _say(entry, Verdict.UNKNOWN, str(failed))
    words = f"was asked to shut down and was still on after {in_words(waited)}"
    if reasons:
        words += f", with guests on it: {'; '.join(reasons[:5])}"
    site.store.marks.quarantine(host, words, site.now)
    return _say(entry, Verdict.UNDONE, f"{words}; it stays cordoned until balancer power test {host}", alarm=True)


def _open_again(site: ActingSite, host: str) -> None:
    intended = {intention.host for intention in site.store.memory.intentions()}
    if host not in intended and site.store.marks.of(host).quarantine is None:
        site.store.marks.uncordon(host)


def _power_on(site: ActingSite, entry: JournalEntry, limits: Limits) -> Settled:
    host = entry.step.host or ""
    waited = seconds_since_begun(site, entry)
    if site.platform.answers(host):
        return _answers_again(site, entry, host, waited)
    if _is_young(site, entry):
        return _say(entry, Verdict.ADOPTED, "it was asked for a moment ago")
    state = power_state(site.switch_of(host))
    if state is PowerState.OFF:
        return _say(entry, Verdict.UNDONE, "it is off; a new plan wakes it if it is needed")
    if waited <= site.file.wake_deadline_seconds:
        return _say(entry, Verdict.ADOPTED, "it is still waking")
    why = f"did not wake within {in_words(waited)}: its BMC says {state}, its hypervisor is silent"
    site.store.marks.quarantine(host, why, site.now)
    return _say(entry, Verdict.FAILED, f"{why}; go and look, then balancer power test {host}", alarm=True)


def _answers_again(site: ActingSite, entry: JournalEntry, host: str, waited: float) -> Settled:
    """It came back while nobody waited for it: it is ready with what it had before it slept."""
    lacking = lacking_on(site, host, site.platform.observe())
    if lacking and waited <= site.file.wake_deadline_seconds:
        return _say(entry, Verdict.ADOPTED, f"it answers, but {lacking}")
    return _as_settled(entry, not_whole(site, host, lacking) if lacking else awake(site, host, None))


# -- marks


def _mark(site: ActingSite, entry: JournalEntry, limits: Limits) -> Settled:
    if _is_young(site, entry):
        return _say(entry, Verdict.ADOPTED, "it was written down a moment ago")
    is_closed = site.store.marks.of(entry.step.host or "").cordon is not None
    happened = is_closed == (entry.action is Action.CORDON)
    return _say(entry, Verdict.DONE if happened else Verdict.UNDONE)


def _tidied(site: ActingSite, held: Held) -> Iterator[Settled]:
    """Bring marks into line with the world: sleepers that somebody woke, cordons that nobody needs any more."""
    open_hosts = {host for entry in site.store.journal.unsettled() for host in entry.hosts} | held.hosts
    intended = {intention.host for intention in site.store.memory.intentions()}
    for host, marks in site.store.marks.all().items():
        if host in open_hosts:
            continue
        if marks.asleep_by_us and site.platform.answers(host):
            yield Settled(f"host {host}", *_woken_by_hand(site, host))
        elif _is_closed_for_nothing(marks) and host not in intended:
            site.store.marks.uncordon(host)
            yield Settled(f"host {host}", Verdict.UNDONE, "its cordon outlived the plan that set it, and is lifted")


def _is_closed_for_nothing(marks: HostMarks) -> bool:
    is_ours = marks.cordon is not None and marks.cordon.by is CordonedBy.BALANCER
    return is_ours and not marks.asleep_by_us and marks.quarantine is None


def _woken_by_hand(site: ActingSite, host: str) -> tuple[Verdict, str, bool]:
    ending = awake(site, host, None)
    verdict = Verdict.DONE if ending.result is Result.DONE else Verdict.FAILED
    return verdict, f"somebody woke it: {ending.detail}", ending.alarm


_FIND_OUT: dict[Action, Callable[[ActingSite, JournalEntry, Limits], Settled]] = {
    Action.MOVE: _move,
    Action.POWER_OFF: _power_off,
    Action.POWER_ON: _power_on,
    Action.WAIT_READY: _power_on,
    Action.CORDON: _mark,
    Action.UNCORDON: _mark,
}
