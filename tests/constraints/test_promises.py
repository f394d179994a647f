"""Every promise: the tempted solver breaks it without its shapes and keeps it with them; its example works."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pytest

from balancer.constraints import (
    KINDS,
    Apart,
    Cap,
    Constraint,
    Dedicated,
    GroupShare,
    Headroom,
    KeepOn,
    Licence,
    NotOn,
    OnlyOn,
    Overcommit,
    Prefer,
    Reach,
    Reserve,
    Stay,
    Together,
)
from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.domain.shapes import Cost
from balancer.formats import read_text
from balancer.objectives import EvenLoad, FewMoves, LeastPower
from balancer.policy import Policy
from balancer.solving import Problem, find_placement
from tests.drawing import cluster

EVEN = (EvenLoad(weight=1.0), FewMoves(weight=0.001))
SAVE = (LeastPower(weight=1.0), FewMoves(weight=0.001))


@dataclass(frozen=True)
class Temptation:
    """A cluster on which wishes alone lead to a broken promise."""

    promise: Constraint
    drawing: str
    wishes: tuple[EvenLoad | LeastPower | FewMoves, ...]


TEMPTATIONS = [
    Temptation(Headroom(memory=0.95), "h1 10: a=6 | h2 10: b=6", SAVE),
    Temptation(Apart(kind="apart", vms=("a", "b")), "h1 64: a=8 | h2 64: b=8", SAVE),
    Temptation(
        Apart(kind="apart", match={"app": "db"}, across="rack"),
        "h1 64 rack=r1: a=8@db x=30/8 | h2 64 rack=r1: | h3 64 rack=r2: b=8@db y=40/9",
        EVEN,
    ),
    Temptation(Together(kind="together", vms=("a", "b")), "h1 64: a=8/4 b=8/4 | h2 64:", EVEN),
    Temptation(OnlyOn(kind="only_on", vms=("a", "b"), hosts=("h1",)), "h1 64: a=8/4 b=8/4 | h2 64:", EVEN),
    Temptation(NotOn(kind="not_on", match={"app": "db"}, hosts=("h2",)), "h1 64: a=8/4@db b=8/4@db | h2 64:", EVEN),
    Temptation(Stay(kind="stay", vms=("a", "b")), "h1 64: a=8/4 b=8/4 | h2 64:", EVEN),
    Temptation(
        Prefer(kind="prefer", match={"app": "db"}, hosts=("h1",), weight=1.0), "h1 64: a=8/4@db b=8/4@db | h2 64:", EVEN
    ),
    Temptation(
        Dedicated(kind="dedicated", match={"app": "bank"}, hosts=("h2",)),
        "h1 64: a=8/4 b=8/4 c=8/1@bank | h2 64: | h3 64:",
        EVEN,
    ),
    Temptation(
        Licence(kind="licence", match={"app": "db"}, at_most=1), "h1 64: a=8/4@db b=8/4@db | h2 64: | h3 64:", EVEN
    ),
    Temptation(Cap(kind="cap", hosts=("h*",), memory=0.5), "h1 64: a=20 | h2 64: b=20", SAVE),
    Temptation(
        Cap(kind="cap", hosts_match={"rack": "r1"}, cpu=0.3, each="group"),
        "h1 64 rack=r1: a=8/4 | h2 64 rack=r1: b=8/4 | h3 64: c=8/4 d=8/4 e=8/4",
        EVEN,
    ),
    Temptation(
        GroupShare(kind="group_share", match={"app": "t"}, hosts=("h1", "h2"), cpu=0.1),
        "h1 64: | h2 64: | h3 64: a=8/4@t b=8/4@t c=8/4@t",
        EVEN,
    ),
    Temptation(Overcommit(kind="overcommit", vcpus=0.25), "h1 64: a=8 | h2 64: b=8", SAVE),
    Temptation(Reserve(kind="reserve"), "h1 64: a=8 | h2 64: b=8 | h3 64: c=8", SAVE),
    Temptation(KeepOn(kind="keep_on", hosts=("h1", "h2"), at_least=2), "h1 64: a=8 | h2 64: b=8", SAVE),
    Temptation(Reach(), "h1 64 cpu=new: a=8/4^new b=8/4^new | h2 64 cpu=old:", EVEN),
]


def ended_up(case: Temptation, promises: tuple[Constraint, ...]) -> list[str]:
    """Solve and return what the checker says of the way there and of the end."""
    drawn = cluster(case.drawing)
    costs: list[Cost] = [cost for wish in case.wishes for cost in wish.lower(drawn)]
    wanted = find_placement(
        Problem(
            cluster=drawn,
            shapes=tuple(shape for promise in promises for shape in promise.lower(drawn)),
            costs=tuple(costs),
            may_move=frozenset(vm.name for vm in drawn.vms),
            may_sleep=frozenset(host.name for host in drawn.hosts),
        )
    ).placement
    flying = drawn.while_moving(*wanted.moves_from(drawn))
    states: list[Cluster] = [wanted.applied_to(drawn)]
    # At rest nobody can tell where a guest once was, and where it is, it can run.
    states += [flying] if isinstance(case.promise, Stay | Reach) else []
    return [violation.subject for state in states for violation in case.promise.violations(state)]


@pytest.mark.parametrize("case", TEMPTATIONS, ids=lambda case: case.promise.described())
def test_the_solver_is_tempted_and_keeps_the_promise(case: Temptation) -> None:
    assert ended_up(case, ()), "this cluster does not tempt the solver"
    assert ended_up(case, (case.promise,)) == []


def test_every_kind_has_a_temptation() -> None:
    assert {type(case.promise) for case in TEMPTATIONS} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_explains_itself_and_its_example_works(kind: type[Constraint]) -> None:
    assert (inspect.getmodule(kind).__doc__ or "").count("\n\n") >= 1, "its file opens with the promise and its formula"
    line = kind.example if kind in {Headroom, Reach} else f"constraints: [{kind.example}]"
    policy = read_text(f"schema: balancer.policy/1\n{line}\n", Policy, "example")
    assert any(isinstance(promise, kind) for promise in policy.promises)


def test_a_swap_may_not_meet_halfway() -> None:
    apart = Apart(kind="apart", match={"app": "db"})
    swap = cluster("h1 64: a=8@db | h2 64: c=8@db").while_moving(Move("a", "h1", "h2"), Move("c", "h2", "h1"))
    assert [v.subject for v in apart.violations(swap)] == ["host:h1", "host:h2"]


def test_at_most_counts_guests_and_says_how_many_are_too_many() -> None:
    rule = Apart(kind="apart", match={"app": "db"}, at_most=2, across="rack")
    drawn = cluster("h1 64 rack=r1: a=1@db b=1@db | h2 64 rack=r1: c=1@db d=1@db")
    (violation,) = rule.violations(drawn)
    assert (violation.subject, violation.excess) == ("rack:r1", 2)


def test_hosts_without_the_label_may_share_a_rack() -> None:
    rule = Apart(kind="apart", vms=("a", "b"), across="rack")
    drawn = cluster("h1 64: a=1 | h2 64: b=1")
    assert [v.excess for v in rule.violations(drawn)] == [1]
    assert "h1, h2" in rule.remarks(drawn)[0]


def test_a_guest_that_is_shut_off_keeps_nobody_apart() -> None:
    assert Apart(kind="apart", vms=("a", "b")).violations(cluster("h1 64: a=8 b=8~")) == []


def test_headroom_counts_a_guest_in_flight_at_both_ends() -> None:
    drawn = cluster("h1 10: a=6 | h2 10: b=6")
    headroom = Headroom(memory=0.95)
    assert headroom.violations(drawn) == []
    flying = headroom.violations(drawn.while_moving(Move("a", "h1", "h2")))
    assert [(v.subject, round(v.excess, 3)) for v in flying] == [("host:h2/memory", 0.25)]


def test_load_that_no_guest_explains_is_load() -> None:
    drawn = cluster("h1 10: a=1/1").with_host("h1", cpu_used_cores=15.9)
    assert [v.subject for v in Headroom(cpu=0.9).violations(drawn)] == ["host:h1/cpu"]


def test_a_guest_nobody_measured_is_busy() -> None:
    drawn = cluster("h1 10: a=1")
    unmeasured = drawn.model_copy(update={"vms": (drawn.vm("a").model_copy(update={"cpu_used_cores": None}),)})
    assert unmeasured.used(unmeasured.host("h1"), "cpu") == 4.0


def test_selectors_that_match_nothing_are_remarked() -> None:
    drawn = cluster("h1 64: a=8")
    rule = OnlyOn(kind="only_on", vms=("a", "zz"), hosts_match={"rack": "r9"})
    assert rule.remarks(drawn) == ["there is no guest zz", "no host bears rack=r9"]
