"""Guests that somebody else moves: noticed, counted, left where they were put, and told when it goes on and on."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.domain.plan import Because
from balancer.planning import make_plan
from balancer.remembering import news_of_strays
from tests.execution.stage import move, plan
from tests.stability.town import SHORT_SIGHTED, Town, rules

EVEN = SHORT_SIGHTED + "objectives: {even_load: {weight: 1}}\nstability: {hold_minutes: 0, no_return_minutes: 0}\n"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    town = Town(tmp_path, {"h1": ["web-1", "web-2"], "h2": ["web-3", "web-4"]}, rules(EVEN), {})
    assert look_for_news(town) == []
    return town


def look_for_news(town: Town) -> list[str]:
    return list(news_of_strays(town.site.acting.store, town.site.look()))


def by_hand(town: Town, vm: str, target: str) -> None:
    town.world.move_by_hand(vm, target)
    town.clock.sleep(120)


def test_a_guest_that_somebody_moved_is_noticed_once_and_counted(town: Town) -> None:
    by_hand(town, "web-1", "h2")
    assert look_for_news(town) == ["1 guest moved without us: web-1 from h1 to h2; left there for a while"]
    assert look_for_news(town) == []
    assert town.site.acting.store.audit.latest()[0].what == "moved web-1 from h1 to h2 without us"


def test_it_is_noticed_also_when_the_balancer_did_not_run_meanwhile(town: Town) -> None:
    by_hand(town, "web-1", "h2")
    town.restart()
    assert look_for_news(town) != []


def test_our_own_moves_are_no_news(town: Town) -> None:
    runner = town.site.begin(plan(move("web-1", "h1", "h2"), at=town.clock.now()), town.policy)
    runner.advance()
    assert look_for_news(town) == []
    while runner.advance():
        town.clock.sleep(2)
    town.clock.sleep(1)
    assert town.world.guests["web-1"].host == "h2" and look_for_news(town) == []


def test_a_guest_is_left_where_somebody_put_it_though_evenness_would_take_it_back(town: Town) -> None:
    by_hand(town, "web-1", "h2")
    look_for_news(town)
    memory = town.site.remembered(town.policy)
    made = make_plan(town.site.look(), town.policy, memory)
    assert "web-1" not in {step.vm for step in made.moves}
    (kept,) = [kept for kept in made.kept if kept.subject == "vm:web-1"]
    assert (kept.because, kept.detail.partition(";")[0]) == (Because.COOLING_DOWN, "somebody else moved it")
    town.clock.sleep(3700)
    assert town.site.remembered(town.policy).moved_by_others == {}


def test_something_that_keeps_moving_guests_is_told(town: Town) -> None:
    told: list[str] = []
    for target in ("h2", "h1", "h2"):
        by_hand(town, "web-1", target)
        told += look_for_news(town)
    assert "another balancer or scheduler seems to be at work here: web-1 (3 times)" in told[-1]
    assert sum("another balancer" in line for line in told) == 1


def test_a_guest_whose_move_failed_is_planned_towards_another_host(tmp_path: Path) -> None:
    town = Town(tmp_path, {"h1": ["web-1", "web-2", "web-3", "web-4"], "h2": [], "h3": []}, rules(EVEN), {})
    seen = town.site.look()
    memory = town.site.remembered(town.policy)
    keys = {vm.key: ("h2",) for vm in seen.vms}
    made = make_plan(seen, town.policy, memory.model_copy(update={"not_to": keys}))
    assert made.moves and {step.target for step in made.moves} == {"h3"}
    assert {step.target for step in make_plan(seen, town.policy, memory).moves} == {"h2", "h3"}
