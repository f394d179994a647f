"""A policy with a mistake is visibly worse in the report, and the explanation points at the cause."""

from __future__ import annotations

import re
from html import unescape

import pytest

from balancer.domain.rehearsed import Rehearsed
from balancer.reporting.causes import MEASURES, NOTHING_BEARS, causes
from balancer.reporting.pages.rehearsal import rehearsal_page
from balancer.reporting.rehearsal import ROWS, rehearsal_text
from tests.rehearsal.mistakes import CAREFUL, MISTAKES, NIGHT, ROOMY, lived, record
from tests.reporting.reading import plain

TWO_WAYS_AROUND = {  # what makes moves rarer, under the policy that moves more: not the cause
    "stability.minimum_gain": ("0", "0.01"),
    "stability.cooldown_minutes": ("5", "30"),
    "stability.hold_minutes": ("0", "10"),
    "objectives.even_load.weight": ("1", "0.1"),
    "budget.moves": ("nothing", "20"),
    "energy.price_per_kwh": ("0.3", "0.4"),
}
LEADS_AWAY = re.compile(r"https?:|//[a-z]|src=|<link|@import|url\(|fetch\(|XMLHttp", re.IGNORECASE)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_visibly_worse_and_its_cause_is_named(name: str) -> None:
    mistake = MISTAKES[name]
    right, wrong = lived(mistake.right, mistake.needs), lived(mistake.wrong, mistake.needs, "mistaken")
    measure = next(each for each in MEASURES if each.name == mistake.figure)
    assert measure.of(wrong) > 2 * measure.of(right)
    said = next(cause for cause in causes([right, wrong]) if mistake.figure in cause.sentence)
    assert said.policy == "mistaken"
    assert said.sentence.startswith(f"mistaken: {measure.say(measure.of(wrong))} {mistake.figure}, careful: ")
    assert [line.partition(":")[0] for line in said.settings] == [mistake.cause]
    page = words_of(rehearsal_page([right, wrong]))
    for shown in (" ".join(plain(rehearsal_text([right, wrong])).split()), page):
        assert said.sentence in shown
        assert said.settings[0] in shown
        assert mistake.in_words in shown
    apart = [measure.at(one) - measure.at(other) for one, other in zip(wrong.steps, right.steps, strict=True)]
    assert apart.index(max(apart)) in [each.step for each in said.decisions]


