"""What holds when: a schedule over a policy, promises with `when`, freezes; seen in plans, in proofs and on the way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.cycle import think
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.placement import Move
from balancer.domain.plan import Because, Mode
from balancer.formats import digest_of, read_text, to_json
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from balancer.policy.loading import Loaded
from balancer.policy.notes import notes
from balancer.reporting.sentences import plan_sentence
from balancer.saved import replay_cycle, save_cycle
from balancer.site import gate_of
from tests.drawing import NOON, cluster
from tests.policy.texts import at, policy

DAY_AND_NIGHT = """
headroom: {cpu: 0.8}
objectives: {even_load: {weight: 1.0}}
stability: {minimum_gain: 0.002}
windows:
  night: {from: 22:00, to: 06:00}
  sunday: {days: [sun]}
schedule:
  - {during: night, set: {headroom: {cpu: 0.9}, objectives: {least_power: {weight: 1.0}}, mode: act}}
  - {during: sunday, set: {mode: confirm, interval_seconds: 60}}
"""
TUESDAY_NOON, TUESDAY_NIGHT, SUNDAY_NIGHT = at("2026-11-24T12:00"), at("2026-11-24T23:00"), at("2026-11-29T23:00")


def test_a_schedule_replaces_what_it_names_and_nothing_else() -> None:
    whole = policy(DAY_AND_NIGHT)
    by_day, by_night = whole.at(TUESDAY_NOON), whole.at(TUESDAY_NIGHT)
    assert (by_day.headroom.cpu, by_day.mode, by_day.objectives.least_power.weight) == (0.8, Mode.RECOMMEND, 0)
    assert (by_night.headroom.cpu, by_night.mode, by_night.objectives.least_power.weight) == (0.9, Mode.ACT, 1.0)
    assert (by_night.objectives.even_load.weight, by_night.headroom.memory) == (1.0, 0.95)
    assert by_night.stability.minimum_gain == 0.002
    assert by_night.interval_seconds == 300


def test_where_windows_overlap_the_later_entry_wins_and_check_says_so() -> None:
    whole = policy(DAY_AND_NIGHT)
    assert (whole.at(SUNDAY_NIGHT).mode, whole.at(SUNDAY_NIGHT).headroom.cpu) == (Mode.CONFIRM, 0.9)
    assert notes(Loaded(whole), TUESDAY_NOON) == [
        "schedule[1] (night) and schedule[2] (sunday) set mode, and overlap, next at 2026-11-29 00:00 UTC: "
        "the later entry wins"
    ]


def test_equal_words_and_windows_that_never_meet_are_no_overlap() -> None:
    apart = policy(
        "windows: {a: {days: [mon]}, b: {days: [tue]}, c: {from: 10:00, to: 12:00}}\n"
        "schedule: [{during: a, set: {mode: act}}, {during: b, set: {mode: confirm}}, {during: c, set: {seed: 2}}]"
    )
    same = policy("windows: {a: {}, b: {}}".replace("{}", "{days: [mon]}") + SAME)
    assert [notes(Loaded(each), TUESDAY_NOON) for each in (apart, same)] == [[], []]


def test_a_window_that_power_tests_alone_use_is_not_said_to_be_without_use() -> None:
    windows = "windows: {night: {from: 01:00, to: 05:00}, off: {days: [sun]}}\n"
    tested = "power: {test: {during: night}}\n"
    by_schedule = "schedule: [{during: off, set: {power: {test: {during: night}}}}]\n"
    assert notes(Loaded(policy(windows + tested)), TUESDAY_NOON) == ["the window off is used by nothing"]
    assert notes(Loaded(policy(windows + by_schedule)), TUESDAY_NOON) == []


SAME = "\nschedule: [{during: a, set: {mode: act}}, {during: b, set: {mode: act}}]"


def test_naming_one_wish_for_the_night_leaves_the_days_other_wishes() -> None:
    windows = "windows: {night: {from: 22:00, to: 06:00}}\nschedule: "
    usual = policy(windows + "[{during: night, set: {objectives: {least_power: {weight: 2.0}}}}]").at(TUESDAY_NIGHT)
    weights = usual.objectives
    assert (weights.even_load.weight, weights.least_power.weight, weights.few_moves.weight) == (1.0, 2.0, 0.02)


def test_what_is_in_force_is_a_policy_of_its_own_and_stays_what_it_is() -> None:
    night = policy(DAY_AND_NIGHT).at(TUESDAY_NIGHT)
    assert night.at(TUESDAY_NIGHT) == night
    again = read_text(to_json(night), Policy, "again")
    assert (again, digest_of(again)) == (night, digest_of(night))


def test_the_command_lines_mode_goes_before_the_schedules() -> None:
    recommending = policy(DAY_AND_NIGHT).in_mode(Mode.RECOMMEND)
    assert {recommending.at(m).mode for m in (TUESDAY_NOON, TUESDAY_NIGHT, SUNDAY_NIGHT)} == {Mode.RECOMMEND}


PROMISES = """
objectives: {few_moves: {weight: 0.01}}
windows: {noon: {from: 11:00, to: 13:00}}
constraints:
  - {kind: not_on, name: backup-host, vms: [a], hosts: [h1], when: noon}
  - {kind: apart, name: usually, vms: [b, c], when: {not: noon}}
