"""Verification looks only at what changed, and finds what looking at everything finds, in broken plans as well."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan, Step
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from tests.planning.any_policy import random_case
from tests.planning.plainly import verify_plainly

Steps = tuple[Step, ...]
Fault = Callable[[random.Random, Cluster, Steps], Steps]


def _put(steps: Steps, place: int, *instead: Step) -> Steps:
    return (*steps[:place], *instead, *steps[place + 1 :])


def _changed(steps: Steps, place: int, **changes: object) -> Steps:
    return _put(steps, place, steps[place].model_copy(update=changes))


def _waits_for_none(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    return _changed(steps, rng.randrange(len(steps)), depends_on=())


def _waits_for_one_less(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    place = rng.choice([n for n, step in enumerate(steps) if step.depends_on] or [0])
    return _changed(steps, place, depends_on=steps[place].depends_on[1:])


def _nobody_waits(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    return tuple(step.model_copy(update={"depends_on": (), "wave": 1}) for step in steps)


def _goes_elsewhere(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    return _changed(steps, rng.randrange(len(steps)), target=rng.choice(cluster.hosts).name)


def _comes_from_elsewhere(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    return _changed(steps, rng.randrange(len(steps)), source=rng.choice(cluster.hosts).name)


def _is_doubled(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    twin = rng.choice(steps)
    last = max(step.wave for step in steps) + 1
    return (*steps, twin.model_copy(update={"id": "twin", "wave": last, "depends_on": ()}))


def _is_left_out(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    gone = steps[(place := rng.randrange(len(steps)))].id
    needs = (tuple(need for need in step.depends_on if need != gone) for step in steps)
    return _put(tuple(s.model_copy(update={"depends_on": left}) for s, left in zip(steps, needs, strict=True)), place)


def _is_another_guest(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    return _changed(steps, rng.randrange(len(steps)), vm=rng.choice(cluster.vms).name, vm_id=None)


def _comes_earlier(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    place = rng.randrange(len(steps))
    return (steps[place], *steps[:place], *steps[place + 1 :])


def _is_sound(rng: random.Random, cluster: Cluster, steps: Steps) -> Steps:
    return steps


FAULTS: dict[str, Fault] = {
    "sound": _is_sound,
    "waits for none": _waits_for_none,
    "waits for one less": _waits_for_one_less,
    "nobody waits": _nobody_waits,
    "goes elsewhere": _goes_elsewhere,
    "comes from elsewhere": _comes_from_elsewhere,
    "doubled": _is_doubled,
    "left out": _is_left_out,
    "another guest": _is_another_guest,
    "earlier": _comes_earlier,
}


@cache
def _planned(seed: int) -> tuple[Plan, Cluster, Policy]:
    cluster, policy = random_case(seed)
    return make_plan(cluster, policy), cluster, policy


def _tampered(seed: int, fault: Fault) -> tuple[Plan, Cluster, Policy]:
    plan, cluster, policy = _planned(seed)
    if not plan.steps:
        return plan, cluster, policy
    steps = fault(random.Random(seed), cluster, plan.steps)
    summary = plan.summary.model_copy(update={"moves": sum(step.is_move for step in steps)})
    return plan.model_copy(update={"steps": steps, "summary": summary}), cluster, policy


@pytest.mark.parametrize("fault", FAULTS)
def test_looking_at_changes_finds_what_looking_at_everything_finds(fault: str) -> None:
    for seed in range(30):
        plan, cluster, policy = _tampered(seed, FAULTS[fault])
        assert frozenset(map(str, verify(plan, cluster, policy))) == verify_plainly(plan, cluster, policy), seed


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_on_many_more(fault: str) -> None:
    for seed in range(20_000, 20_200):
        plan, cluster, policy = _tampered(seed, FAULTS[fault])
        assert frozenset(map(str, verify(plan, cluster, policy))) == verify_plainly(plan, cluster, policy), seed


def test_most_kinds_of_faults_are_found_in_most_plans() -> None:
    found: Counter[str] = Counter()
    for name, fault in FAULTS.items():
        found[name] = sum(bool(verify(*_tampered(seed, fault))) for seed in range(30))
    assert found["sound"] == 0
    assert {name for name, count in found.items() if count >= 5} >= {
        "nobody waits",
        "goes elsewhere",
        "comes from elsewhere",
        "doubled",
        "another guest",
    }
