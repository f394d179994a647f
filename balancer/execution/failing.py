"""What follows from a step that has ended: what is remembered, and after failures what is not tried for a while."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from balancer.domain.pace import PastMigration
from balancer.domain.plan import Action
from balancer.domain.units import count_of
from balancer.errors import Prospect
from balancer.execution.acting_site import ActingSite
from balancer.execution.limits import Limits
from balancer.execution.report import Ending, Result
from balancer.execution.testing import found_out
from balancer.platforms.base import MigrationStatus
from balancer.store.endings import Consequences
from balancer.store.failures import Failure, Setback, Shunned
from balancer.store.halts import Halt, HaltKind
from balancer.store.journal import EntryState, JournalEntry, Phase
from balancer.store.sightings import Sighting

MOST_DOUBLINGS = 6
BALANCER = "balancer"


def close(site: ActingSite, entry: JournalEntry, ending: Ending, state: EntryState, limits: Limits) -> None:
    """Write down how a step ended together with all that follows from it."""
    site.store.endings.write(entry, state, ending.detail, site.now, consequences(site, entry, ending, limits))


def consequences(site: ActingSite, entry: JournalEntry, ending: Ending, limits: Limits) -> Consequences:
    """Say what is to be remembered of an end: cool-downs, budgets, no way back; of a failure also what it keeps off."""
    step = entry.step
    if step.action in {Action.CORDON, Action.UNCORDON} or ending.result in {Result.REFUSED, Result.SKIPPED}:
        return Consequences()
    failure = _failure_of(site, entry, ending)
    if ending.result is Result.UNKNOWN:  # what was touched is remembered once the end is seen
        return Consequences(failure=failure, halt=_halt_after(site, failure, limits))
    subject = f"vm:{entry.vm_id or step.vm}" if step.is_move else f"host:{step.host}"
    mib = step.memory_mib if step.is_move else None
    if ending.result is Result.DONE:
        arrived = Sighting(entry.vm_id or step.move.vm, step.move.target, site.now) if step.is_move else None
        came_from = step.move.source if step.is_move else ""
        past = past_of(site, entry, ending.measured, limits)
        tested = found_out(site, entry, ending)
        return Consequences(touched=subject, mib=mib, came_from=came_from, arrived=arrived, past=past, tested=tested)
    return Consequences(
        touched=subject,
        failed=True,
        mib=mib,
        failure=failure,
        setback=setback_of(site, entry, failure.prospect, ending.detail, limits) if failure and step.is_move else None,
        shunned=_shunned_after(site, failure, limits),
        halt=_halt_after(site, failure, limits),
        tested=found_out(site, entry, ending),
    )


def past_of(
    site: ActingSite, entry: JournalEntry, measured: MigrationStatus | None, limits: Limits
) -> PastMigration | None:
    """Return how a migration was foretold and how it went, for the next ones; None where it was not measured."""
    step = entry.step
    if not step.is_move or measured is None or measured.seconds is None or not step.link_mib_per_s:
        return None
    return PastMigration(
        at=site.now,
        vm_key=entry.vm_id or step.move.vm,
        source=step.move.source,
        target=step.move.target,
        kind=step.kind or "live",
        predicted_seconds=step.seconds,
        seconds=measured.seconds,
        predicted_mib=step.copied_mib,
        mib=step.copied_mib if measured.copied_mib is None else measured.copied_mib,
        modelled_mib=step.modelled_mib,
        link_mib_per_s=step.link_mib_per_s,
        cap_mib_per_s=limits.bandwidth_mib_per_s,
        downtime_ms=measured.downtime_ms,
    )


def _failure_of(site: ActingSite, entry: JournalEntry, ending: Ending) -> Failure | None:
    """Return the failure that an end is; None where a person wanted it so, and of one that was counted before."""
    never_asked = entry.phase is Phase.REQUEST and ending.was_interrupted
    if ending.result is Result.DONE or ending.asked_for or never_asked or entry.state is EntryState.UNKNOWN:
        return None
    step = entry.step
    subject = f"vm:{entry.vm_id or step.vm}" if step.is_move else f"host:{step.host}"
    return Failure(site.now, subject, step.target, ending.prospect, ending.detail)


def setback_of(site: ActingSite, entry: JournalEntry, prospect: Prospect, why: str, limits: Limits) -> Setback:
    """Say until when a guest is not tried towards a host again: each failure in a row doubles it."""
    key, target = entry.vm_id or entry.step.move.vm, entry.step.move.target
    before = site.store.failures.setback(key, target)
    failures = before.failures if before else 0
    minutes = limits.back_off_minutes * 2 ** min(failures, MOST_DOUBLINGS)
    if prospect is Prospect.NEVER_HERE:
        minutes = max(minutes, limits.never_here_minutes)
    return Setback(key, target, failures + 1, site.now + timedelta(minutes=minutes), why)


def _shunned_after(site: ActingSite, failure: Failure | None, limits: Limits) -> Shunned | None:
    """Say that a host is no target for a while, once so many moves to it have failed.

    A guest that can never run there says nothing about the others.
    """
    if failure is None or failure.target is None or failure.prospect is Prospect.NEVER_HERE:
        return None
    lately = site.store.failures.since(site.now - timedelta(minutes=limits.shun_within_minutes))
    there = [each for each in lately if each.target == failure.target and each.prospect is not Prospect.NEVER_HERE]
    if len(there) + 1 < limits.shun_after:
        return None
    why = f"{count_of(len(there) + 1, 'move')} to it failed within {limits.shun_within_minutes:g} min, the last: "
    return Shunned(failure.target, site.now, site.now + timedelta(minutes=limits.shun_minutes), why + failure.detail)


def _halt_after(site: ActingSite, failure: Failure | None, limits: Limits) -> Halt | None:
    """Say that nothing but waking is begun for a while, once so much has failed."""
    if failure is None:
        return None
    since = site.now - timedelta(minutes=limits.stop_within_minutes)
    resumed = site.store.halts.resumed_at() or since
    lately = [*(each for each in site.store.failures.since(since) if each.at > resumed), failure]
    if len(lately) < limits.stop_after:
        return None
    why = f"{count_of(len(lately), 'failure')} within {limits.stop_within_minutes:g} min ({_named(lately)})"
    until = site.now + timedelta(minutes=limits.stop_within_minutes)
    return Halt(HaltKind.FAILURES, site.now, until, BALANCER, why)


def _named(failures: Iterable[Failure]) -> str:
    said = list(dict.fromkeys(each.detail or each.subject for each in failures))
    return "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if len(said) > 3 else "")
