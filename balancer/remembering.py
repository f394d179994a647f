"""From the store to what a cycle has to know of earlier ones, and from a look to what is new about drained hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from balancer.domain.cluster import Cluster
from balancer.domain.memory import Memory
from balancer.domain.units import gib
from balancer.execution import Runner
from balancer.execution.runner import Held
from balancer.policy import Policy
from balancer.stability.budget import HOUR
from balancer.stability.cool_down import cooling_until
from balancer.store import Store
from balancer.store.audit import AuditLine

MISSED_AT_MOST = 3  # intervals without a look; what was wished for before may have come and gone meanwhile
BALANCER = "balancer"


def recall(store: Store, policy: Policy, now: datetime, runners: Iterable[Runner], watching: bool) -> Memory:
    """Return what the store and the running plans know."""
    rules, running = policy.stability, list(runners)
    guests, hosts = _touched(store, "vm:"), _touched(store, "host:")
    since = now - timedelta(minutes=rules.no_return_minutes)
    held = Held.by(running)
    spent = store.memory.spent_since(now - HOUR)
    owed = [step for one in running for step in one.still_to_move()]
    # What an earlier run began and nobody has seen the end of is spent all the same.
    owed += [e.step for e in store.journal.unsettled() if e.step.is_move and e.id not in held.entries]
    return Memory(
        cooling_until=cooling_until(guests, rules.cooldown_minutes, now),
        failures={key: failures for key, (_, failures) in guests.items() if failures},
        came_from={left.subject.removeprefix("vm:"): left.source for left in store.memory.departures_since(since)},
        hosts_cooling_until=cooling_until(hosts, rules.host_cooldown_minutes, now),
        slept_today=store.journal.slept_since(now - timedelta(days=1)),
        held_vms=held.vms,
        held_hosts=held.hosts,
        moves_spent=spent.moves + len(owed),
        gib_spent=gib(spent.mib + sum(step.memory_mib for step in owed)),
        oldest_spent_at=spent.oldest_at,
        wanted_since=_wanted_since(store, policy, now, watching),
    )


def _touched(store: Store, kind: str) -> dict[str, tuple[datetime, int]]:
    """Return last touch and failures in a row of all guests, or of all hosts."""
    touches = (touch for touch in store.memory.touches().values() if touch.subject.startswith(kind))
    return {touch.subject.removeprefix(kind): (touch.last_at, touch.failures) for touch in touches}


def _wanted_since(store: Store, policy: Policy, now: datetime, watching: bool) -> dict[str, datetime] | None:
    """Return since when each wish has lasted; None where nobody watches, so that nothing could last."""
    watch = store.memory.watched()
    if watch is not None and now - watch.at <= timedelta(seconds=MISSED_AT_MOST * policy.interval_seconds):
        return dict(watch.since)
    return {} if watching else None


def news_of_drains(store: Store, seen: Cluster) -> Iterator[str]:
    """Say once of each drained host that it has become empty, or that a guest is on it again; and write it down."""
    for drain in store.drains.all().values():
        if not seen.has_host(drain.host) or seen.is_doubted(seen.host(drain.host)):
            continue
        guests = [vm.name for vm in seen.guests_of(drain.host)]
        if bool(guests) == (drain.empty_since is None):
            continue
        store.drains.note_empty(drain.host, None if guests else seen.taken_at)
        news = (
            f"{', '.join(guests[:5])} is on {drain.host} again, which is drained" if guests else empty_words(drain.host)
        )
        store.audit.add(AuditLine(seen.taken_at, BALANCER, news, f"host:{drain.host}"))
        yield news


def empty_words(host: str) -> str:
    """Say that a host may be worked on."""
    return f"{host} is empty, you may work on it"
