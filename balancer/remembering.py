"""From the store to what a cycle has to know of earlier ones, and from a look to what is new about drained hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from balancer.domain.cluster import Cluster
from balancer.domain.memory import Memory
from balancer.domain.units import count_of, gib
from balancer.execution import Runner
from balancer.execution.runner import Held
from balancer.planning.pacing import paces_from
from balancer.policy import Policy
from balancer.stability.budget import HOUR
from balancer.stability.cool_down import cooling_until
from balancer.store import Store
from balancer.store.audit import AuditLine
from balancer.store.power_tests import TestResult
from balancer.store.sightings import Sighting, Stray

MISSED_AT_MOST = 3  # intervals without a look; what was wished for before may have come and gone meanwhile
BALANCER = "balancer"
SOMEBODY = "somebody else"
REPEATED_WITHIN = timedelta(days=1)
REPEATED_OFTEN = 3
TEST_PUT_OFF_FOR = timedelta(hours=12)  # so that one that is refused is tried again in the next night, not all night


def recall(store: Store, policy: Policy, now: datetime, runners: Iterable[Runner], watching: bool) -> Memory:
    """Return what the store and the running plans know."""
    rules, running = policy.stability, list(runners)
    guests, hosts = _touched(store, "vm:"), _touched(store, "host:")
    since = now - timedelta(minutes=rules.no_return_minutes)
    held = Held.by(running)
    spent, tests = store.memory.spent_since(now - HOUR), list(store.power_tests.all().values())
    owed = [step for one in running for step in one.still_to_move()]
    # What an earlier run began and nobody has seen the end of is spent all the same.
    owed += [e.step for e in store.journal.unsettled() if e.step.is_move and e.id not in held.entries]
    return Memory(
        cooling_until=cooling_until(guests, rules.cooldown_minutes, now),
        failures={key: failures for key, (_, failures) in guests.items() if failures},
        not_to=_not_to(store, now),
        moved_by_others=_moved_by_others(store, policy, now),
        came_from={left.subject.removeprefix("vm:"): left.source for left in store.memory.departures_since(since)},
        hosts_cooling_until=cooling_until(hosts, rules.host_cooldown_minutes, now),
        slept_today=store.journal.slept_since(now - timedelta(days=1)),
        tests_put_off_until={
            test.host: test.at + TEST_PUT_OFF_FOR for test in tests if test.result is TestResult.FAILED
        },
        tests_unfinished=frozenset(test.host for test in tests if test.result is TestResult.UNFINISHED),
        held_vms=held.vms,
        held_hosts=held.hosts,
        moves_spent=spent.moves + len(owed),
        gib_spent=gib(spent.mib + sum(step.memory_mib for step in owed)),
        oldest_spent_at=spent.oldest_at,
        paces=paces_from(store.past_migrations.latest()),
        wanted_since=_wanted_since(store, policy, now, watching),
    )


def _touched(store: Store, kind: str) -> dict[str, tuple[datetime, int]]:
    """Return last touch and failures in a row of all guests, or of all hosts."""
    touches = (touch for touch in store.memory.touches().values() if touch.subject.startswith(kind))
    return {touch.subject.removeprefix(kind): (touch.last_at, touch.failures) for touch in touches}


def _not_to(store: Store, now: datetime) -> dict[str, tuple[str, ...]]:
    """Return the hosts that each guest is not tried towards for a while."""
    off: dict[str, tuple[str, ...]] = {}
    for setback in store.failures.setbacks(now):
        off[setback.vm_key] = (*off.get(setback.vm_key, ()), setback.target)
    return off


def _moved_by_others(store: Store, policy: Policy, now: datetime) -> dict[str, datetime]:
    """Return until when guests are left where somebody else has put them."""
    rest = timedelta(minutes=policy.caution.moved_by_others_minutes)
    return {stray.vm_key: stray.at + rest for stray in store.sightings.strays_since(now - rest)}


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


def news_of_strays(store: Store, seen: Cluster) -> Iterator[str]:
    """Say which guests were moved without us since they were last seen, and write it down.

    One that an open step of ours moves is left out, and so is one that is on its way, or cannot be seen.
    """
    before = store.sightings.all()
    ours = [entry for entry in store.journal.unsettled() if entry.step.is_move]
    at_rest = [vm for vm in seen.vms if not vm.is_in_flight and not seen.is_frozen(vm)]
    settled = [vm for vm in at_rest if not any(entry.concerns(vm.name, vm.id) for entry in ours)]
    last = {vm.key: before.get(vm.key) for vm in settled}
    known = {key: sighting for key, sighting in last.items() if sighting is not None and sighting.at < seen.taken_at}
    moved = [
        Stray(seen.taken_at, vm.key, vm.name, known[vm.key].host, vm.host)
        for vm in settled
        if vm.key in known and known[vm.key].host != vm.host
    ]
    fresh = [vm for vm in settled if last[vm.key] is None or (vm.key in known and known[vm.key].host != vm.host)]
    gone = [] if seen.doubts else list(before.keys() - {vm.key for vm in seen.vms})
    if fresh or gone:
        store.sightings.note((Sighting(vm.key, vm.host, seen.taken_at) for vm in fresh), gone, moved)
    for stray in moved:
        store.audit.add(AuditLine(seen.taken_at, SOMEBODY, f"moved {stray} without us", f"vm:{stray.vm}"))
    if moved:
        yield _strays_in_words(moved)
        yield from _repeated(store.sightings.strays_since(seen.taken_at - REPEATED_WITHIN), moved)


def _strays_in_words(moved: list[Stray]) -> str:
    named = ", ".join(map(str, moved[:5])) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")
    return f"{count_of(len(moved), 'guest')} moved without us: {named}; left there for a while"


def _repeated(lately: Iterable[Stray], moved: list[Stray]) -> Iterator[str]:
    """Say that something else keeps moving guests here: two masters would undo each other for ever."""
    counts = Counter(stray.vm_key for stray in lately)
    often = {stray.vm: counts[stray.vm_key] for stray in moved if counts[stray.vm_key] >= REPEATED_OFTEN}
    if often:
        named = ", ".join(f"{vm} ({times} times)" for vm, times in often.items())
        yield (
            f"another balancer or scheduler seems to be at work here: {named} moved without us within a day; "
            f"let one of the two move guests"
        )
