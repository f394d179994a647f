"""The dial: what each level sets, what a file writes itself wins, and level 1 moves nothing that mends no promise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.violation import hard_excess
from balancer.planning import make_plan
from balancer.policy import DEFAULT_POLICY, Policy
from balancer.policy.dial import DIAL
from tests.drawing import cluster, where
from tests.policy.texts import at, policy


def value(of: Policy, path: str) -> Any:
    found: Any = of
    for part in path.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_each_level_sets_what_its_table_says(level: int) -> None:
    dialled = policy(f"aggressiveness: {level}")
    for path, values in DIAL.items():
        wanted = values[level - 1]
        assert value(dialled, path) == (value(DEFAULT_POLICY, path) if wanted is None else wanted), path


def test_three_is_the_default() -> None:
    assert {path: value(DEFAULT_POLICY, path) for path in DIAL} == {
        path: value(policy("aggressiveness: 3"), path) for path in DIAL
    }


def test_what_the_file_writes_wins_over_the_dial() -> None:
    said = policy("aggressiveness: 5\nstability: {minimum_gain: 0.01}\nobjectives: {few_moves: {weight: 0.3}}")
    assert (said.stability.minimum_gain, said.objectives.few_moves.weight) == (0.01, 0.3)
    assert said.stability.cooldown_minutes == 5.0
    assert said.objectives.even_load.weight == 0, "objectives that are written and absent weigh nothing, as ever"


def test_the_dial_can_be_turned_by_the_clock() -> None:
    said = policy(
        "aggressiveness: 1\nwindows: {night: {from: 22:00, to: 06:00}}\nstability: {cooldown_minutes: 7}\n"
        "schedule: [{during: night, set: {aggressiveness: 5}}]"
    )
    by_night = said.at(at("2026-11-24T23:00"))
    assert (said.stability.minimum_gain, by_night.stability.minimum_gain) == (1.0, 0.0)
    assert (said.objectives.even_load.weight, by_night.objectives.even_load.weight) == (0.0, 1.0)
    assert by_night.stability.cooldown_minutes == 7


UNEVEN = "h1 64: a=8/6 b=8/4 c=8/3 | h2 64: d=8/0.5 | h3 64: "


def test_at_1_an_uneven_cluster_is_left_as_it_is_and_at_5_it_is_evened() -> None:
    seen = cluster(UNEVEN)
    moves = [make_plan(seen, policy(f"aggressiveness: {level}")).summary.moves for level in (1, 5)]
    assert moves[0] == 0
    assert moves[1] > 0


def test_at_1_a_plan_mends_the_promise_and_carries_nothing_else_along() -> None:
    seen = cluster("h1 64: a=8/6 b=8/4 c=8/3 | h2 64: d=8/0.5 e=8/0.5 | h3 64: ")
    text = "constraints: [{kind: apart, vms: [d, e]}]"
    plan = make_plan(seen, policy(f"aggressiveness: 1\n{text}"))
    assert len(plan.moves) == 1
    assert plan.moves[0].vm in {"d", "e"}
    assert len(make_plan(seen, policy(f"aggressiveness: 5\n{text}")).moves) > 1


_GUESTS = st.lists(
    st.tuples(st.integers(1, 16), st.floats(0.1, 6, allow_nan=False), st.integers(0, 3)), min_size=1, max_size=10
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(_GUESTS, st.booleans())
def test_at_1_no_move_is_made_that_mends_no_promise(guests: list[tuple[int, float, int]], has_pair: bool) -> None:
    """Leave any one guest of a plan where it was: more is broken then than with it."""
    hosts = ["", "", "", ""]
    for n, (gib, cores, host) in enumerate(guests):
        hosts[host] += f" g{n}={gib}/{cores:.2f}"
    seen = cluster(" | ".join(f"h{n} 64:{names}" for n, names in enumerate(hosts)))
    pair = "\nconstraints: [{kind: apart, vms: [g0, g1]}]" if has_pair else ""
    wanted = policy(f"aggressiveness: 1\nheadroom: {{cpu: 0.5, memory: 0.7}}{pair}")
    plan = make_plan(seen, wanted)
    later = seen
    for step in plan.moves:
        later = later.after(step.move)
    ends = where(later)
    for vm in {step.vm for step in plan.moves if ends[step.vm or ""] != where(seen)[step.vm or ""]}:
        assert vm
        home = {"host": where(seen)[vm]}
        vms = tuple(guest.model_copy(update=home) if guest.name == vm else guest for guest in later.vms)
        without = later.model_copy(update={"vms": vms})
        assert hard_excess(wanted.violations(without)) > hard_excess(wanted.violations(later)), f"{vm} mends nothing"
