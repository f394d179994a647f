"""The same thing is told once until it changes or has been over for a while, and that it is over is told once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.notices import Kind, Notify, Severity
from balancer.notifying.ledger import News, Stage, news
from balancer.notifying.matters import Matter
from balancer.store.notices import Key, Told
from tests.notifying.drawing import A_MINUTE, NOON, matter, rules

RULES = rules(over_minutes=10, again_minutes=60, after_minutes=5)
PATIENT = 5


class Book:
    """What was told so far, a look a minute."""

    def __init__(self, rules_: Notify = RULES) -> None:
        self.rules, self.now, self.minute = rules_, NOON, 0
        self.known: Mapping[Key, Told] = {}
        self.said: list[tuple[int, Stage, str]] = []

    def look(self, *found: Matter, unseen: Sequence[Kind] = (), minutes: int = 1) -> list[News]:
        """Look now, and let time pass."""
        self.known, said = news(self.known, found, unseen, self.now, self.rules)
        self.said += [(self.minute, each.stage, each.title) for each in said]
        self.now, self.minute = self.now + minutes * A_MINUTE, self.minute + minutes
        return list(said)

    def stages(self, *found: Matter, minutes: int = 1, looks: int = 1) -> list[Stage]:
        return [each.stage for _ in range(looks) for each in self.look(*found, minutes=minutes)]


def test_a_thing_is_told_once_however_long_it_lasts() -> None:
    book = Book()
    assert book.stages(matter(), looks=2000) == [Stage.NEW]


def test_its_end_is_told_once_and_only_when_it_has_been_over_for_a_while() -> None:
    book = Book()
    book.look(matter())
    assert book.stages(looks=10) == []
    assert book.stages(looks=50) == [Stage.OVER]
    assert book.known == {}


def test_one_that_comes_and_goes_is_told_once() -> None:
    book = Book()
    for _ in range(100):
        book.look(matter())
        book.look(minutes=5)
    assert [stage for _, stage, _ in book.said] == [Stage.NEW]


def test_it_is_told_anew_once_it_was_over() -> None:
    book = Book()
    book.look(matter())
    book.stages(looks=20)
    assert book.stages(matter()) == [Stage.NEW]


def test_what_has_changed_is_told_again_but_not_every_minute() -> None:
    book = Book()
    said = [(minute, stage) for minute in range(181) for stage in book.stages(matter(likeness=str(minute)), minutes=1)]
    assert said == [(0, Stage.NEW), (60, Stage.CHANGED), (120, Stage.CHANGED), (180, Stage.CHANGED)]


def test_what_has_become_worse_is_told_at_once() -> None:
    book = Book()
    book.look(matter(severity=Severity.WARNING))
    assert book.stages(matter(severity=Severity.CRITICAL)) == [Stage.CHANGED]
    assert book.stages(matter(severity=Severity.WARNING), matter(severity=Severity.WARNING)) == []


def test_a_doubt_is_told_when_it_has_lasted_and_one_that_passes_never() -> None:
    doubt = matter(Kind.DOUBTS, "host:h7 stale", Severity.WARNING)
    lasting, passing = Book(), Book()
    assert lasting.stages(doubt, looks=PATIENT) == []
    assert lasting.stages(doubt) == [Stage.NEW]
    assert passing.stages(doubt, looks=PATIENT) + passing.stages(looks=60) == []


def test_a_plan_that_fails_as_before_every_few_minutes_is_told_once_and_has_no_end() -> None:
    failed = matter(Kind.PLAN_FAILED, "move a from h1 to h2", ends=False)
    book = Book()
    for _ in range(20):
        book.look(failed)
        book.look(minutes=4)
    assert [stage for _, stage, _ in book.said] == [Stage.NEW]
    assert book.stages(looks=120) == []
    assert book.stages(failed) == [Stage.NEW]


def test_a_start_ends_nothing_that_it_has_not_looked_at_yet() -> None:
    doubt = matter(Kind.DOUBTS, "host:h7 stale", Severity.WARNING)
    book = Book(rules(after_minutes=0))
    book.look(doubt)
    for _ in range(60):
        assert book.look(unseen=[Kind.DOUBTS]) == []
    assert book.look(doubt) == []


SUBJECTS = ("a", "b")
LOOKS = st.lists(
    st.tuples(st.sets(st.sampled_from(SUBJECTS)), st.integers(min_value=1, max_value=30)), min_size=1, max_size=60
)


@given(LOOKS)
def test_nothing_is_told_twice_without_its_end_and_no_end_without_its_beginning(
    looks: list[tuple[set[str], int]],
) -> None:
    book = Book()
    present: dict[str, list[tuple[datetime, bool]]] = {subject: [] for subject in SUBJECTS}
    for found, minutes in looks:
        for subject in SUBJECTS:
            present[subject].append((book.now, subject in found))
        book.look(*(matter(subject=subject, title=subject) for subject in sorted(found)), minutes=minutes)
    for subject in SUBJECTS:
        stages = [stage for _, stage, title in book.said if title == subject]
        assert stages == [Stage.NEW, Stage.OVER] * (len(stages) // 2) + [Stage.NEW] * (len(stages) % 2)
        assert bool(stages) == any(is_there for _, is_there in present[subject])
        # Each end was told after ten minutes in which nobody saw it.
        for minute, stage, title in book.said:
            if stage is Stage.OVER and title == subject:
                told_at = NOON + minute * A_MINUTE
                last_seen = max(at for at, is_there in present[subject] if is_there and at < told_at)
                assert told_at - last_seen >= 10 * A_MINUTE
