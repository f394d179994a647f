"""What is written down arrives, once; a target that fails or hangs costs one warning a while, and nobody anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from balancer.clock import HandSetClock
from balancer.domain.notices import Kind, Notify, Target
from balancer.errors import NoticeError
from balancer.notifying.delivering import LONGEST_WAIT, Delivery
from balancer.notifying.targets import Send, sender
from balancer.notifying.whom import Message
from balancer.store import Store, open_store
from balancer.store.notices import MOST_LETTERS, Letter
from tests.notifying.drawing import NOON, letter, rules
from tests.notifying.hook import Hook

NIGHT = {"from": "22:00", "to": "07:00"}


class Ops:
    """Takes messages, or refuses them while it is told to."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.tried = 0
        self.refuses = ""

    def __call__(self, target: Target, message: Message) -> None:
        self.tried += 1
        if self.refuses:
            raise NoticeError(target.name, "send", self.refuses)
        self.got.append(message)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.got]


class Desk:
    """A store with letters, a clock, and the delivery of one target."""

    def __init__(self, store: Store, send: Send, some: Notify | None = None) -> None:
        self.store, self.clock = store, HandSetClock(NOON)
        self.rules = some or rules()
        self.delivery = Delivery(self.rules.targets[0], self.rules, "lab", store, send, self.clock)

    def writes(self, *letters: Letter) -> None:
        self.store.notices.tell(lambda known: (known, letters))

    def delivers(self, hours: float = 0) -> None:
        self.clock.sleep(3600 * hours)
        self.delivery.deliver()

    @property
    def waiting(self) -> list[str]:
        return [each.title for each in self.store.notices.waiting("ops")]


def test_what_was_written_arrives_once(store: Store) -> None:
    ops = Ops()
    desk = Desk(store, ops)
    desk.writes(letter(title="h7 is in doubt"))
    for _ in range(3):
        desk.delivers()
    assert ops.titles == ["lab: h7 is in doubt"]
    assert desk.waiting == []


def test_at_night_the_calm_waits_and_comes_in_one_message_in_the_morning_also_after_a_restart(
    store: Store, tmp_path: Path
) -> None:
    ops = Ops()
    desk = Desk(store, ops, rules(quiet=NIGHT))
    desk.clock.sleep(11 * 3600)
    desk.writes(letter(title="a doubt", at=desk.clock.now()), letter(Kind.BREAKER_OPEN, title="breaker"))
    desk.delivers()
    desk.writes(letter(title="another doubt", at=desk.clock.now()))
    desk.delivers()
    assert ops.titles == ["lab: breaker"]
    again = Desk(open_store(f"sqlite:///{tmp_path}/balancer.db", "lab"), ops, rules(quiet=NIGHT))
    again.clock.sleep(18 * 3600)
    again.delivers()
    assert ops.titles == ["lab: breaker"]
    again.delivers(hours=1)
    assert ops.titles == ["lab: breaker", "lab: 2 messages"]
    again.store.close()


def test_a_target_that_fails_gets_it_later_in_one_message_and_is_warned_of_once_a_while(store: Store) -> None:
    ops = Ops()
    ops.refuses = "403"
    desk = Desk(store, ops)
    with capture_logs() as logs:
        for hour in range(3):
            desk.writes(letter(title=f"doubt {hour}"))
            for _ in range(60):
                desk.delivers(hours=1 / 60)
        ops.refuses = ""
        desk.delivers(hours=1)
    warned = [log for log in logs if log["log_level"] == "warning"]
    assert [(log["target"], log["cause"]) for log in warned] == 3 * [("ops", "ops: send: 403")]
    assert ops.titles == ["lab: 3 messages"]
    assert ops.tried < 20, "it is asked less and less often"
    assert logs[-1]["event"] == "a target takes messages again"
    assert desk.waiting == []


def test_what_failed_once_is_sent_a_minute_later(store: Store) -> None:
    ops = Ops()
    ops.refuses = "busy"
    desk = Desk(store, ops)
    desk.writes(letter(title="breaker"))
    desk.delivers()
    ops.refuses = ""
    desk.delivers(hours=1 / 60)
    assert ops.titles == ["lab: breaker"]


