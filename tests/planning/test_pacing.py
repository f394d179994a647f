"""Past migrations teach the next ones, and one that went wrong teaches nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest

from balancer.domain.pace import PastMigration
from balancer.domain.placement import Move
from balancer.planning.durations import migration_cost
from balancer.planning.pacing import paces_from
from tests.drawing import NOON
from tests.planning.test_kinds import one_guest

LINK = 1000.0


def gone(mib: float, seconds: float, **more: Any) -> PastMigration:
    facts = {
        "at": NOON,
        "vm_key": "a",
        "source": "h1",
        "target": "h2",
        "kind": "live",
        "predicted_seconds": seconds,
        "seconds": seconds,
        "predicted_mib": mib,
        "mib": mib,
        "modelled_mib": mib,
        "link_mib_per_s": LINK,
        **more,
    }
    return PastMigration(**facts)


def world(mib: float, set_up: float = 4.0, line: float = 250.0) -> float:
    """What a migration really takes on this site: a line a quarter as fast as said, and a slow start."""
    return set_up + mib / line


def test_line_and_set_up_are_found_from_migrations_of_different_size() -> None:
    pace = paces_from([gone(mib, world(mib)) for mib in (500, 1000, 4000, 8000, 16000)]).between("h1", "h2")
    assert pace is not None
    assert pace.link_share == pytest.approx(0.25) and pace.set_up_seconds == pytest.approx(4.0)


def test_a_few_that_went_wrong_change_nothing() -> None:
    sizes = (500, 1000, 2000, 4000, 8000, 12000, 16000)
    odd = [gone(3000, 4000.0), gone(1000, 900.0)]
    pace = paces_from([*odd, *(gone(mib, world(mib)) for mib in sizes)]).between("h1", "h2")
    assert pace is not None
    assert pace.link_share == pytest.approx(0.25, rel=0.1) and pace.set_up_seconds == pytest.approx(4.0, abs=1.0)


def test_sizes_that_are_alike_say_nothing_about_the_line() -> None:
    pace = paces_from([gone(mib, world(mib)) for mib in (1000, 1010, 1020, 1030)]).between("h1", "h2")
    assert pace is not None and pace.link_share == 1.0
    assert pace.set_up_seconds + 1015 / LINK == pytest.approx(world(1015), rel=0.01)


def test_times_that_have_nothing_to_do_with_sizes_do_not_either() -> None:
    drawn = random.Random(3)
    past = [gone(drawn.uniform(50, 150), drawn.uniform(2, 9)) for _ in range(20)]
    pace = paces_from(past).between("h1", "h2")
    assert pace is not None and pace.link_share == 1.0


def test_what_the_policy_held_back_says_nothing_about_the_line() -> None:
    past = [gone(mib, 2.0 + mib / 50, cap_mib_per_s=50.0) for mib in (500, 1000, 2000, 4000)]
    pace = paces_from(past).between("h1", "h2")
    assert pace is not None
    assert pace.link_share == 1.0 and pace.set_up_seconds == pytest.approx(2.0)


def test_two_are_too_few_and_restarts_teach_nothing_about_copying() -> None:
    assert paces_from([gone(1000, 9.0)] * 2).known == ()
    assert paces_from([gone(1000, 9.0, kind="cold")] * 9).known == ()


def test_a_host_that_has_its_own_past_is_not_judged_by_the_rest() -> None:
    slow = [gone(mib, world(mib), target="h3") for mib in (500, 1000, 4000, 8000)]
    fast = [gone(mib, 1.0 + mib / LINK, source="h5", target="h6") for mib in (500, 1000, 4000, 8000)]
    paces = paces_from([*slow, *fast])
    shares = [pace.link_share if (pace := paces.between(*ends)) else None for ends in (("h4", "h3"), ("h5", "h9"))]
    assert shares == [pytest.approx(0.25), pytest.approx(1.0)]


def test_a_guest_that_was_moved_before_is_judged_by_itself() -> None:
    """How much of its memory a guest has touched is its own affair: the others send all of theirs."""
    others = [gone(mib, world(mib), vm_key=f"g{mib}") for mib in (500, 1000, 2000)]
    paces = paces_from([gone(1000, world(1000), modelled_mib=8192.0), *others])
    cluster = one_guest(dirty_mib_per_s=0.0)
    assert migration_cost(cluster, Move("a", "h1", "h2"), paces=paces).mib == pytest.approx(1000)
    stranger = cluster.model_copy(update={"vms": tuple(v.model_copy(update={"name": "z"}) for v in cluster.vms)})
    assert migration_cost(stranger, Move("z", "h1", "h2"), paces=paces).mib == pytest.approx(8192)


def test_the_error_of_the_last_ten_is_told() -> None:
    past = [gone(1000, 10.0, predicted_seconds=9.0)] * 10 + [gone(1000, 10.0, predicted_seconds=1.0)] * 90
    assert paces_from(past).median_error == pytest.approx(0.1)


def test_each_migration_makes_the_next_one_better_foretold() -> None:
    """A site whose line, start and zero pages nobody knows: after ten migrations the times are right."""
    drawn, past, errors = random.Random(7), list[PastMigration](), list[float]()
    for _ in range(30):
        cluster = one_guest(memory_mib=drawn.choice([512.0, 2048.0, 8192.0, 16384.0]), dirty_mib_per_s=0.0)
        cost = migration_cost(cluster, Move("a", "h1", "h2"), paces=paces_from(past))
        sent = 0.4 * cluster.vm("a").memory_mib * drawn.uniform(0.95, 1.05)
        seconds = world(sent) * drawn.uniform(0.92, 1.08)
        predicted = {"predicted_seconds": cost.seconds, "predicted_mib": cost.mib, "modelled_mib": cost.modelled_mib}
        past.insert(0, gone(sent, seconds, **predicted))
        errors.append(past[0].error)
    assert max(errors[:3]) > 0.3
    assert sorted(errors[10:])[len(errors[10:]) // 2] < 0.10
