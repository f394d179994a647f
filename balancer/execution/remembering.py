"""What is remembered of a step that has ended, whoever saw its end: the run that began it, or a later start."""

from __future__ import annotations

from balancer.domain.plan import Action
from balancer.execution.acting_site import ActingSite
from balancer.store.journal import JournalEntry


def remember(site: ActingSite, entry: JournalEntry, succeeded: bool) -> None:
    """Remember what a step touched, for cool-downs; what it moved, for budgets; and what it left, for no way back."""
    step, memory = entry.step, site.store.memory
    if step.action in {Action.CORDON, Action.UNCORDON}:
        return
    subject = f"vm:{entry.vm_id or step.vm}" if step.is_move else f"host:{step.host}"
    memory.touch(subject, site.now, failed=not succeeded)
    if step.is_move:
        memory.spend(site.now, 1, step.memory_mib)
        if succeeded:
            memory.leave(subject, step.move.source, site.now)