def test_what_fails_without_words_of_ours_is_not_quoted(store: Store) -> None:
    def send(target: Target, message: Message) -> None:
        raise RuntimeError("https://hooks.example/hunter22")

    desk = Desk(store, send)
    desk.writes(letter())
    with capture_logs() as logs:
        desk.delivers()
    assert "hunter22" not in str(logs) and "RuntimeError" in str(logs)
    assert len(desk.waiting) == 1


def test_what_nobody_took_for_days_is_dropped_with_a_word(store: Store) -> None:
    ops = Ops()
    desk = Desk(store, ops)
    desk.writes(letter(title="old"), letter(title="new", at=NOON + LONGEST_WAIT))
    with capture_logs() as logs:
        desk.delivers(hours=LONGEST_WAIT / timedelta(hours=1) + 1)
    assert ops.titles == ["lab: new"]
    assert [log["event"] for log in logs] == ["1 messages were never sent: they are too old"]


def test_so_many_letters_wait_and_no_more(store: Store) -> None:
    desk = Desk(store, Ops())
    desk.writes(*(letter(title=str(number)) for number in range(MOST_LETTERS + 7)))
    assert desk.waiting == [str(number) for number in range(7, MOST_LETTERS + 7)]


def test_of_two_balancers_on_one_store_one_delivers(store: Store) -> None:
    ops = Ops()
    one, inner = Desk(store, ops), []

    def while_the_first_sends(target: Target, message: Message) -> None:
        Desk(store, ops).delivers()
        inner.append(message)

    one.delivery._send = while_the_first_sends
    one.writes(letter())
    one.delivers()
    assert (len(inner), ops.got) == (1, [])


def test_what_was_under_way_when_the_balancer_died_is_sent_by_the_next(store: Store) -> None:
    store.notices.tell(lambda known: (known, (letter(),)))
    assert store.notices.take("ops", lambda _: True, NOON, NOON + timedelta(minutes=15))
    ops = Ops()
    desk = Desk(store, ops)
    desk.delivers()
    assert ops.got == []
    desk.delivers(hours=0.25)
    assert len(ops.got) == 1


# -- in threads


class Hangs:
    """Never comes back, until somebody lets it."""

    def __init__(self) -> None:
        self.is_in, self.may_go = threading.Event(), threading.Event()

    def __call__(self, target: Target, message: Message) -> None:
        self.is_in.set()
        self.may_go.wait()


@contextmanager
def at_work(*desks: Desk) -> Iterator[None]:
    for desk in desks:
        desk.delivery.begin()
    try:
        yield
    finally:
        for desk in desks:
            desk.delivery.end(0)


def test_one_that_hangs_holds_up_neither_who_asks_nor_another_target(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, arrived = Hangs(), threading.Event()
    stuck = Desk(store, hangs)
    other_rules = rules(targets=[{"name": "mail"}])
    other = Desk(store, lambda target, message: arrived.set(), other_rules)
    stuck.writes(letter(), Letter(**{**vars(letter()), "target": "mail"}))
    with at_work(stuck, other):
        stuck.delivery.see_to_it()
        assert hangs.is_in.wait(60)
        other.delivery.see_to_it()
        assert arrived.wait(60)
        stuck.delivery.see_to_it()  # returns, although nobody ever lets it go
        monkeypatch.setattr("balancer.notifying.delivering.SECONDS_UNTIL_IT_HANGS", -1.0)
        with capture_logs() as logs:
            stuck.delivery.see_to_it()
            stuck.delivery.see_to_it()
        assert [(log["target"], log["cause"]) for log in logs] == [("ops", "it does not answer, and is waited for")]
        stuck.delivery.end(0.01)  # and keeps nobody from ending
        assert not hangs.may_go.is_set()
    assert stuck.waiting, "it stays in the store for the next start"
    hangs.may_go.set()


def test_an_end_waits_for_what_is_under_way(store: Store, hook: Hook) -> None:
    desk = Desk(store, sender(Path("/nonexistent")))
    desk.writes(letter(title="the last word"))
    desk.delivery.begin()
    desk.delivery.see_to_it()
    desk.delivery.end(60)
    assert hook.titles == ["lab: the last word"]
