"""What lasts, what pays, what is left to spend: plans made with a memory."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from balancer.cycle import think
from balancer.domain.cluster import Cluster
from balancer.domain.host import Power
from balancer.domain.memory import Memory
from balancer.domain.outcome import outcome
from balancer.domain.plan import Action, Because, Kept, Plan
from balancer.domain.vm import Demand
from balancer.formats import read
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from balancer.saved import SavedCycle, replay_cycle, save_cycle
from tests.drawing import NOON, cluster, where
from tests.planning.test_making import policy

EVENLY = "objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}"
SAVING = "objectives: {even_load: {weight: 0.3}, least_power: {weight: 1}, few_moves: {weight: 0.02}}"
EVEN, SAVER = policy(EVENLY), policy(SAVING)
SKEWED = "h1 64: a=8/3 b=8/3 c=8/3 d=8/3 | h2 64:"
NIGHT = "h1 64: a=8 | h2 64: b=16 c=16"


def watched(**since: datetime) -> Memory:
    """What the cycles before have seen: since when each wish has been there."""
    return Memory(wanted_since={wish.replace("_", ":"): moment for wish, moment in since.items()})


def planned(drawn: Cluster, rules: Policy, memory: Memory) -> Plan:
    plan = make_plan(drawn, rules, memory)
    assert verify(plan, drawn, rules, memory) == ()
    return plan


def kept(plan: Plan, subject: str) -> Kept:
    return next(each for each in plan.kept if each.subject == subject)


def asleep(plan: Plan) -> list[str | None]:
    return [step.host for step in plan.steps if step.action is Action.POWER_OFF]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


class TestHold:
    def test_a_need_that_is_new_has_to_last(self) -> None:
        plan = planned(cluster(SKEWED), EVEN, watched())
        assert plan.steps == ()
        assert [(wish.what, wish.since) for wish in plan.wanted] == [("relieve:h1", NOON)]
        why = kept(plan, "host:h1")
        assert why.because is Because.NOT_LASTING_YET
        assert why.detail == "to be relieved: wanted since 12:00, acts at 12:10 if it lasts"

    def test_a_need_that_has_lasted_is_met(self) -> None:
        assert planned(cluster(SKEWED), EVEN, watched(relieve_h1=NOON - minutes(9))).steps == ()
        plan = planned(cluster(SKEWED), EVEN, watched(relieve_h1=NOON - minutes(10)))
        assert outcome(plan, cluster(SKEWED)).imbalance("cpu") == 0

    def test_another_hosts_need_does_not_count(self) -> None:
        plan = planned(cluster(SKEWED), EVEN, watched(relieve_h2=NOON - minutes(60)))
        assert plan.steps == ()
        assert [wish.what for wish in plan.wanted] == ["relieve:h1"]

    def test_of_two_hosts_in_need_the_one_that_has_been_longer_is_relieved(self) -> None:
        drawn = cluster("h1 64: a=8/3 b=8/3 | h2 64: c=8/3 d=8/3 | h3 64: | h4 64:")
        plan = planned(drawn, EVEN, watched(relieve_h1=NOON - minutes(30)))
        assert {step.source for step in plan.moves} == {"h1"}
        assert kept(plan, "host:h2").because is Because.NOT_LASTING_YET

    def test_a_host_sleeps_once_it_has_been_dispensable_for_long_enough(self) -> None:
        plan = planned(cluster(NIGHT), SAVER, watched(sleep_1=NOON - minutes(39)))
        assert asleep(plan) == []
        assert kept(plan, "host:h1").detail == "to sleep: wanted since 11:21, acts at 12:01 if it lasts"
        assert asleep(planned(cluster(NIGHT), SAVER, watched(sleep_1=NOON - minutes(40)))) == ["h1"]

    def test_as_many_sleep_as_have_been_dispensable_whichever_they_are(self) -> None:
        drawn = cluster("h1 64: a=8 | h2 64: b=9 | h3 64: c=16 d=16")
        memory = watched(sleep_1=NOON - minutes(50), sleep_2=NOON - minutes(5))
        plan = planned(drawn, SAVER, memory)
        assert len(asleep(plan)) == 1
        assert [wish.what for wish in plan.wanted][:2] == ["sleep:1", "sleep:2"]
        assert kept(plan, "host:h2").because is Because.NOT_LASTING_YET

    def test_mending_a_promise_waits_for_nothing_and_does_only_that(self) -> None:
        # h1 is over its headroom by one guest; evenness alone would move several.
        drawn = cluster("h1 64: " + " ".join(f"v{n}=4/1.5" for n in range(10)) + " | h2 64: c=4/4 d=4/4 | h3 64:")
        plan = planned(drawn, EVEN, watched())
        assert plan.moves
        assert plan.unmet == ()
        assert all(step.because.startswith("mends headroom") for step in plan.moves)
        assert {step.source for step in plan.moves} == {"h1"}

    def test_waking_for_a_promise_waits_for_nothing(self) -> None:
        plan = planned(cluster("h1 20: a=6 b=6 c=6 d=4 | h2 64 standby:"), SAVER, watched())
        assert plan.summary.hosts_to_wake == ("h2",)

    def test_without_a_watch_what_is_seen_once_is_taken_to_last(self) -> None:
        assert planned(cluster(SKEWED), EVEN, Memory()).moves

    def test_a_doubtful_look_does_not_say_that_a_host_is_needed(self) -> None:
        doubt = {"subject": "vm:b", "kind": "stale", "detail": "last seen 9 min ago"}
        drawn = Cluster.model_validate({**cluster(NIGHT).model_dump(by_alias=True), "doubts": (doubt,)})
        since = NOON - minutes(30)
        plan = planned(drawn, SAVER, watched(sleep_1=since))
        assert [(wish.what, wish.since) for wish in plan.wanted] == [("sleep:1", since)]

    def test_a_saved_cycle_waits_as_it_waited(self, tmp_path: object) -> None:
        path = tmp_path / "cycle.json"  # type: ignore[operator]
        cycle = think(cluster(SKEWED), EVEN, watched(relieve_h1=NOON - minutes(4)))
        save_cycle(cycle, EVEN, path)
        again, _ = replay_cycle(path)
        assert again.plan.model_copy(update={"id": ""}) == cycle.plan.model_copy(update={"id": ""})
        assert read(path, SavedCycle).memory.wishes == {"relieve:h1": NOON - minutes(4)}


class TestPayBack:
    def drawn(self, boot_seconds: float) -> Cluster:
        watts = Power(idle_watts=90, peak_watts=200, boot_seconds=boot_seconds)
        return cluster(NIGHT).with_host("h1", power=watts).with_host("h2", power=watts)

    def test_a_power_cycle_that_takes_too_long_to_pay_back_is_left_out(self) -> None:
        assert asleep(planned(self.drawn(boot_seconds=180), SAVER, Memory())) == ["h1"]
        # (1600 + 60) s at 200 W, against 85 W saved: 65 minutes, and a minute for its guest's 8 GiB.
        plan = planned(self.drawn(boot_seconds=1600), SAVER, Memory())
        assert asleep(plan) == []
        why = kept(plan, "host:h1")
        assert why.because is Because.SAVES_TOO_LITTLE
        assert why.detail == "its power cycle pays back after 66 min, the policy asks for 60 min"

    def test_a_move_is_not_undone_for_a_wish(self) -> None:
        drawn = cluster("h1 64: a=8/6 | h2 64: b=8/1 | h3 64: c=8/6 d=8/1")
        back = Memory(came_from=dict.fromkeys("acd", "h2"))
        assert all(step.target != "h2" for step in planned(drawn, EVEN, back).moves)
        assert any(step.target == "h2" for step in planned(drawn, EVEN, Memory()).moves)

    def test_a_promise_takes_a_guest_back_all_the_same(self) -> None:
        drawn = cluster("h1 20: a=8 b=8 c=8 | h2 64:")
        plan = planned(drawn, EVEN, Memory(came_from=dict.fromkeys("abc", "h2")))
        assert plan.unmet == ()
        assert plan.moves[0].target == "h2"


class TestMinimumGain:
    def test_a_move_that_gains_too_little_for_itself_is_left_out(self) -> None:
        cheap = "objectives: {even_load: {weight: 1}, few_moves: {weight: 0.0001}}\n"
        every = planned(cluster("h1 64: big=8/4 s=1/0.4 t=4/4 | h2 64:"), policy(cheap), Memory())
        picky = policy(cheap + "stability: {minimum_gain_per_move: 0.01}")
        few = planned(cluster("h1 64: big=8/4 s=1/0.4 t=4/4 | h2 64:"), picky, Memory())
        assert len(every.moves) > len(few.moves) > 0
        left = {kept.subject for kept in few.kept if kept.because is Because.GAIN_TOO_SMALL}
        assert left == {f"vm:{step.vm}" for step in every.moves} - {f"vm:{step.vm}" for step in few.moves}


class TestCoolDown:
    def test_a_host_that_was_switched_a_short_while_ago_is_left_as_it_is(self) -> None:
        fresh = Memory(hosts_cooling_until={"h1": NOON + minutes(5)})
        plan = planned(cluster(NIGHT), SAVER, fresh)
        assert "h1" not in asleep(plan)
        assert kept(plan, "host:h1").detail == "stays on until 12:05"

    def test_a_host_that_fell_asleep_a_short_while_ago_is_woken_for_need_alone(self) -> None:
        evenly = cluster("h1 64: a=8/6 b=8/6 | h2 64 standby:")
        assert planned(evenly, EVEN, Memory()).summary.hosts_to_wake == ("h2",)
        fresh = Memory(hosts_cooling_until={"h2": NOON + minutes(5)})
        assert planned(evenly, EVEN, fresh).summary.hosts_to_wake == ()
        needed = cluster("h1 20: a=6 b=6 c=6 d=4 | h2 64 standby:")
        assert planned(needed, EVEN, fresh).summary.hosts_to_wake == ("h2",)

    def test_a_broken_promise_overrides_a_cool_down_unless_the_policy_says_no(self) -> None:
        drawn = cluster("h1 20: a=8 b=8 c=8 | h2 64:")
        fresh = Memory(cooling_until={name: NOON + minutes(5) for name in "abc"})
        assert planned(drawn, EVEN, fresh).unmet == ()
        strict = policy(EVENLY + "\nstability: {mending_overrides_cooldown: false}")
        plan = planned(drawn, strict, fresh)
        assert plan.moves == ()
        assert [unmet.promise for unmet in plan.unmet] == ["headroom"]

    def test_a_guest_whose_moves_failed_is_not_tried_again_and_again(self) -> None:
        drawn = cluster("h1 64 draining: a=8 b=8 | h2 64:")
        failed = Memory(cooling_until={"a": NOON + minutes(30), "b": NOON + minutes(30)}, failures={"a": 2})
        plan = planned(drawn, EVEN, failed)
        assert [step.vm for step in plan.moves] == ["b"]
        assert kept(plan, "vm:a").detail == "its move failed 2 times in a row; tried again at 12:30"


class TestBudget:
    MANY = "h1 64: " + " ".join(f"v{n}=2/1" for n in range(8)) + " | h2 64: | h3 64:"

    def even(self, budget: str) -> Policy:
        return policy(f"objectives: {{even_load: {{weight: 1}}, few_moves: {{weight: 0.001}}}}\nbudget: {budget}")

    def test_what_the_hour_has_cost_already_counts(self) -> None:
        rules = self.even("{per_hour: {moves: 6}}")
        assert len(planned(cluster(self.MANY), rules, Memory()).moves) > 2
        spent = Memory(moves_spent=4, oldest_spent_at=NOON - minutes(40))
        plan = planned(cluster(self.MANY), rules, spent)
        assert len(plan.moves) == 2
        why = kept(plan, "cluster:drawn")
        assert why.because is Because.BUDGET_SPENT
        assert why.detail == "budget.per_hour.moves allows 6 in the last hour; room again from 12:20"

    def test_gib_of_the_hour_count_too(self) -> None:
        rules = self.even("{per_hour: {gib: 10}}")
        assert planned(cluster(self.MANY), rules, Memory(gib_spent=6.0)).summary.gib_to_move == 4.0
        assert planned(cluster(self.MANY), rules, Memory(gib_spent=10.0)).moves == ()

    def test_a_host_is_touched_no_more_often_than_it_may_be(self) -> None:
        plan = planned(cluster(self.MANY), self.even("{per_host: {moves: 3}}"), Memory())
        assert len(plan.moves) == 3
        left = [each for each in plan.kept if each.because is Because.BUDGET_SPENT]
        assert left
        assert left[0].detail == "budget.per_host.moves allows 3 for h1 in this cycle; the next one goes on"

    def test_the_line_between_sites_is_spared(self) -> None:
        drawn = cluster(
            "h1 64 site=milan: " + " ".join(f"v{n}=2/1" for n in range(8)) + " | h2 64 site=milan: | h3 64 site=rome:"
        )
        free = planned(drawn, self.even("{moves: 20}"), Memory())
        assert sum(step.target == "h3" for step in free.moves) > 1
        plan = planned(drawn, self.even("{between_sites: {moves: 1}}"), Memory())
        assert sum(step.target == "h3" for step in plan.moves) == 1
        plan = planned(drawn, self.even("{between_sites: {gib: 1}}"), Memory())
        assert sum(step.target == "h3" for step in plan.moves) == 0
        assert sum(step.target == "h2" for step in plan.moves) > 0

    @pytest.mark.parametrize(("more", "mended"), [("", False), (", emergency: {moves: 1}", True)])
    def test_an_emergency_has_an_allowance_of_its_own_only_if_the_policy_says_so(self, more: str, mended: bool) -> None:
        drawn = cluster("h1 20: a=8 b=8 c=8 | h2 64:")
        rules = self.even(f"{{per_hour: {{moves: 3}}{more}}}")
        plan = planned(drawn, rules, Memory(moves_spent=3))
        assert bool(plan.moves) == mended
        assert (plan.unmet == ()) == mended
        calm = planned(cluster(self.MANY), rules, Memory(moves_spent=3))
        assert calm.moves == ()

    @pytest.mark.parametrize(
        ("budget", "memory", "objection"),
        [
            ("{per_hour: {moves: 4}}", Memory(moves_spent=4), "after 4 within the hour, the budget allows 4"),
            ("{per_hour: {gib: 8}}", Memory(gib_spent=8.0), "GiB after 8.0 within the hour, the budget allows 8"),
            ("{per_host: {moves: 1}}", Memory(), "moves come to or leave h1, the budget allows 1"),
            ("{between_sites: {moves: 1}}", Memory(), "guests between milan and rome, the budget allows 1"),
            ("{between_sites: {gib: 3}}", Memory(), "GiB between milan and rome, the budget allows 3"),
        ],
    )
    def test_a_plan_over_any_budget_is_objected_to(self, budget: str, memory: Memory, objection: str) -> None:
        drawn = cluster("h1 64 site=milan: a=4/2 b=4/2 c=4/2 d=4/2 | h2 64 site=rome:")
        plan = planned(drawn, self.even("{}"), Memory())
        assert len(plan.moves) >= 2
        assert objection in "\n".join(map(str, verify(plan, drawn, self.even(budget), memory)))
        assert where(outcome(plan, drawn)) != where(drawn)


class TestNeededSoon:
    """A host sleeps only if what is expected within its pay-back time still fits on the others."""

    def drawn(self, eight_hours_ahead: float) -> Cluster:
        """Two hosts of 16 cores that pay back after some 50 minutes; three guests of 8 vCPUs, idle now."""
        watts = Power(idle_watts=90, peak_watts=200, boot_seconds=1200)
        seen = cluster("h1 64: a=8/1 | h2 64: b=8/1 c=8/1").with_host("h1", power=watts).with_host("h2", power=watts)
        ahead = {"5m": 1.0, "15m": 1.0, "1h": eight_hours_ahead, "8h": eight_hours_ahead}
        vms = tuple(vm.model_copy(update={"demand": Demand(cpu_cores=1.0, by_horizon=ahead)}) for vm in seen.vms)
        return Cluster.model_validate({**seen.model_dump(by_alias=True), "vms": [vm.model_dump() for vm in vms]})

    def test_a_host_sleeps_through_a_night_that_stays_calm(self) -> None:
        assert asleep(planned(self.drawn(1.2), SAVER, Memory())) == ["h1"]

    def test_a_host_that_the_morning_needs_before_it_has_paid_stays_on(self) -> None:
        plan = planned(self.drawn(8.0), SAVER, Memory())
        assert asleep(plan) == []
        why = kept(plan, "host:h1")
        assert why.because is Because.NEEDED_SOON
        assert "cores are expected within" in why.detail
