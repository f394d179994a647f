"""Sum a day up from what the store and the chronicle keep of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from balancer.accounting import savings
from balancer.chronicle import Chronicle
from balancer.domain.day_summary import DaySummary, Deed, Moves
from balancer.domain.energy import Energy
from balancer.domain.plan import Action
from balancer.domain.units import gib
from balancer.store import Store
from balancer.store.cycles import CycleLine
from balancer.store.journal import EntryState, JournalEntry

OPEN_PLANS_NAMED = 20


def day_summary(store: Store, chronicle: Chronicle, cluster: str, day: date, now: datetime) -> DaySummary:
    """Sum up one day, from midnight to midnight in UTC as the accounts count days."""
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    lines, steps = store.cycles.between(since, until), store.journal.between(since, until)
    whole, doubts, bent = _found_in(chronicle, lines)
    accounts = savings(store, day, days=1)
    return DaySummary(
        cluster=cluster,
        day=day,
        is_over=now >= until,
        cycles=len(lines),
        cycles_whole=whole,
        cycles_in_doubt=sum(line.doubts > 0 for line in lines),
        plans=sum(line.moves > 0 for line in lines),
        moves=_moves(steps),
        sleeps=sum(step.action is Action.POWER_OFF and step.state is EntryState.DONE for step in steps),
        wakes=store.accounts.wakes_between(since, until),
        energy=accounts[0].energy if accounts else Energy(),
        money=accounts[0].money if accounts else {},
        co2_kg=accounts[0].co2_kg if accounts else 0.0,
        doubts=doubts,
        bent=bent,
        waiting=tuple(_waiting(store, now)),
        deeds=tuple(Deed(line.at, line.who, line.what, line.subject) for line in store.audit.between(since, until)),
    )


def _moves(steps: Sequence[JournalEntry]) -> Moves:
    moves = [step for step in steps if step.step.is_move]
    done = [each for each in moves if each.state is EntryState.DONE]
    still_open = sum(not each.is_settled for each in moves)
    memory_mib = sum(each.step.memory_mib for each in done)
    return Moves(len(done), len(moves) - len(done) - still_open, still_open, gib(memory_mib))


def _found_in(chronicle: Chronicle, lines: Sequence[CycleLine]) -> tuple[int, Counter[str], Counter[str]]:
    """Count the cycles that are kept whole, and in how many of them each doubt and each broken promise was found."""
    whole, doubts, bent = 0, Counter[str](), Counter[str]()
    for line in lines:
        saved = chronicle.saved(line.plan_id)
        if saved is None:
            continue
        whole += 1
        doubts.update({f"{doubt.subject}: {doubt.kind.replace('_', ' ')}" for doubt in saved.snapshot.doubts})
        bent.update({f"{unmet.promise}, {unmet.subject}" for unmet in saved.plan.unmet})
    return whole, doubts, bent


def _waiting(store: Store, now: datetime) -> Iterator[str]:
    for proposal in store.proposals.latest(OPEN_PLANS_NAMED):
        if proposal.is_open(now):
            yield f"plan {proposal.id} of {len(proposal.plan.steps)} steps, {proposal}"
    for step in store.journal.unsettled():
        if step.state is EntryState.UNKNOWN:
            yield f"{step}: nobody knows how it ended"
    for host, marks in sorted(store.marks.all().items()):
        if marks.quarantine is not None:
            yield f"{host} is in quarantine since {marks.quarantine.since:%Y-%m-%d %H:%M}: {marks.quarantine.why}"
