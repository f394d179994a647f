"""Verification catches each kind of broken plan, and lets good ones pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.plan import Action, Plan, PolicyMark, Step, Summary
from balancer.formats import digest_of, read_text
from balancer.planning import verify
from balancer.policy import Policy
from tests.drawing import NOON, cluster

POLICY = read_text(
    """
schema: balancer.policy/1
headroom: {cpu: 1.0, memory: 1.0}
constraints:
  - {kind: apart, name: db-apart, match: {app: db}}
  - {kind: apart, name: rack-apart, match: {app: mq}, across: rack}
  - {kind: together, name: pair, vms: [web, cache]}
  - {kind: only_on, name: licensed, vms: [ora], hosts: [h1, h2]}
  - {kind: not_on, name: keep-off, vms: [bat], hosts: [h3]}
  - {kind: stay, name: pinned, vms: [pin]}
budget: {moves: 4, gib: 30, concurrent_per_host: 2}
""",
    Policy,
    "policy",
)

CLUSTER = cluster(
    "h1 20 rack=r1: a=8@db web=2 cache=2 ora=2 | h2 20 rack=r1: b=8@db m1=1@mq pin=1 bat=1 fix=1!"
    " | h3 20 rack=r2: m2=1@mq c=9 | h4 20 rack=r2: | h5 20 rack=r3 standby: | h6 20 rack=r3 powered_off:"
    " | h7 20 rack=r3 maintenance:"
)


def move(number: int, vm: str, source: str, target: str, after: tuple[int, ...] = (), wave: int = 1) -> Step:
    needs = tuple(f"s{n}" for n in after)
    return Step(id=f"s{number}", action=Action.MOVE, vm=vm, source=source, target=target, wave=wave, depends_on=needs)


def do(number: int, action: Action, host: str, after: tuple[int, ...] = (), wave: int = 1, **more: Any) -> Step:
    needs = tuple(f"s{n}" for n in after)
    return Step(id=f"s{number}", action=action, host=host, wave=wave, depends_on=needs, **more)


def plan_of(*steps: Step, seen: Cluster = CLUSTER, **more: Any) -> Plan:
    return Plan(
        id="p",
        taken_at=NOON,
        made_at=NOON,
        valid_until=NOON + timedelta(minutes=30),
        snapshot_digest=digest_of(seen),
        policy=PolicyMark(name="p", digest="d"),
        summary=Summary(moves=sum(step.is_move for step in steps)),
        steps=steps,
        **more,
    )


def objections(*steps: Step, seen: Cluster = CLUSTER, **more: Any) -> str:
    return "\n".join(map(str, verify(plan_of(*steps, seen=seen, **more), seen, POLICY)))


BROKEN: dict[str, tuple[tuple[Step, ...], str]] = {
    "a guest that does not exist": ((move(1, "zz", "h1", "h2"),), "there is no guest zz"),
    "a host that does not exist": ((move(1, "c", "h3", "h99"),), "there is no host h99"),
    "a guest that is elsewhere": ((move(1, "c", "h1", "h4"),), "it is on h3"),
    "a move to where it is": ((move(1, "c", "h3", "h3"),), "source and target are the same"),
    "an immovable guest": ((move(1, "fix", "h2", "h4"),), "it may not be moved"),
    "a guest that stays": ((move(1, "pin", "h2", "h4"),), "pinned"),
    "a guest off its allowed hosts": ((move(1, "ora", "h1", "h4"),), "licensed"),
    "a guest on a forbidden host": ((move(1, "bat", "h2", "h3"),), "keep-off"),
    "too much memory": ((move(1, "c", "h3", "h1"),), "headroom"),
    "too much memory on the way": (
        (move(1, "c", "h3", "h1"), move(2, "a", "h1", "h4")),
        "headroom",
    ),
    "memory that fits in order but not side by side": (
        (move(1, "a", "h1", "h4"), move(2, "c", "h3", "h1", wave=2)),
        "headroom",
    ),
    "an apart pair at rest": ((move(1, "a", "h1", "h2"),), "db-apart"),
    "an apart pair on the way": (
        (move(1, "a", "h1", "h4"), move(2, "b", "h2", "h1", wave=2)),
        "db-apart",
    ),
    "an apart pair across racks": ((move(1, "m2", "h3", "h1"),), "rack-apart"),
    "a pair parted in the end": ((move(1, "web", "h1", "h4"),), "pair"),
    "a stranger between the moves of a pair": (
        (move(1, "web", "h1", "h4"), move(2, "c", "h3", "h4"), move(3, "cache", "h1", "h4", wave=2)),
        "comes between the moves of a group",
    ),
    "a host that sleeps as target": ((move(1, "c", "h3", "h5"),), "h5 is standby"),
    "a host under maintenance as target": ((move(1, "c", "h3", "h7"),), "h7 is maintenance"),
    "a host that has power but does not answer yet": (
        (do(1, Action.POWER_ON, "h5"), move(2, "c", "h3", "h5", after=(1,), wave=2)),
        "h5 is waking",
    ),
    "a move that does not wait for the wake-up": (
        (
            do(1, Action.POWER_ON, "h5"),
            do(2, Action.WAIT_READY, "h5", after=(1,), wave=2),
            move(3, "c", "h3", "h5", wave=1),
        ),
        "h5 is",
    ),
    "waking what somebody else switched off": ((do(1, Action.POWER_ON, "h6"),), "was not put to sleep by the balancer"),
    "waking what is on": ((do(1, Action.POWER_ON, "h4"),), "it is up"),
    "waiting for a host that nobody wakes": ((do(1, Action.WAIT_READY, "h5"),), "nobody switched it on"),
    "power off with guests on it": (
        (do(1, Action.CORDON, "h3"), do(2, Action.POWER_OFF, "h3", after=(1,), wave=2, how="soft")),
        "it carries m2, c",
    ),
    "power off before its guests have left": (
        (
            do(1, Action.CORDON, "h3"),
            move(2, "c", "h3", "h4", after=(1,), wave=2),
            move(3, "m2", "h3", "h4", after=(1,), wave=2),
            do(4, Action.POWER_OFF, "h3", after=(1, 2), wave=3, how="soft"),
        ),
        "it carries m2",
    ),
    "power off without a cordon": ((do(1, Action.POWER_OFF, "h4", how="soft"),), "it is not cordoned"),
    "a hard power off that the policy does not allow": (
        (do(1, Action.CORDON, "h4"), do(2, Action.POWER_OFF, "h4", after=(1,), wave=2, how="hard")),
        "does not allow to cut power",
    ),
    "a move onto a cordoned host": (
        (do(1, Action.CORDON, "h4"), move(2, "c", "h3", "h4", after=(1,), wave=2)),
        "h4 is cordoned",
    ),
    "a dependency that is not there": ((move(1, "c", "h3", "h4", after=(9,), wave=2),), "depends on s9"),
    "a dependency that stands later": (
        (move(1, "c", "h3", "h4", after=(2,), wave=2), move(2, "bat", "h2", "h4")),
        "does not stand before it",
    ),
    "a wave that does not wait": (
        (move(1, "bat", "h2", "h4"), move(2, "c", "h3", "h4", after=(1,), wave=1)),
        "not after s1",
    ),
    "the same step twice": ((move(1, "c", "h3", "h4"), move(1, "bat", "h2", "h4", wave=2)), "stands twice"),
    "a guest moved twice at the same time": (
        (move(1, "c", "h3", "h4"), move(2, "c", "h3", "h2")),
        "on its way to h4 already",
    ),
    "more moves than the budget": (
        (
            move(1, "bat", "h2", "h4"),
            move(2, "c", "h3", "h4"),
            move(3, "web", "h1", "h4", wave=2),
            move(4, "cache", "h1", "h4", wave=2),
            move(5, "m1", "h2", "h4", wave=3),
        ),
        "moves 5 guests, the budget allows 4",
    ),
    "too many moves on one host at a time": (
        (move(1, "web", "h1", "h4"), move(2, "cache", "h1", "h4"), move(3, "c", "h3", "h4")),
        "3 moves touch h4 in wave 1",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plan_is_caught(kind: str) -> None:
    steps, words = BROKEN[kind]
    assert words in objections(*steps)


def test_good_plans_pass() -> None:
    assert objections() == ""
    assert objections(move(1, "c", "h3", "h4")) == ""
    assert objections(move(1, "web", "h1", "h4"), move(2, "cache", "h1", "h4")) == ""
    assert objections(move(1, "a", "h1", "h4"), move(2, "c", "h3", "h1", after=(1,), wave=2)) == ""
    assert (
        objections(
            do(1, Action.POWER_ON, "h5"),
            do(2, Action.WAIT_READY, "h5", after=(1,), wave=2),
            move(3, "c", "h3", "h5", after=(2,), wave=3),
        )
        == ""
    )
    assert objections(do(1, Action.CORDON, "h4"), do(2, Action.POWER_OFF, "h4", after=(1,), wave=2, how="soft")) == ""


def test_memory_that_fits_in_waves_but_not_in_every_order_is_caught() -> None:
    """The waves keep the moves apart; `depends_on` alone, which rules execution, does not."""
    steps = (move(1, "a", "h1", "h4"), move(2, "c", "h3", "h1", wave=2))
    assert "while s1" in objections(*steps)


def test_a_plan_may_ease_a_fault_of_today() -> None:
    crowded = cluster("h1 20 rack=r1: a=8@db b=8@db web=1 cache=1 | h2 20 rack=r1: | h3 20 rack=r2: | h4 20 rack=r2:")
    assert objections(move(1, "b", "h1", "h2"), seen=crowded) == ""


def test_a_plan_for_another_cluster_is_refused() -> None:
    assert "is for the cluster shop, this is drawn" in objections(cluster="shop")


def test_a_name_that_another_guest_bears_now_is_caught() -> None:
    known = CLUSTER.model_copy(
        update={"vms": tuple(vm.model_copy(update={"id": f"new-{vm.name}"}) for vm in CLUSTER.vms)}
    )
    step = move(1, "c", "h3", "h4").model_copy(update={"vm_id": "old-c"})
    assert "it is another guest now (new-c)" in objections(step, seen=known)


def test_a_plan_that_says_more_moves_than_it_has_is_caught() -> None:
    wrong = plan_of(move(1, "c", "h3", "h4")).model_copy(update={"summary": Summary(moves=2)})
    assert "says 2 moves and has 1" in str(verify(wrong, CLUSTER, POLICY)[0])


@pytest.mark.parametrize(
    ("doubt", "words"),
    [("vm:c", "in doubt"), ("host:h3", "in doubt"), ("host:h4", "h4 is in doubt")],
)
def test_nothing_in_doubt_is_touched(doubt: str, words: str) -> None:
    unsure = CLUSTER.model_copy(update={"doubts": (Doubt(subject=doubt, kind="stale"),)})
    assert words in objections(move(1, "c", "h3", "h4"), seen=Cluster.model_validate(unsure.model_dump(by_alias=True)))


def test_any_doubt_keeps_every_host_awake() -> None:
    unsure = Cluster.model_validate(
        {**CLUSTER.model_dump(by_alias=True), "doubts": [{"subject": "vm:web", "kind": "missing"}]}
    )
    steps = (do(1, Action.CORDON, "h4"), do(2, Action.POWER_OFF, "h4", after=(1,), wave=2, how="soft"))
    assert "while anything is in doubt" in objections(*steps, seen=unsure)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.with_host("h4", may_sleep=False), "may_sleep"),
        (lambda c: c.with_host("h4", sleep_blocked_by="its wake is not proven"), "not proven"),
    ],
)
def test_a_host_that_may_not_sleep_stays_on(change: Callable[[Cluster], Cluster], words: str) -> None:
    steps = (do(1, Action.CORDON, "h4"), do(2, Action.POWER_OFF, "h4", after=(1,), wave=2, how="soft"))
    assert words in objections(*steps, seen=change(CLUSTER))
