"""Maintenance as an operator lives through it: a host is emptied, and stays so through restarts and a reboot."""

from __future__ import annotations

from pathlib import Path

import structlog.testing

from balancer.cycle import run_cycle
from balancer.domain.host import HostState
from balancer.domain.plan import Action, Because
from balancer.execution.conditions import reasons_against_power_off
from balancer.execution.power_on import reasons_against_power_on
from balancer.simulation.machines import constantly
from balancer.site import limits_of
from balancer.store.marks import CordonedBy
from tests.stability.town import Town, rules

EVEN = "objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}\n"
SAVER = "objectives: {least_power: {weight: 1}}\nstability: {sleep_after_minutes: 0, host_cooldown_minutes: 0}\n"
HOMES = {"h1": ["a-1", "a-2", "a-3"], "h2": [], "h3": []}


def drained(folder: Path, policy: str = EVEN, homes: dict[str, list[str]] | None = None, host: str = "h1") -> Town:
    town = Town(folder, homes or HOMES, rules(policy), {})
    town.site.acting.store.drains.ask(host, "ann@desk", "new fans", town.clock.now())
    return town


def test_it_is_closed_at_once_and_emptied_by_the_next_cycle(tmp_path: Path) -> None:
    town = drained(tmp_path)
    seen = town.site.look().host("h1")
    assert (seen.state, seen.takes_guests, seen.drained) == (HostState.DRAINING, False, True)
    with structlog.testing.capture_logs() as logs:
        town.live(15)
    assert town.guests_on("h1") == set()
    said = [line["event"] for line in logs]
    assert said.count("h1 is empty, you may work on it") == 1
    audit = [(line.who, line.what, line.subject) for line in town.site.acting.store.audit.latest()]
    assert audit == [("balancer", "h1 is empty, you may work on it", "host:h1")]


def test_an_evacuation_that_outlasts_the_budget_goes_on_through_restarts(tmp_path: Path) -> None:
    town = drained(tmp_path, EVEN + "budget: {moves: 1}")
    left = []
    for _ in range(3):
        town.restart()
        cycle = town.live(5)[0]
        left.append(len(town.guests_on("h1")))
        staying = [kept for kept in cycle.plan.kept if kept.subject in {f"vm:{vm}" for vm in town.guests_on("h1")}]
        assert {kept.because for kept in staying} <= {Because.BUDGET_SPENT}
        assert len(staying) == left[-1]
    assert left == [2, 1, 0]


def test_the_budget_of_the_hour_defers_it_and_says_until_when(tmp_path: Path) -> None:
    town = drained(tmp_path, EVEN + "budget: {per_hour: {moves: 2}}")
    town.live(5)
    assert len(town.guests_on("h1")) == 1
    town.restart()
    cycle = town.live(5)[0]
    (vm,) = town.guests_on("h1")
    stays = next(kept for kept in cycle.plan.kept if kept.subject == f"vm:{vm}")
    assert stays.detail == "budget.per_hour.moves allows 2 in the last hour; room again from 13:00"
    town.live(60)
    assert town.guests_on("h1") == set()


def test_who_is_pinned_stays_and_the_rest_leaves(tmp_path: Path) -> None:
    town = drained(tmp_path, EVEN + "constraints: [{kind: stay, name: pinned, vms: [a-2]}]")
    cycles = town.live(15)
    assert town.guests_on("h1") == {"a-2"}
    assert town.moves()["a-2"] == 0
    why = next(kept for kept in cycles[-1].plan.kept if kept.subject == "vm:a-2")
    assert (why.because, why.detail) == (Because.NO_HOST_ALLOWED, "pinned: it has to stay where it is")


def test_it_comes_back_drained_from_a_reboot_and_alarms_nobody_meanwhile(tmp_path: Path) -> None:
    town = drained(tmp_path)
    town.live(10)
    town.world.make_unreachable("h1")
    town.restart()
    seen = town.site.look()
    assert seen.doubts == ()
    assert seen.host("h1").state is HostState.MAINTENANCE
    town.world.heal("h1")
    town.live(30)
    assert town.site.look().host("h1").state is HostState.DRAINING
    assert town.guests_on("h1") == set()


def test_a_silent_host_that_was_not_seen_empty_stays_in_doubt(tmp_path: Path) -> None:
    town = drained(tmp_path)
    town.world.make_unreachable("h1")
    town.restart()
    seen = town.site.look()
    assert [doubt.subject for doubt in seen.doubts] == ["host:h1"]
    assert seen.host("h1").state is HostState.UNREACHABLE


def test_its_power_is_neither_cut_nor_given_by_the_balancer(tmp_path: Path) -> None:
    town = drained(tmp_path, SAVER, {"h1": [], "h2": ["a-1"], "h3": []})
    town.live(30)
    (asleep,) = town.done(Action.POWER_OFF)
    assert asleep != "h1"
    acting, limits = town.site.acting, limits_of(town.policy)
    against = reasons_against_power_off(acting, "h1", acting.platform.observe(), limits)
    assert "it is kept for maintenance: new fans; balancer host undrain h1" in against
    acting.store.drains.ask(asleep, "ann@desk", "new fans", town.clock.now())
    assert reasons_against_power_on(acting, asleep, limits) == [
        f"{asleep} is kept for maintenance; for a person: balancer power wake {asleep}"
    ]


def test_a_guest_that_somebody_starts_there_is_told_of_and_leaves(tmp_path: Path) -> None:
    town = drained(tmp_path)
    town.live(10)
    town.world.move_by_hand("a-1", "h1")
    town.clock.sleep(200)
    assert town.guests_on("h1") == {"a-1"}
    with structlog.testing.capture_logs() as logs:
        town.live(15)
    assert "a-1 is on h1 again, which is drained" in [line["event"] for line in logs]
    assert town.guests_on("h1") == set()


def test_undraining_gives_it_guests_again_and_leaves_an_operators_cordon_alone(tmp_path: Path) -> None:
    town = drained(tmp_path)
    marks, drains = town.site.acting.store.marks, town.site.acting.store.drains
    marks.cordon("h1", "bad memory", town.clock.now(), CordonedBy.OPERATOR)
    drains.lift("h1")
    assert town.site.look().host("h1").cordoned
    marks.uncordon("h1", CordonedBy.OPERATOR)
    assert town.site.look().host("h1").takes_guests


def test_a_plan_made_before_the_drain_puts_nobody_there(tmp_path: Path) -> None:
    busy = {name: constantly(3.0) for name in HOMES["h1"]}
    town = Town(tmp_path, HOMES, rules(EVEN + "stability: {hold_minutes: 0}"), busy)
    plan = run_cycle(town.site, town.policy).plan
    target = plan.moves[0].move.target
    runner = town.site.begin(plan, town.policy)
    town.site.acting.store.drains.ask(target, "ann@desk", "new fans", town.clock.now())
    report = runner.run_to_end(town.clock)
    to_it = [outcome for outcome in report.outcomes if outcome.step.target == target]
    assert to_it
    assert all("takes no guests: it is drained" in outcome.detail for outcome in to_it)