def words_of(page: str) -> str:
    """Return what a reader of a page reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def with_settings(run: Rehearsed, settings: dict[str, str]) -> Rehearsed:
    return run.model_copy(update={"settings": run.settings | settings})


def test_settings_that_were_turned_the_other_way_are_no_cause() -> None:
    mistake = MISTAKES["moves are free"]
    right = with_settings(
        lived(mistake.right, mistake.needs), {path: values[0] for path, values in TWO_WAYS_AROUND.items()}
    )
    wrong = with_settings(
        lived(mistake.wrong, mistake.needs, "mistaken"), {path: values[1] for path, values in TWO_WAYS_AROUND.items()}
    )
    said = next(cause for cause in causes([right, wrong]) if mistake.figure in cause.sentence)
    assert [line.partition(":")[0] for line in said.settings] == [mistake.cause, "budget.moves"]


def test_where_only_settings_differ_that_cannot_be_the_cause_it_is_said_so() -> None:
    mistake = MISTAKES["moves are free"]
    right = lived(mistake.right, mistake.needs)
    wrong = lived(mistake.wrong, mistake.needs, "mistaken").model_copy(update={"settings": right.settings})
    wrong = with_settings(wrong, {"objectives.few_moves.weight": "0.5"})
    said = next(cause for cause in causes([right, wrong]) if mistake.figure in cause.sentence)
    assert said.settings == (
        NOTHING_BEARS,
        "objectives.few_moves.weight: 0.05 under careful, 0.5 under mistaken",
    )


def test_shortage_is_traced_to_the_decision_that_put_hosts_to_sleep() -> None:
    wrong = lived(ROOMY, NIGHT, "mistaken")
    short = next(cause for cause in causes([lived(CAREFUL, NIGHT), wrong]) if "short of CPU" in cause.sentence)
    assert [each.step for each in short.decisions] == [6]
    decided = short.decisions[0].decided
    assert decided is not None
    plan = wrong.steps[decided].plan
    assert plan is not None
    assert plan.summary.hosts_to_sleep
    assert f"mistaken decided at {wrong.steps[decided].at:%d %b %H:%M}: " in short.decisions[0].said


def test_a_policy_by_itself_is_told_what_bears_on_its_shortage() -> None:
    alone = causes([lived(ROOMY, NIGHT, "mistaken")])
    short = next(cause for cause in alone if "short of CPU" in cause.sentence)
    assert "there is no reserve (" in " ".join(short.settings)
    assert "headroom.cpu is 0.75 (" in " ".join(short.settings)
    assert not any("short of CPU" in cause.sentence for cause in causes([lived(CAREFUL, NIGHT)]))


def test_the_page_fetches_nothing_and_holds_each_figure_of_each_policy() -> None:
    runs = [lived(CAREFUL, NIGHT), lived(ROOMY, NIGHT, "mistaken")]
    page = rehearsal_page(runs)
    assert LEADS_AWAY.findall(page) == []
    assert "default-src 'none'" in unescape(page)
    words = unescape(re.sub(r"<[^>]+>", "|", page))
    assert "2026-03-02 00:00 to 2026-03-02 01:00 UTC" in words
    for name, say in ROWS:
        assert f"|{name}|" in words
        for run in runs:
            assert f"|{say(run)}|" in words, name
    assert "mistaken saved 75% of what could be saved" in words
    assert page.count("<svg") == 5


def test_each_time_of_the_page_leads_to_the_plan_that_was_made_then() -> None:
    runs = [lived(CAREFUL, NIGHT), lived(ROOMY, NIGHT, "mistaken")]
    page = rehearsal_page(runs)
    there = set(re.findall(r'id="(t\d+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) == there
    told = re.findall(r'<details id="t(\d+)">(.*?)</details>', page, flags=re.DOTALL)
    for run in runs:
        for place, step in enumerate(run.steps):
            if step.plan is None:
                continue
            inside = unescape(dict(told)[str(place)])
            assert step.sentence in inside
            assert all(str(each) in inside for each in step.plan.steps)
    assert "the policies part here" in dict(told)["1"]


def test_names_from_a_record_are_words_and_no_markup() -> None:
    run = lived(CAREFUL, NIGHT)
    odd = run.model_copy(update={"record": "<script>alert(1)</script>", "alarms": ("a<b>&c",)})
    page = rehearsal_page([odd])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "a&lt;b&gt;&amp;c" in page


@pytest.mark.parametrize("name", MISTAKES)
def test_what_could_be_saved_is_the_same_for_each_policy_on_a_record(name: str) -> None:
    mistake = MISTAKES[name]
    right, wrong = lived(mistake.right, mistake.needs), lived(mistake.wrong, mistake.needs, "mistaken")
    assert right.kwh != wrong.kwh
    assert (right.kwh_all_on, right.kwh_at_least) == (wrong.kwh_all_on, wrong.kwh_at_least)


def test_every_host_on_is_all_of_them_equally_full() -> None:
    """Three hosts of 100 to 200 W, 8 cores each: their watts are a line, so only the sum of needs counts."""
    needed = record(NIGHT).needs.sum(axis=1)
    watts = [3 * 100 + 100 * each / 8 for each in needed]
    assert lived(CAREFUL, NIGHT).kwh_all_on == pytest.approx(sum(watts) * 300 / 3.6e6)


def test_a_policy_by_itself_is_told_of_dials_that_are_set_and_no_names() -> None:
    mistake = MISTAKES["moves are free"]
    for cause in causes([lived(mistake.wrong, mistake.needs, "mistaken")]):
        assert not any(re.search(r"there is no  |\.(name|kind|when) is| is nothing", line) for line in cause.settings)
    moved = next(cause for cause in causes([lived(mistake.wrong, mistake.needs)]) if mistake.figure in cause.sentence)
    assert moved.settings[0] == f"objectives.few_moves.weight is 0 ({mistake.in_words})"
