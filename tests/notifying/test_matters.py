"""What is worth telling of what is the case, in words that say what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.cluster import Doubt
from balancer.domain.notices import URGENT, Kind, Severity
from balancer.domain.plan import Action, Plan, Step
from balancer.execution import Outcome, Result, RunReport
from balancer.notifying.matters import Facts, Matter, Summary, matters
from balancer.store.halts import Halt, HaltKind
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.marks import HostMarks, Quarantine
from balancer.store.proposals import Proposal, ProposalState
from tests.execution.stage import plan
from tests.notifying.drawing import A_MINUTE, NOON

MOVE = Step(id="s1", action=Action.MOVE, vm="db1", source="h1", target="h2")
WAKE = Step(id="s2", action=Action.POWER_ON, host="h3")
QUARANTINE = Quarantine(NOON, "did not wake within 10 min")
CALM = Facts(now=NOON + A_MINUTE, looked_at=NOON + A_MINUTE)


def found(**said: Any) -> list[tuple[Kind, str, Severity]]:
    return [(each.kind, each.title, each.severity) for each in matters(replace(CALM, **said))]


def only(**said: Any) -> Matter:
    (matter,) = matters(replace(CALM, **said))
    return matter


def ended(*outcomes: tuple[Step, Result], steps: int = 0, alarm: bool = False) -> RunReport:
    done = tuple(Outcome(step, result, f"it {result}", NOON, NOON, alarm=alarm) for step, result in outcomes)
    return RunReport("plan-1", steps or len(done), done, NOON, NOON + A_MINUTE, needs_replan=False)


def proposed(step: Step) -> Plan:
    bare = plan(step)
    return bare.model_copy(update={"summary": bare.summary.model_copy(update={"moves": 1, "gib_to_move": 8.0})})


def test_of_a_calm_cluster_nothing_is_told() -> None:
    assert matters(CALM) == ()


def test_a_host_that_sleeps_although_it_was_to_wake_and_one_that_is_silent_do_not_wake() -> None:
    asleep = HostMarks("h1", asleep_since=NOON - A_MINUTE, quarantine=QUARANTINE)
    silent, up = HostMarks("h2", quarantine=QUARANTINE), HostMarks("h3", quarantine=QUARANTINE)
    marks = {"h1": asleep, "h2": silent, "h3": up, "h4": HostMarks("h4", asleep_since=NOON)}
    assert found(marks=marks, up={"h3", "h4"}) == [
        (Kind.HOST_DOES_NOT_WAKE, "h1 does not wake", Severity.CRITICAL),
        (Kind.HOST_DOES_NOT_WAKE, "h2 does not wake", Severity.CRITICAL),
        (Kind.HOST_SET_ASIDE, "h3 is out of the power scheme", Severity.WARNING),
    ]
    body = only(marks={"h1": asleep}).body
    assert body == "h1 did not wake within 10 min.\nGo and look, then: balancer power test h1"


def test_of_a_host_that_was_silent_when_nobody_had_looked_since_only_its_sleep_tells() -> None:
    marks = {"h2": HostMarks("h2", quarantine=QUARANTINE)}
    assert found(marks=marks, looked_at=NOON - A_MINUTE) == []
    assert found(marks=marks, looked_at=None) == []


def test_too_many_failures_are_told_and_a_pause_that_somebody_made_is_not() -> None:
    failures = Halt(HaltKind.FAILURES, NOON, NOON + timedelta(hours=1), "balancer", "5 failures within 60 min")
    pause = Halt(HaltKind.PAUSE, NOON, None, "ann", "new switch")
    told = only(halts=(failures, pause))
    assert (told.kind, told.severity) == (Kind.BREAKER_OPEN, Severity.CRITICAL)
    assert told.body == (
        "Stopped until 13:00 after too many failures: 5 failures within 60 min; sooner: balancer resume."
    )


def test_doubts_are_told_each_and_what_ticks_is_no_change() -> None:
    doubts = [Doubt(subject="host:h7", kind="stale", detail=f"last seen {minutes} min ago") for minutes in (4, 5)]
    first, later = (only(doubts=(doubt,)) for doubt in doubts)
    assert first.title == "h7 is in doubt: stale" and first.body.startswith("Last seen 4 min ago. It is frozen")
    assert (first.key, first.likeness) == (later.key, later.likeness)


def test_guests_in_doubt_are_told_together_and_another_one_is_a_change() -> None:
    doubts = tuple(Doubt(subject=f"vm:g{number}", kind="missing", detail="no reading") for number in range(3000))
    told = only(doubts=doubts)
    assert told.title == "3000 guests in doubt" and "- g0: no reading" in told.body
    assert len(told.body.splitlines()) == 22
    assert only(doubts=doubts[:1]).title == "1 guest in doubt"
    assert told.likeness == only(doubts=doubts[::-1]).likeness != only(doubts=doubts[1:]).likeness


def test_a_step_whose_end_nobody_knows_is_grave_and_one_under_way_is_nothing() -> None:
    entries = [JournalEntry(NOON, "p", MOVE, state=state, id=7) for state in (EntryState.BEGUN, EntryState.UNKNOWN)]
    told = only(open=tuple(entries))
    assert (told.kind, told.severity) == (Kind.DOUBTS, Severity.CRITICAL)
    assert told.title == "nobody knows how it ended: move db1 from h1 to h2"


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (ended((MOVE, Result.DONE)), [(Kind.PLAN_DONE, "a plan was carried out", Severity.INFO)]),
        (ended((MOVE, Result.DONE), steps=2), [(Kind.PLAN_DONE, "a plan was carried out in part", Severity.INFO)]),
        (ended((MOVE, Result.FAILED)), [(Kind.PLAN_FAILED, "a plan failed", Severity.WARNING)]),
        (ended((MOVE, Result.UNKNOWN)), [(Kind.PLAN_FAILED, "a plan failed", Severity.WARNING)]),
        (ended((MOVE, Result.FAILED), alarm=True), [(Kind.PLAN_FAILED, "a plan failed", Severity.CRITICAL)]),
        (
            ended((MOVE, Result.REFUSED)),
            [(Kind.PLAN_FAILED, "a plan was given up: the cluster was not as it had been", Severity.INFO)],
        ),
        (ended((MOVE, Result.SKIPPED)), []),
    ],
)
def test_what_became_of_a_plan(report: RunReport, told: list[tuple[Kind, str, Severity]]) -> None:
    assert found(ended=(report,)) == told


def test_a_host_that_did_not_come_is_told_of_by_itself_and_its_plan_says_nothing_more() -> None:
    report = ended((WAKE, Result.FAILED), (MOVE, Result.SKIPPED))
    marks = {"h3": HostMarks("h3", asleep_since=NOON, quarantine=QUARANTINE)}
    assert [kind for kind, _, _ in found(ended=(report,), marks=marks)] == [Kind.HOST_DOES_NOT_WAKE]
    assert [kind for kind, _, _ in found(ended=(report,))] == [Kind.PLAN_FAILED]


def test_two_plans_that_fail_at_the_same_step_are_the_same_matter() -> None:
    one, other = ended((MOVE, Result.FAILED)), replace(ended((MOVE, Result.FAILED)), plan_id="plan-2")
    assert only(ended=(one,)).key == only(ended=(other,)).key
    assert len(matters(replace(CALM, ended=(one, other)))) == 1


def test_the_newest_of_the_plans_that_wait_is_told_with_what_it_does() -> None:
    waits, older = Proposal(proposed(MOVE), NOON), Proposal(proposed(WAKE), NOON - A_MINUTE)
    told = only(proposals=(older, waits))
    assert told.title == "a plan of 1 step waits for a person" and "- move db1 from h1 to h2" in told.body
    assert only(proposals=(waits,)).likeness != only(proposals=(older,)).likeness


@pytest.mark.parametrize("state", [each for each in ProposalState if each is not ProposalState.WAITING])
def test_a_plan_that_somebody_answered_waits_no_more(state: ProposalState) -> None:
    answered = Proposal(proposed(MOVE), NOON, state, "ann", decided_at=NOON, outcome="its guest has moved")
    told = found(proposals=(answered,))
    refused = [(Kind.PLAN_FAILED, "an approved plan is not carried out", Severity.WARNING)]
    assert told == (refused if state is ProposalState.REFUSED else [])
    assert found(proposals=(answered,), now=NOON + timedelta(hours=2)) == []


def test_trouble_with_cycles_and_with_a_policy_file() -> None:
    assert found(trouble="cycle failed: h1: read: no route", refused=("policy.yaml:3: unknown key",)) == [
        (Kind.CYCLE_FAILS, "cycles fail", Severity.CRITICAL),
        (Kind.POLICY_REFUSED, "a changed policy file is refused", Severity.WARNING),
    ]


def test_a_summary_is_for_its_day() -> None:
    told = only(summary=Summary("2026-11-22", "lab on Sunday", "Done"))
    assert (told.subject, told.title, told.body, told.ends) == ("2026-11-22", "lab on Sunday", "Done", False)


def test_what_matters_most_comes_first() -> None:
    facts = replace(
        CALM,
        doubts=(Doubt(subject="host:h7", kind="stale"),),
        marks={"h1": HostMarks("h1", asleep_since=NOON, quarantine=QUARANTINE)},
        ended=(ended((MOVE, Result.DONE)),),
    )
    assert [each.kind for each in matters(facts)] == [Kind.HOST_DOES_NOT_WAKE, Kind.PLAN_DONE, Kind.DOUBTS]


def test_before_the_first_look_nobody_says_what_looking_tells() -> None:
    assert set(replace(CALM, looked_at=None).unseen) == {
        Kind.DOUBTS,
        Kind.GUEST_CLASH,
        Kind.HOST_DOES_NOT_WAKE,
        Kind.HOST_SET_ASIDE,
        Kind.CYCLE_FAILS,
    }
    assert set(replace(CALM, looked_at=None, trouble="no route").unseen) == {
        Kind.DOUBTS,
        Kind.GUEST_CLASH,
        Kind.HOST_DOES_NOT_WAKE,
        Kind.HOST_SET_ASIDE,
    }
    assert CALM.unseen == ()


def test_a_long_list_is_cut_with_a_word(tmp_path: Path) -> None:
    steps = [MOVE.model_copy(update={"id": f"s{number}", "vm": f"vm{number}"}) for number in range(300)]
    body = only(ended=(ended(*((step, Result.DONE) for step in steps)),)).body
    assert len(body.splitlines()) == 22 and body.endswith("- and 280 more")


def test_a_guest_that_may_run_twice_is_grave_and_by_itself() -> None:
    detail = "it is active on h1 and h2 at once: it may run twice"
    clash = Doubt(subject="vm:db1", kind="clash", detail=detail)
    other = Doubt(subject="vm:web1", kind="missing", detail="no reading")
    grave, calm = sorted(matters(replace(CALM, doubts=(other, clash))), key=lambda each: -each.severity.rank)
    assert (grave.kind, grave.severity, grave.subject) == (Kind.GUEST_CLASH, Severity.CRITICAL, "vm:db1")
    assert "active on h1 and h2" in grave.body and grave.kind in URGENT
    assert (calm.kind, calm.title) == (Kind.DOUBTS, "1 guest in doubt")


def test_a_step_that_was_done_and_left_something_for_a_person_is_no_success() -> None:
    told = only(ended=(ended((MOVE, Result.DONE), alarm=True),))
    assert (told.kind, told.severity) == (Kind.PLAN_FAILED, Severity.CRITICAL)


def test_an_alarm_does_not_hide_behind_a_failure_that_was_told_before() -> None:
    other = Step(id="s9", action=Action.MOVE, vm="web1", source="h1", target="h3")
    outcomes = (
        Outcome(MOVE, Result.FAILED, "x", NOON, NOON),
        Outcome(other, Result.FAILED, "y", NOON, NOON, alarm=True),
    )
    told = only(ended=(RunReport("plan-1", 2, outcomes, NOON, NOON + A_MINUTE, needs_replan=False),))
    assert told.subject == str(other) and told.severity is Severity.CRITICAL


def test_a_host_that_came_with_a_guest_that_runs_elsewhere_is_told_although_it_woke() -> None:
    told = only(
        ended=(RunReport("p", 1, (Outcome(WAKE, Result.FAILED, "clash", NOON, NOON, alarm=True),), NOON, NOON, False),)
    )
    assert told.severity is Severity.CRITICAL
