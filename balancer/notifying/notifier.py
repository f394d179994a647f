"""Tells people, beside the service: it reads what the service publishes, and nothing of the service waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.notices import Kind, Notify
from balancer.errors import BalancerError
from balancer.notifying.alertmanager import Silencer
from balancer.notifying.daily import Summed, summed_apart
from balancer.notifying.delivering import BETWEEN_WARNINGS, Delivery
from balancer.notifying.ledger import news
from balancer.notifying.matters import Facts, Summary, matters
from balancer.notifying.silences import Looked, Sleepers, sleepers
from balancer.notifying.targets import Send, sender
from balancer.notifying.whom import letters, summary_is_due
from balancer.published import Board
from balancer.site import Site
from balancer.store.notices import Decision, Key, Told

log = structlog.get_logger()

SECONDS_BETWEEN_LOOKS = 15.0  # a pause, a quarantine or the end of quiet hours changes nothing that is published
SECONDS_TO_END = 5.0
SILENCES_ANYWAY = timedelta(minutes=5)  # an Alertmanager may have lost them, or somebody may have ended one
TO_NOTE_IT = timedelta(minutes=1)  # from the end of a shutdown until it is in the journal
SILENT = frozenset({HostState.UNREACHABLE, HostState.POWERED_OFF, HostState.STANDBY, HostState.WAKING})


class Notifier:
    """Finds out what is worth telling, writes it down once, and has it delivered."""

    def __init__(self, site: Site, board: Board, rules: Notify, send: Send) -> None:
        self._site, self._board, self._rules = site, board, rules
        store = site.acting.store
        self.deliveries = tuple(Delivery(target, rules, site.name, store, send, site.clock) for target in rules.targets)
        self.summary: Summary | None = None  # of yesterday, where somebody made it
        self._seen = 0  # the last change of the board that was looked at

    def look(self) -> None:
        """Tell what is new, and have delivered what may go now."""
        if self._site.stands_by:
            return  # the balancer that leads tells it
        change = self._board.wait(-1, 0)
        facts = self._facts()
        self._site.acting.store.notices.tell(partial(self._decide, facts))
        self._seen = change
        for delivery in self.deliveries:
            delivery.see_to_it()

    def _decide(self, facts: Facts, known: Mapping[Key, Told]) -> Decision:
        later, said = news(known, matters(facts), facts.unseen, facts.now, self._rules)
        return later, letters(said, self._rules, facts.now)

    def _facts(self) -> Facts:
        store, now = self._site.acting.store, self._site.clock.now()
        latest, health = self._board.latest, self._board.health
        seen = latest.cycle.seen if latest is not None else None
        return Facts(
            now=now,
            looked_at=seen.taken_at if seen is not None else None,
            doubts=seen.doubts if seen is not None else (),
            up=_up(seen),
            trouble=health.trouble,
            refused=health.refused,
            halts=store.halts.in_force(now),
            marks=store.marks.all(),
            proposals=store.proposals.latest(),
            open=store.journal.unsettled(),
            ended=self._board.ended_since(self._seen),
            summary=self.summary,
        )


def _up(seen: Cluster | None) -> frozenset[str]:
    return frozenset(host.name for host in seen.hosts if host.state not in SILENT) if seen is not None else frozenset()


class Daily:
    """Sums yesterday up when it is time for it, in a thread of its own: what is urgent does not wait for it."""

    def __init__(self, site: Site, notifier: Notifier, rules: Notify, summed: Summed) -> None:
        self._site, self._notifier, self._rules, self._summed = site, notifier, rules, summed

    def look(self) -> None:
        """Make the summary that is due, unless it was told already."""
        now = self._site.clock.now().astimezone(UTC)
        day = now.date() - timedelta(days=1)  # in UTC, as accounts count days
        made = self._notifier.summary
        if self._site.stands_by or not summary_is_due(self._rules, now) or (made is not None and made.day == str(day)):
            return
        was_told = (Kind.DAILY_SUMMARY, str(day)) in self._site.acting.store.notices.told()
        self._notifier.summary = Summary(str(day), *(("", "") if was_told else self._summed(day, now)))


class Silences:
    """Has an Alertmanager keep silent about hosts that sleep: when one falls asleep or comes, and now and then."""

    def __init__(self, site: Site, board: Board, silencer: Silencer) -> None:
        self._site, self._board, self._silencer = site, board, silencer
        self._kept: Sleepers | None = None
        self._kept_at: datetime | None = None

    def look(self) -> None:
        """See to the silences where who sleeps has changed, or it is time to."""
        if self._site.stands_by:
            return
        store, now = self._site.acting.store, self._site.clock.now()
        wanted = sleepers(store.marks.all(), store.journal.unsettled(), self._looked(now))
        is_due = self._kept_at is None or now - self._kept_at >= SILENCES_ANYWAY
        if wanted == self._kept and not is_due:
            return
        done = self._silencer.keep_silent(wanted, now)
        self._kept, self._kept_at = wanted, now
        for silence in done.put:
            log.info(f"an Alertmanager is silent until {silence.ends:%H:%M %Z}", comment=silence.comment)
        for silence in done.end:
            log.info("a silence of an Alertmanager was ended", comment=silence.comment)

    def _looked(self, now: datetime) -> Looked:
        file, latest = self._site.acting.file, self._board.latest
        seen = latest.cycle.seen if latest is not None else None
        return Looked(
            now,
            hosts=frozenset(host.name for host in file.hosts),
            up=_up(seen),
            at=seen.taken_at if seen is not None else None,
            shutdown_takes=timedelta(seconds=file.shutdown_deadline_seconds) + TO_NOTE_IT,
        )


class Beside:
    """A thread that looks whenever something is published, and every few seconds; what fails is said once a while."""

    def __init__(self, name: str, board: Board, look: Callable[[], None]) -> None:
        self._name, self._board, self._look = name, board, look
        self._is_ending = threading.Event()
        self._warned_at = 0.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Look once more, at what the end has brought, and no more; wait so long at most for that."""
        self._is_ending.set()
        self._board.nudge()
        self._thread.join(seconds)

    def _work(self) -> None:
        change, is_ending = 0, False
        while not is_ending:
            is_ending = self._is_ending.is_set()
            self.look()
            change = self._board.wait(change, 0 if is_ending else SECONDS_BETWEEN_LOOKS)

    def look(self) -> None:
        """Look once; nothing that goes wrong comes out of it."""
        try:
            self._look()
            self._warned_at = 0.0
        except BalancerError as failed:
            self._warn(str(failed))
        except Exception as failed:
            self._warn(f"a fault of the balancer's own: {failed!r}", exc_info=True)

    def _warn(self, cause: str, exc_info: bool = False) -> None:
        now = time.monotonic()
        if not self._warned_at or now - self._warned_at > BETWEEN_WARNINGS.total_seconds():
            self._warned_at = now
            log.warning(f"{self._name} failed, it is tried again", cause=cause, exc_info=exc_info)


@contextmanager
def told_to_people(site: Site, board: Board, secrets: Path, state: Path) -> Iterator[None]:
    """Tell people what a service does, as its site file says, until the block ends."""
    file = site.acting.file
    at_work: list[Beside | Delivery] = []
    if file.notify is not None:
        notifier = Notifier(site, board, file.notify, sender(secrets))
        at_work += [Beside("notifying", board, notifier.look), *notifier.deliveries]
        if file.notify.wants_summary:
            daily = Daily(site, notifier, file.notify, summed_apart(file, secrets, state))
            at_work.append(Beside("the daily summary", board, daily.look))
    if file.alertmanager is not None:
        silences = Silences(site, board, Silencer(file.alertmanager, site.name, secrets))
        at_work.append(Beside("silencing", board, silences.look))
    for thread in at_work:
        thread.begin()
    try:
        yield
    finally:
        give_up = time.monotonic() + SECONDS_TO_END
        for thread in at_work:
            thread.end(max(0.0, give_up - time.monotonic()))