"""


def test_a_promise_with_when_counts_only_then() -> None:
    seen = cluster("h1 64: a=8 | h2 64: b=8 c=8")
    later = seen.model_copy(update={"taken_at": seen.taken_at + timedelta(hours=3)})
    at_noon, in_the_afternoon = (make_plan(each, policy(PROMISES)) for each in (seen, later))
    assert [step.vm for step in at_noon.moves] == ["a"]
    (moved,) = in_the_afternoon.moves
    assert moved.vm in {"b", "c"}
    assert verify(at_noon, seen, policy(PROMISES)) == ()


def test_a_step_is_looked_at_under_the_promises_of_that_moment() -> None:
    gate = gate_of(policy(PROMISES).at)
    at_noon = cluster("h1 64: | h2 64: a=8 | h3 64: b=8 c=8")
    in_the_afternoon = at_noon.model_copy(update={"taken_at": at_noon.taken_at + timedelta(hours=3)})
    back = Move("a", "h2", "h1")
    assert [v.promise for v in gate(at_noon, at_noon.while_moving(back))] == ["backup-host"]
    assert gate(in_the_afternoon, in_the_afternoon.while_moving(back)) == []


BACKUP = """
objectives: {{even_load: {{weight: 0.3}}, least_power: {{weight: 1.0}}}}
windows: {{backup: {{from: 11:00, to: 13:00}}}}
schedule: [{{during: backup, set: {{freeze: {freeze}}}}}]
"""


def _idle_at(hours: float) -> Cluster:
    drawn = cluster("h1 64: a=8/1 b=8/1 c=8/1 | h2 64: | h3 64: d=8/1")
    ready = {"may_sleep": True, "wake_proven_at": drawn.taken_at}
    hosts = tuple(host.model_copy(update=ready) for host in drawn.hosts)
    return drawn.model_copy(update={"hosts": hosts, "taken_at": drawn.taken_at + timedelta(hours=hours)})


@pytest.mark.parametrize(
    ("freeze", "moves", "sleeps"), [("none", True, True), ("moves", False, True), ("power", True, False)]
)
def test_a_freeze_leaves_out_what_it_names(freeze: str, moves: bool, sleeps: bool) -> None:
    wanted = policy(BACKUP.format(freeze=freeze).replace("least_power: {weight: 1.0}", "least_power: {weight: 0.5}"))
    plan = make_plan(_idle_at(0), wanted)
    assert (bool(plan.moves), bool(plan.summary.hosts_to_sleep)) == (moves, sleeps)
    assert verify(plan, _idle_at(0), wanted) == ()


def test_a_freeze_of_all_says_so_and_ends_with_its_window() -> None:
    wanted = policy(BACKUP.format(freeze="all"))
    frozen, free = make_plan(_idle_at(0), wanted), make_plan(_idle_at(1), wanted)
    assert frozen.is_empty
    assert plan_sentence(frozen) == "Nothing to do: the policy freezes moves for the time being (freeze: all)."
    because = {kept.subject: kept.because for kept in frozen.kept}
    assert because["cluster:drawn"] is because["host:h2"] is Because.FROZEN
    assert free.moves
    assert {objection.what for objection in verify(free, _idle_at(0), wanted)} == {
        "the policy freezes it for the time being (freeze: all)"
    }


def test_a_freeze_lets_hosts_wake() -> None:
    drawn = cluster("h1 64: a=16/8 b=16/7 | h2 64 standby:")
    plan = make_plan(drawn, policy("freeze: all\nheadroom: {cpu: 0.6}\nobjectives: {even_load: {weight: 1}}"))
    assert plan.moves == ()
    assert verify(plan, drawn, policy("freeze: all")) == ()


def test_a_saved_cycle_keeps_the_policy_that_was_in_force(tmp_path: Path) -> None:
    wanted, seen = policy(BACKUP.format(freeze="all")), _idle_at(0)
    save_cycle(think(seen, wanted, NOTHING_REMEMBERED), wanted, tmp_path / "cycle.json")
    cycle, in_force = replay_cycle(tmp_path / "cycle.json")
    assert (in_force.freeze, in_force.schedule, cycle.plan.is_empty) == ("all", (), True)
    assert cycle.plan.taken_at == NOON
