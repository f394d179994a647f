"""Who sleeps by the balancer's hand is silent, for as long as it sleeps and is well: by rule, and by Alertmanagers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from balancer.domain.notices import Alertmanager
from balancer.domain.plan import Action, Step
from balancer.errors import NoticeError
from balancer.notifying.alertmanager import Silencer
from balancer.notifying.silences import Changes, Looked, Silence, Sleepers, changes, matchers_of, sleepers
from balancer.store import Store
from balancer.store.journal import EntryState, JournalEntry
from tests.notifying.alertmanagers import Running, a_real_one, a_stand_in
from tests.notifying.drawing import NOON

RULES = Alertmanager(url="http://alertmanager.example:9093")
NOBODY = Sleepers({})
HOSTS = ("h1", "h2", "h3")


def asleep(*hosts: str, lost: tuple[str, ...] = ()) -> Sleepers:
    return Sleepers(dict.fromkeys(hosts, "sleeps since noon"), frozenset(lost))


class Paper:
    """An Alertmanager on paper, and a hand-set clock."""

    def __init__(self, rules: Alertmanager = RULES) -> None:
        self.rules, self.now = rules, NOON
        self.kept: list[Silence] = []
        self.made = 0

    def sees(self, wanted: Sleepers, minutes: float = 0) -> Changes:
        self.now += timedelta(minutes=minutes)
        self.kept = [each for each in self.kept if each.ends > self.now]
        done = changes(wanted, self.kept, "lab", self.rules, self.now)
        self.kept = [each for each in self.kept if each not in done.end]
        for each in done.put:
            self.made += not each.id
            silence = each if each.id else replace(each, id=f"s{self.made}")
            self.kept = [old for old in self.kept if old.id != silence.id] + [silence]
        return done

    def minutes_left(self, host: str) -> list[float]:
        of = matchers_of(host, self.rules)
        return [(each.ends - self.now) / timedelta(minutes=1) for each in self.kept if each.matchers == of]


def test_a_host_that_sleeps_has_one_short_silence_that_is_renewed_in_time() -> None:
    paper = Paper()
    for _ in range(24 * 12):
        paper.sees(asleep("h1"), minutes=5)
        assert len(paper.minutes_left("h1")) == 1
        assert 60 <= paper.minutes_left("h1")[0] <= 120
    assert paper.made == 1


def test_of_a_balancer_that_is_dead_no_silence_is_left_after_two_hours() -> None:
    paper = Paper()
    paper.sees(asleep("h1"))
    assert paper.minutes_left("h1") == [120]
    paper.now += timedelta(minutes=121)
    assert [each for each in paper.kept if each.ends > paper.now] == []


def test_it_stays_a_little_longer_when_the_host_is_back_and_then_ends_by_itself() -> None:
    paper = Paper()
    paper.sees(asleep("h1"))
    paper.sees(NOBODY, minutes=30)
    assert paper.minutes_left("h1") == [5]
    assert paper.sees(NOBODY, minutes=4) == Changes()
    assert paper.minutes_left("h1") == [1]
    paper.sees(NOBODY, minutes=2)
    assert paper.kept == []


def test_it_ends_at_once_when_the_host_does_not_wake() -> None:
    paper = Paper()
    paper.sees(asleep("h1", "h2"))
    paper.sees(asleep("h2", lost=("h1",)), minutes=30)
    assert (paper.minutes_left("h1"), paper.minutes_left("h2")) == ([], [90])


def test_one_that_somebody_ended_or_that_was_lost_is_made_anew_and_a_twin_is_ended() -> None:
    paper = Paper()
    paper.sees(asleep("h1"))
    paper.kept = []
    paper.sees(asleep("h1"), minutes=1)
    twin = replace(paper.kept[0], id="twin", ends=paper.now + timedelta(minutes=70))
    paper.kept.append(twin)
    assert paper.sees(asleep("h1"), minutes=1) == Changes((), (twin,))


def test_a_silence_with_other_matchers_than_today_ends() -> None:
    paper = Paper()
    paper.sees(asleep("h1"))
    paper.rules = Alertmanager.model_validate({"url": RULES.url, "matchers": [{"label": "node"}]})
    paper.sees(asleep("h1"), minutes=1)
    assert paper.minutes_left("h1") == [120]
    assert sorted(round((each.ends - paper.now) / timedelta(minutes=1)) for each in paper.kept) == [5, 120]


@given(st.lists(st.tuples(st.sets(st.sampled_from(HOSTS)), st.sets(st.sampled_from(HOSTS)), st.integers(1, 40))))
def test_whatever_happens_who_sleeps_is_silent_and_who_is_lost_is_heard(
    looks: list[tuple[set[str], set[str], int]],
) -> None:
    paper = Paper()
    for sleeping, lost, minutes in looks:
        wanted = asleep(*sorted(sleeping - lost), lost=tuple(lost))
        paper.sees(wanted, minutes)
        for host in HOSTS:
            left = paper.minutes_left(host)
            assert len(left) <= 1
            if host in lost:
                assert left == []
            elif host in sleeping:
                assert left and left[0] >= 60
            else:
                assert all(minutes_left <= 5 for minutes_left in left)


@pytest.mark.parametrize("host", ["h1", "node-1.rack_2", "a+b(c)[d]"])
def test_the_pattern_matches_the_host_with_any_port_and_no_other(host: str) -> None:
    ((label, value, is_regex),) = matchers_of(host, RULES)
    assert (label, is_regex) == ("instance", True)
    heard = [host, f"{host}:9100", f"{host}0", f"x{host}", f"{host}:9100:1", f"{host}.example"]
    assert [bool(re.fullmatch(value, each)) for each in heard] == [True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"url": "alertmanager:9093"}, "pattern"),
        ({"url": "http://ann:secret@alertmanager"}, "pattern"),
        ({"matchers": []}, "at least 1"),
        ({"matchers": [{"label": "severity", "value": "page"}]}, "would silence alerts of every host"),
        ({"matchers": [{"label": "instance", "value": ""}]}, "alerts without that label"),
        ({"user": "ann"}, "no `secret_ref`"),
        ({"silence_minutes": 5}, "greater than or equal to 10"),
        ({"token": "x"}, "unknown key"),
    ],
)
def test_what_is_wrong_with_the_section_is_refused(said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Alertmanager.model_validate({"url": RULES.url, **said})
    assert complaint in str(refused.value)


# -- who sleeps


def test_who_is_asked_to_shut_down_sleeps_already_and_who_did_not_come_no_more(store: Store) -> None:
    for host in ("h1", "h2"):
        store.marks.fell_asleep(host, NOON)
    store.marks.quarantine("h2", "did not wake", NOON)
    store.marks.quarantine("h4", "was still on", NOON)
    going = JournalEntry(NOON, "plan-1", Step(id="s1", action=Action.POWER_OFF, host="h3"))
    unknown = JournalEntry(NOON, "plan-1", Step(id="s2", action=Action.POWER_OFF, host="h5"), state=EntryState.UNKNOWN)
    moving = JournalEntry(NOON, "plan-1", Step(id="s3", action=Action.MOVE, vm="a", source="h6", target="h7"))
    found = sleepers(store.marks.all(), (going, unknown, moving), looked())
    assert found.why == {
        "h1": "sleeps since 2026-11-23 12:00 UTC",
        "h3": "is put to sleep since 2026-11-23 12:00 UTC",
    }
    assert found.lost == {"h2"}


def looked(minutes: float = 1, **said: Any) -> Looked:
    hosts = frozenset(f"h{number}" for number in range(1, 8))
    return replace(Looked(NOON + timedelta(minutes=minutes), hosts), **said)


def test_who_was_seen_up_since_sleeps_no_more_whatever_was_written_down(store: Store) -> None:
    store.marks.fell_asleep("h1", NOON)
    store.marks.fell_asleep("h2", NOON)
    marks, up = store.marks.all(), frozenset({"h1"})
    assert sleepers(marks, (), looked(up=up, at=NOON - timedelta(minutes=1))).why.keys() == {"h1", "h2"}
    assert sleepers(marks, (), looked(up=up, at=NOON + timedelta(minutes=1))).why.keys() == {"h2"}


def test_a_shutdown_that_was_never_noted_to_have_ended_is_silent_no_longer_than_it_may_take(store: Store) -> None:
    going = JournalEntry(NOON, "plan-1", Step(id="s1", action=Action.POWER_OFF, host="h3"))
    assert sleepers({}, (going,), looked(minutes=5)).why.keys() == {"h3"}
    assert sleepers({}, (going,), looked(minutes=6)).why == {}


def test_a_host_that_left_the_site_is_not_kept_silent(store: Store) -> None:
    store.marks.fell_asleep("h9", NOON)
    assert sleepers(store.marks.all(), (), looked()).why == {}


# -- the API


@pytest.fixture(params=["stand-in", "real"])
def running(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with a_stand_in() if request.param == "stand-in" else a_real_one(tmp_path) as serving:
        yield serving


def silencer_of(running: Running, **said: Any) -> Silencer:
    return Silencer(Alertmanager.model_validate({"url": running.url, **said}), "lab", Path("/nonexistent"))


def waits_for(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_an_alertmanager_takes_keeps_prolongs_and_ends_silences(running: Running) -> None:
    silencer, now = silencer_of(running), datetime.now(UTC)
    silencer.keep_silent(asleep("h1", "a+b.c"), now)
    waits_for(lambda: len(running.silences()) == 2)
    first = {each["id"]: each["endsAt"] for each in running.silences()}
    (about_h1,) = [each for each in running.silences() if "h1" in each["comment"]]
    assert about_h1["createdBy"] == "balancer/lab"
    assert about_h1["comment"].startswith("h1 sleeps since noon: the balancer of lab put it to sleep")
    assert silencer.keep_silent(asleep("h1", "a+b.c"), now + timedelta(minutes=50)) == Changes()
    silencer.keep_silent(asleep("h1", "a+b.c"), now + timedelta(minutes=70))
    later = {each["id"]: each["endsAt"] for each in running.silences()}
    assert later.keys() == first.keys() and all(later[each] > first[each] for each in first)
    silencer.keep_silent(asleep("h1", lost=("a+b.c",)), now)
    assert [each["id"] for each in running.silences()] == [about_h1["id"]]
    silencer.keep_silent(NOBODY, now)
    (lingers,) = running.silences()
    left = datetime.fromisoformat(lingers["endsAt"]) - now
    assert abs(left - timedelta(minutes=5)) < timedelta(seconds=5)


def test_silences_of_others_are_left_alone(running: Running) -> None:
    silencer, now = silencer_of(running), datetime.now(UTC)
    other = Silencer(Alertmanager(url=running.url), "another-cluster", Path("/nonexistent"))
    other.keep_silent(asleep("h1"), now)
    silencer.keep_silent(Sleepers({}, frozenset({"h1"})), now)
    waits_for(lambda: len(running.silences()) == 1)
    assert silencer.silences() == ()


def test_a_real_alertmanager_hears_the_others_and_the_one_that_does_not_wake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with a_real_one(tmp_path) as running:
        silencer, now = silencer_of(running), datetime.now(UTC)
        for instance in ("h1:9100", "h10:9100", "h2:9100"):
            running.alert(instance=instance)
        waits_for(lambda: running.heard() == {"h1:9100", "h10:9100", "h2:9100"})
        silencer.keep_silent(asleep("h1", "h2"), now)
        waits_for(lambda: running.heard() == {"h10:9100"})
        silencer.keep_silent(asleep("h1", lost=("h2",)), now)
        waits_for(lambda: running.heard() == {"h10:9100", "h2:9100"})
        assert running.heard() == {"h10:9100", "h2:9100"}
        assert ["h1 sleeps" in each["comment"] for each in running.silences()] == [True]


def test_credentials_go_along_and_a_refusal_says_what_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("ALERTMANAGER", "hunter22")
    with a_stand_in() as running:
        silencer_of(running, secret_ref="env:ALERTMANAGER").silences()
        silencer_of(running, secret_ref="env:ALERTMANAGER", user="ann").silences()
        assert running.authorization == ["Bearer hunter22", "Basic YW5uOmh1bnRlcjIy"]
        wrong = Silence(frozenset({("instance", "h1", False)}), NOON, datetime.now(UTC) + timedelta(hours=1), "")
        with pytest.raises(NoticeError, match=r"POST silences: it answers 400: .*(non-empty|too short)"):
            silencer_of(running).put(wrong)
        elsewhere = Running(f"{running.url}/prefix", [], [])
        with pytest.raises(NoticeError, match="it answers 404"):
            silencer_of(elsewhere).silences()
    with pytest.raises(NoticeError, match=r"GET silences: .*refused"):
        silencer_of(running).silences()
