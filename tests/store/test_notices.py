"""What was told and what is to be delivered, in a file and on a server alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from balancer.domain.notices import Kind, Severity
from balancer.store import Store, open_store
from balancer.store.notices import Decide, Decision, Key, Letter, Told

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BREAKER = Told(Kind.BREAKER_OPEN, "cluster", Severity.CRITICAL, "1", "breaker", NOON, NOON)
DOUBT = Told(Kind.DOUBTS, "host:h7 stale", Severity.WARNING, "", "h7", NOON)
LETTER = Letter("ops", NOON, Kind.BREAKER_OPEN, Severity.CRITICAL, "breaker", "words")


def knowing(*rows: Told, letters: Collection[Letter] = ()) -> Decide:
    return lambda known: ({row.key: row for row in rows}, tuple(letters))


def test_what_is_known_is_what_was_decided_last(store: Store, url: str) -> None:
    store.notices.tell(knowing(BREAKER, DOUBT))
    later = replace(DOUBT, told_at=NOON, over_since=NOON + timedelta(minutes=1), ends=False)
    store.notices.tell(knowing(later))
    assert store.notices.told() == {later.key: later}
    again = open_store(url, "lab")
    assert again.notices.told() == {later.key: later}
    again.close()


def test_of_two_that_want_to_tell_the_same_one_does(store: Store, url: str) -> None:
    other = open_store(url, "lab")
    looked: list[int] = []

    def once(known: Mapping[Key, Told]) -> Decision:
        looked.append(len(known))
        if len(looked) == 1:  # the other one comes first, between our look and our word
            other.notices.tell(knowing(BREAKER, letters=[LETTER]))
        return {BREAKER.key: BREAKER}, () if BREAKER.key in known else (LETTER,)

    store.notices.tell(once)
    assert looked == [0, 1]
    assert len(store.notices.waiting("ops")) == 1
    other.close()


def test_a_letter_is_taken_once_until_it_is_given_back_or_too_long_ago(store: Store) -> None:
    store.notices.tell(knowing(letters=[LETTER, replace(LETTER, title="another"), replace(LETTER, target="mail")]))
    until = NOON + timedelta(minutes=15)
    taken = store.notices.take("ops", lambda letter: letter.title == "breaker", NOON, until)
    assert [letter.title for letter in taken] == ["breaker"]
    assert taken[0] == replace(LETTER, id=taken[0].id)
    assert [each.title for each in store.notices.take("ops", lambda _: True, NOON, until)] == ["another"]
    assert store.notices.take("ops", lambda _: True, NOON, until) == ()
    store.notices.give_back(taken)
    assert store.notices.take("ops", lambda _: True, NOON, until) == taken
    assert len(store.notices.take("ops", lambda _: True, until, until + timedelta(minutes=1))) == 2
    store.notices.drop(store.notices.waiting("ops"))
    assert store.notices.waiting("ops") == () and len(store.notices.waiting("mail")) == 1
