"""What guests ask for in their own metadata, and how far a policy believes them."""

from __future__ import annotations

import pytest

from balancer.constraints.asked import Ask, asked
from balancer.domain.cluster import Cluster
from balancer.domain.outcome import outcome
from balancer.domain.shapes import AllowedHosts
from balancer.objectives import EvenLoad, LeastPower
from balancer.planning import make_plan, verify
from balancer.policy import Policy
from balancer.policy.model import Objectives
from tests.drawing import cluster, where

EVEN = Objectives(even_load=EvenLoad(weight=1.0))
EVERYTHING = tuple(Ask)


def asking(drawn: Cluster, **asks: dict[str, str]) -> Cluster:
    vms = tuple(vm.model_copy(update={"asks": asks.get(vm.name, {})}) for vm in drawn.vms)
    return drawn.model_copy(update={"vms": vms})


def carried_out(drawn: Cluster, policy: Policy) -> Cluster:
    plan = make_plan(drawn, policy)
    assert verify(plan, drawn, policy) == ()
    return outcome(plan, drawn)


def test_a_guest_that_asks_to_stay_stays_where_the_policy_believes_it() -> None:
    drawn = asking(cluster("h1 64: a=8/4 b=8/4 | h2 64:"), a={"movable": "never"})
    assert where(carried_out(drawn, Policy(objectives=EVEN))) == {"a": "h1", "b": "h2"}
    doubting = where(carried_out(drawn, Policy(objectives=EVEN, believe_guests=())))
    assert sorted(doubting.values()) == ["h1", "h2"]
    forced = Policy(objectives=EVEN, believe_guests=(), constraints=())
    assert asked(drawn, forced.believe_guests) == ()


def test_guests_that_ask_for_the_same_group_are_kept_apart() -> None:
    drawn = asking(cluster("h1 64: a=8 | h2 64: b=8"), a={"apart": "db"}, b={"apart": "db"})
    save = Objectives(least_power=LeastPower(weight=1.0))
    assert len(set(where(carried_out(drawn, Policy(objectives=save))).values())) == 1, "apart is not believed unasked"
    kept = carried_out(drawn, Policy(objectives=save, believe_guests=EVERYTHING))
    assert where(kept) == {"a": "h1", "b": "h2"}


def test_a_group_that_asks_to_be_together_is_verified_as_one() -> None:
    drawn = asking(cluster("h1 64: a=8/4 b=8/4 c=8/4 | h2 64:"), a={"together": "x"}, b={"together": "x"})
    home = where(carried_out(drawn, Policy(objectives=EVEN, believe_guests=EVERYTHING)))
    assert home["a"] == home["b"]


def test_a_guest_asks_for_hosts_by_a_label() -> None:
    drawn = asking(cluster("h1 64: a=8 | h2 64 rack=r2:"), a={"only_on": "rack=r2"})
    assert where(carried_out(drawn, Policy(believe_guests=EVERYTHING))) == {"a": "h2"}


@pytest.mark.parametrize(
    ("asks", "remark"),
    [
        ({"movable": "nevr"}, "a asks for `movable: nevr`: write never, cold or live"),
        ({"only_on": "r1"}, "a asks for `only_on: r1`: write a label of hosts, as in rack=r1"),
        (
            {"alone": "yes"},
            "a asks for `alone`, which nobody knows; known are apart, movable, only_on, prefer, together",
        ),
        ({"apart": "x"}, "a asks for `apart: x`, and the policy does not believe it (`believe_guests`)"),
    ],
)
def test_what_a_guest_asks_in_vain_is_remarked(asks: dict[str, str], remark: str) -> None:
    drawn = asking(cluster("h1 64: a=8 | h2 64:"), a=asks)
    assert remark in Policy().remarks(drawn)
    assert all(promise.lower(drawn) is not None for promise in asked(drawn, (Ask.MOVABLE,)))


def test_moves_of_dear_guests_cost_more() -> None:
    drawn = cluster("h1 64: a=8/4 b=8/4 | h2 64:")
    dear = drawn.model_copy(update={"vms": (drawn.vm("a").model_copy(update={"dear": 5.0}), drawn.vm("b"))})
    assert where(
        carried_out(dear, Policy(objectives=EVEN.model_copy(update={"few_moves": Policy().objectives.few_moves})))
    ) == {
        "a": "h1",
        "b": "h2",
    }


@pytest.mark.parametrize("name", ["*", "[ab]?", "*" * 256])
def test_a_guest_whose_name_looks_like_a_pattern_speaks_for_itself_alone(name: str) -> None:
    drawn = cluster("h1 64: a=8/4 b=8/4 star=8/1 | h2 64:")
    named = [vm.model_copy(update={"name": name}) if vm.name == "star" else vm for vm in drawn.vms]
    drawn = asking(drawn.model_copy(update={"vms": tuple(named)}), **{name: {"movable": "never"}})
    (stay,) = asked(drawn, (Ask.MOVABLE,))
    assert [shape.vm for shape in stay.lower(drawn) if isinstance(shape, AllowedHosts)] == [name]
    assert sorted(where(carried_out(drawn, Policy(objectives=EVEN))).values()) == ["h1", "h1", "h2"]
