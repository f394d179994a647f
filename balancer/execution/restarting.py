"""A guest that was shut down to be moved runs again in the end, at whichever end it is, whoever saw that end."""

from __future__ import annotations

from dataclasses import replace

from balancer.errors import PlatformError
from balancer.execution.acting_site import ActingSite
from balancer.execution.report import Ending, Result
from balancer.execution.work import is_certainly_off
from balancer.store.journal import JournalEntry


def started_again(site: ActingSite, entry: JournalEntry, ending: Ending) -> Ending:
    """Start the guest of a restart that has ended, where it is defined and if it is shut off; say if that fails.

    Where it is defined at both ends, or a host is silent that is not certainly off, nothing is started: it could run
    twice.
    """
    if not entry.step.options.restart or ending.result not in {Result.DONE, Result.FAILED} or not site.may_act:
        return ending
    vm_id = entry.vm_id or entry.step.move.vm
    try:
        where = site.platform.whereabouts(vm_id)
        if where.active_on:
            return ending
        if len(where.defined_on) != 1 or not all(is_certainly_off(site, host) for host in where.not_asked):
            return _still_off(ending, "where it belongs cannot be told")
        site.platform.start_guest(vm_id, where.defined_on[0])
    except PlatformError as failed:
        return _still_off(ending, str(failed))
    return ending


def _still_off(ending: Ending, why: str) -> Ending:
    said = f"it was shut down to be moved and is not started again: {why}"
    return replace(ending, detail="; ".join(filter(None, (ending.detail, said))), alarm=True)
