"""Each page says what an operator wants to know, to whoever may look, and asks what commands can ask."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace

import pytest

from balancer.domain.explanation import Explanation
from balancer.domain.plan import Action, Because, Kept, Step
from balancer.formats import to_json
from balancer.planning.explaining import Case
from balancer.planning.explaining_hosts import explain_host
from balancer.store.halts import HaltKind
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.power_tests import TestRecord, TestResult
from balancer.store.proposals import ProposalState
from balancer.store.tokens import Role
from balancer.web import answers
from tests.web.stage import Stage


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", ["Move 2 guests", "h1", "h2", "h3", "A plan waits for you"]),
        ("/hosts", ["h1", "h3", "memory"]),
        ("/hosts/h1", ["Its guests", "Drain this host", ">a<", "r0"]),
        ("/hosts/h1", ["for every host: headroom", "neither switched it nor moved a guest"]),
        ("/hosts/h3", ["keeps-h3", "policy.yaml:7"]),
        ("/hosts/h1/why", ["h1 stays on"]),
        ("/guests", ["app=shop", " of 4</span>"]),
        ("/guests?words=shop+b", [" of 1</span>", ">b<"]),
        ("/guests?words=nobody", ["No guest has"]),
        ("/guests/a", ["pair", ", a wish", "policy.yaml:6", "running on", "h1"]),
        ("/guests/a/why", ["Other hosts", "h3"]),
        ("/runs", ["Nothing is under way", "Nothing was ever begun here"]),
        ("/power", ["Who sleeps", "never", "The accounts are empty"]),
        ("/policy", ["name: even", "See what it would do"]),
        ("/policy/remarks", ["Nothing stands out"]),
        ("/history", ["Move 2 guests", "Compare the two"]),
        ("/history?said=nothing+like+it", ["No cycle says that"]),
        ("/audit", ["Audit"]),
    ],
)
def test_a_page_says(path: str, says: list[str], small: Stage) -> None:
    status, text = small.browser(Role.OPERATOR).get(path)
    assert status == 200
    assert [words for words in says if words not in text] == []


def test_the_plan_that_waits_is_shown_with_each_step_its_reason_and_what_can_be_answered(small: Stage) -> None:
    browser = small.browser(Role.OPERATOR)
    assert browser.get("/plan")[0] == 303
    status, text = browser.get(f"/plans/{small.plan.id}")
    assert status == 200
    for step in small.plan.steps:
        assert f'value="{step.id}"' in text
        assert step.because in text
    for words in ("Approve all", "Approve what is ticked", "Reject", "Postpone", "Before and after", "Who goes where"):
        assert words in text


def test_who_may_only_look_sees_the_plan_and_no_buttons(small: Stage) -> None:
    browser = small.browser(Role.VIEWER)
    _, text = browser.get(f"/plans/{small.plan.id}")
    assert small.plan.moves[0].move.vm in text
    assert "Approve all" not in text
    assert "role operator can decide" in text
    assert "Drain this host" not in browser.get("/hosts/h1")[1]


def test_a_cycle_of_the_past_is_replayed_and_compared(fresh: Stage) -> None:
    first = fresh.plan.id
    second = fresh.cycle().id
    browser = fresh.browser(Role.VIEWER)
    assert "Before and after" in browser.get(f"/history/{first}")[1]
    assert "The same plan again" in browser.get(f"/history/{first}/replay")[1]
    status, text = browser.get(f"/history/compare?first={first}&second={second}")
    assert status == 200
    assert "Nothing is elsewhere" in text


def test_of_two_cycles_it_is_said_who_moved_a_guest_in_between(fresh: Stage) -> None:
    first = fresh.plan.id
    step = Step(id="s1", action=Action.MOVE, vm="a", source="h1", target="h2")
    begun = fresh.store.journal.begin(JournalEntry(fresh.site.clock.now(), first, step))
    for guest, target in (("a", "h2"), ("b", "h3")):
        fresh.world.stop_guest(guest)
        fresh.world.start_guest(guest, target)
    fresh.store.journal.settle(begun.id, EntryState.DONE, "took 4 s", fresh.site.clock.now())
    second = fresh.cycle().id
    browser = fresh.browser(Role.VIEWER)
    text = browser.get(f"/history/compare?first={second}&second={first}")[1]  # in whatever order they are asked for
    assert re.search(r"<b>a</b></a> h1 → h2 <span[^>]*>by the balancer<", text)
    assert re.search(r"<b>b</b></a> h1 → h3 <span[^>]*>by somebody else<", text)
    assert re.search(r"CPU deviation</th><td class=\"num\">0.236</td><td class=\"num\">0.059</td>", text)
    assert "took 4 s" in browser.get("/hosts/h2")[1]
    assert "took 4 s" in browser.get("/guests/a")[1]
    assert "took 4 s" not in browser.get("/hosts/h3")[1]


def test_a_replay_that_ends_elsewhere_says_in_which_steps(fresh: Stage) -> None:
    saved = fresh.service.chronicle.saved(fresh.plan.id)
    assert saved is not None
    kept, lost = fresh.plan.steps
    other = lost.model_copy(update={"target": "h1"})
    path = fresh.service.chronicle._file(fresh.plan.id)
    told = saved.model_copy(update={"plan": saved.plan.model_copy(update={"steps": (kept, other)})})
    path.write_bytes(gzip.compress(to_json(told).encode()))
    text = fresh.browser(Role.VIEWER).get(f"/history/{fresh.plan.id}/replay")[1]
    assert "Another plan than then" in text
    then, now = text.partition("Only now")[::2]
    assert (str(other) in then, str(lost) in now, str(kept) in text) == (True, True, False)


def test_of_a_large_cluster_the_long_answer_is_only_given_to_who_asks_for_it(
    fresh: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, kept = fresh.door.published, Kept(subject="host:h1", because=Because.MAY_NOT_SLEEP)
    cycle = replace(known.cycle, plan=fresh.plan.model_copy(update={"kept": (kept,)}))
    fresh.service.board.publish(cycle, known.policy, known.loaded, known.policy_path)
    browser = fresh.browser(Role.VIEWER)
    assert 'hx-trigger="load"' in browser.get("/hosts/h1")[1]
    monkeypatch.setattr(answers, "MOST_EXPLAINED_AT_ONCE", 3)
    text = browser.get("/hosts/h1")[1]
    assert 'hx-trigger="load"' not in text
    assert "Work it out" in text
    assert "does not say <code>may_sleep: true</code>" in text  # what the plan itself says is there at once


def test_the_same_question_is_thought_about_once_a_cycle(fresh: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def explain(case: Case, name: str) -> Explanation:
        asked.append(name)
        return explain_host(case, name)

    monkeypatch.setattr(answers, "explain_host", explain)
    browser = fresh.browser(Role.VIEWER)
    first = browser.get("/hosts/h1/why")
    assert (browser.get("/hosts/h1/why"), asked) == (first, ["h1"])
    fresh.cycle()
    browser.get("/hosts/h1/why")
    assert asked == ["h1", "h1"]


def test_a_power_test_is_asked_for_twice_and_of_an_empty_host(fresh: Stage) -> None:
    ada = fresh.browser(Role.ADMIN)
    assert 'href="/hosts/h2/power-test"' in ada.get("/power")[1]
    assert "It carries 4 guests" in ada.get("/hosts/h1/power-test")[1]
    text = ada.get("/hosts/h2/power-test")[1]
    assert "Begin the test" in text
    assert ada.post("/power-test", host="h2")[0] == 422
    assert fresh.service.board.under_test == frozenset()
    assert ada.post("/power-test", host="h2", sure="1") == (303, "/power")
    assert fresh.service.board.under_test == {"h2"}
    assert "Its power is being tested" in ada.get("/hosts/h2/power-test")[1]
    assert ada.get("/hosts/h9/power-test")[0] == 404
    assert fresh.browser(Role.OPERATOR).get("/hosts/h2/power-test")[0] == 403


def test_how_the_last_power_test_ended_is_said(fresh: Stage) -> None:
    record = TestRecord("h2", fresh.site.clock.now(), TestResult.FAILED, "it did not return")
    fresh.store.power_tests.note(record)
    said = fresh.browser(Role.VIEWER).get("/power")[1]
    assert "failed</span>" in said
    assert "it did not return" in said
    assert fresh.as_(Role.VIEWER).get("/api/v1/power").json()[1]["test_words"] == "it did not return"


def test_what_an_operator_asks_is_done_and_stands_in_the_audit_under_their_name(fresh: Stage) -> None:
    browser = fresh.browser(Role.OPERATOR)
    assert browser.post("/pause", why="a look at the switches") == (303, "/")
    assert [halt.kind for halt in fresh.store.halts.in_force(fresh.site.clock.now())] == [HaltKind.PAUSE]
    assert "a look at the switches" in browser.get("/")[1]
    assert browser.post("/resume") == (303, "/")
    assert not fresh.store.halts.in_force(fresh.site.clock.now())
    assert browser.post("/drain", host="h2", why="new fans") == (303, "/hosts/h2")
    assert fresh.store.drains.all()["h2"].who == "operator"
    assert browser.post("/undrain", host="h2") == (303, "/hosts/h2")
    assert not fresh.store.drains.all()
    said = [(line.who, line.what, line.subject) for line in fresh.store.audit.latest()]
    assert said == [
        ("operator", "undrained", "host:h2"),
        ("operator", "drained: new fans", "host:h2"),
        ("operator", "resumed", "cluster:small"),
        ("operator", "paused: a look at the switches", "cluster:small"),
    ]


def test_some_steps_are_approved_and_the_rest_is_not(fresh: Stage) -> None:
    browser, plan = fresh.browser(Role.OPERATOR), fresh.plan
    chosen = plan.steps[0].id
    assert browser.post(f"/plans/{plan.id}/approve", some="1", step=[chosen]) == (303, "/runs")
    proposal = fresh.store.proposals.of(plan.id)
    assert proposal is not None
    assert (proposal.state, proposal.who, proposal.steps) == (ProposalState.APPROVED, "operator", (chosen,))
    assert [step.id for step in proposal.approved.steps] == [chosen]
    assert proposal.approved.summary.moves == 1
    status, said = browser.post(f"/plans/{plan.id}/reject", why="too late")
    assert (status, "was decided" in said) == (409, True)


def test_nothing_ticked_is_nothing_approved(fresh: Stage) -> None:
    status, said = fresh.browser(Role.OPERATOR).post(f"/plans/{fresh.plan.id}/approve", some="1")
    assert (status, "no step was chosen" in said) == (422, True)
    assert not fresh.store.proposals.approved()


def test_a_plan_that_was_rejected_is_not_asked_about_again_while_it_says_the_same(fresh: Stage) -> None:
    browser, plan = fresh.browser(Role.OPERATOR), fresh.plan
    assert browser.post(f"/plans/{plan.id}/reject", why=" ")[0] == 422
    assert browser.post(f"/plans/{plan.id}/reject", why="month end")[0] == 303
    again = fresh.store.proposals.of(fresh.cycle().id)
    assert again is not None
    assert (again.state, again.who, again.why) == (ProposalState.REJECTED, "operator", "month end")
    assert "A plan waits for you" not in browser.get("/")[1]


def test_a_plan_that_was_put_off_may_still_be_approved(fresh: Stage) -> None:
    browser, plan = fresh.browser(Role.OPERATOR), fresh.plan
    assert browser.post(f"/plans/{plan.id}/postpone", minutes="soon")[0] == 422
    assert browser.post(f"/plans/{plan.id}/postpone", minutes="60")[0] == 303
    proposal = fresh.store.proposals.of(plan.id)
    assert proposal is not None and proposal.until is not None
    assert proposal.state is ProposalState.POSTPONED
    assert browser.post(f"/plans/{plan.id}/approve")[0] == 303


def test_a_policy_is_tried_and_nothing_is_saved(fresh: Stage) -> None:
    browser, path = fresh.browser(Role.OPERATOR), fresh.service._watched.path
    assert path is not None
    before = path.read_text()
    tried = before.replace("even_load: {weight: 1.0}", "few_moves: {weight: 1.0}")
    status, text = browser.post("/policy/try", policy=tried)
    assert status == 200
    assert "It would not do the same" in text
    assert "objectives.few_moves.weight" in text
    assert "few_moves: {weight: 1.0}" in text  # what was typed is still there
    assert path.read_text() == before


def test_faults_of_a_policy_on_trial_name_the_line(fresh: Stage) -> None:
    status, text = fresh.browser(Role.OPERATOR).post("/policy/try", policy="schema: balancer.policy/1\nmood: act\n")
    assert status == 422
    assert "policy.yaml:2" in text
    assert "did you mean `mode`?" in text


def test_before_the_first_cycle_pages_say_so(fresh: Stage) -> None:
    fresh.service.board._latest = None
    status, text = fresh.browser(Role.VIEWER).get("/")
    assert (status, "the first look at the cluster has not ended yet" in text) == (503, True)
