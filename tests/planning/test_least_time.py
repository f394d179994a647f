"""The bound on the time that moves take: below what any order needs, and above what slots alone would say."""

from __future__ import annotations

from itertools import product
from math import inf
from random import Random

import pytest

from balancer.constraints import Headroom, Together
from balancer.domain.cluster import Cluster
from balancer.domain.placement import Move
from balancer.planning.least_time import by_slots, shared_out
from balancer.planning.order import order
from tests.drawing import cluster

FULL = Headroom(cpu=1.0, memory=1.0)
MOST_LEGS = 2  # of one guest


class _EveryOrder:
    """The shortest time of all orders of some moves, directly and over other hosts, found by trying all of them."""

    def __init__(self, drawn: Cluster, moves: list[Move], slots: int) -> None:
        self._gib = {move.vm: round(drawn.vm(move.vm).memory_mib / 1024) for move in moves}
        self._goal = {move.vm: move.target for move in moves}
        self._hosts = [host.name for host in drawn.hosts]
        self._slots = slots
        self._free = {
            host.name: round((host.usable("memory") - drawn.used(host, "memory")) / 1024) for host in drawn.hosts
        }
        self.best = inf
        self._try(0.0, {move.vm: move.source for move in moves}, {}, dict.fromkeys(self._goal, 0), "")

    def _try(
        self, now: float, at: dict[str, str], flying: dict[str, tuple[float, str]], legs: dict[str, int], after: str
    ) -> None:
        if now + max((end - now for end, _ in flying.values()), default=0.0) >= self.best:
            return
        if not flying and at == self._goal:
            self.best = now
            return
        for vm in sorted(at.keys() - flying.keys()):
            if vm > after and legs[vm] < MOST_LEGS:
                for host in self._hosts:
                    if host != at[vm] and self._fits(vm, at[vm], host, at, flying):
                        self._free[host] -= self._gib[vm]
                        self._try(now, at, flying | {vm: (now + self._gib[vm], host)}, legs | {vm: legs[vm] + 1}, vm)
                        self._free[host] += self._gib[vm]
        if flying:
            vm = min(flying, key=lambda name: flying[name])
            end, host = flying[vm]
            self._free[at[vm]] += self._gib[vm]
            self._try(end, at | {vm: host}, {n: f for n, f in flying.items() if n != vm}, legs, "")
            self._free[at[vm]] -= self._gib[vm]

    def _fits(self, vm: str, source: str, host: str, at: dict[str, str], flying: dict[str, tuple[float, str]]) -> bool:
        busy = [end for name, (_, goal) in flying.items() for end in (at[name], goal)]
        return self._free[host] >= self._gib[vm] and max(busy.count(source), busy.count(host)) < self._slots


def _tiny(seed: int) -> tuple[Cluster, list[Move], int]:
    rng = Random(seed)
    hosts, count = rng.randint(2, 3), rng.randint(2, 4)
    sizes = [rng.randint(1, 6) for _ in range(count)]
    homes, goals = ([rng.randrange(hosts) for _ in sizes] for _ in range(2))
    need = [
        max(sum(size for size, host in zip(sizes, at, strict=True) if host == number) for at in (homes, goals))
        for number in range(hosts)
    ]
    drawing = " | ".join(
        f"h{number} {max(1, need[number] + rng.randint(0, 2))}: "
        + " ".join(f"v{n}={size}/0.1" for n, size in enumerate(sizes) if homes[n] == number)
        for number in range(hosts)
    )
    moves = [Move(f"v{n}", f"h{homes[n]}", f"h{goals[n]}") for n in range(count) if homes[n] != goals[n]]
    return cluster(drawing), moves, rng.randint(1, 2)


def _gib(drawn: Cluster, move: Move) -> float:
    return drawn.vm(move.vm).memory_mib / 1024


def _agrees(seed: int) -> bool:
    """Check one tiny cluster; return whether room made its bound higher than slots alone."""
    drawn, moves, slots = _tiny(seed)
    plan = order(drawn, moves, list(FULL.lower(drawn)), lambda move: _gib(drawn, move), slots)
    if plan.dropped or not moves:
        return False
    best = _EveryOrder(drawn, moves, slots).best
    assert plan.seconds_at_least <= best + 1e-6, seed
    assert plan.seconds >= plan.seconds_at_least - 1e-6, seed
    return plan.seconds_at_least > by_slots([[move] for move in moves], lambda move: _gib(drawn, move), slots) + 1e-6


def test_no_order_beats_the_bound_and_room_often_raises_it() -> None:
    assert sum(_agrees(seed) for seed in range(250)) > 10


@pytest.mark.long
def test_the_same_on_many_more() -> None:
    assert sum(_agrees(seed) for seed in range(1000, 6000)) > 200


def test_a_chain_of_guests_that_wait_for_each_other_takes_the_sum_of_their_times() -> None:
    drawn = cluster("h1 10: a=8 | h2 10: b=8 | h3 10: c=8 | h4 10:")
    moves = [Move("a", "h1", "h2"), Move("b", "h2", "h3"), Move("c", "h3", "h4")]
    shapes = list(FULL.lower(drawn))
    plan = order(drawn, moves, shapes, lambda move: _gib(drawn, move), leaving_hosts=frozenset({"h4"}))
    assert (plan.seconds_at_least, plan.seconds) == (24.0, 24.0)
    # Where guests could hop over h4 nobody has to wait for c; but there is one piece of room of 8 for three.
    assert order(drawn, moves, shapes, lambda move: _gib(drawn, move)).seconds_at_least == 24.0


def test_guests_take_turns_where_there_are_fewer_pieces_of_room_than_guests_that_need_one() -> None:
    """6 are free on each of four hosts, and 24 in all; but a guest of 8 needs a piece of 8, and h5 has two of them."""
    drawn = cluster("h1 14: a=8 | h2 14: b=8 | h3 14: c=8 | h4 14: d=8 | h5 17:")
    moves = [Move("a", "h1", "h2"), Move("b", "h2", "h1"), Move("c", "h3", "h4"), Move("d", "h4", "h3")]
    plan = order(drawn, moves, list(FULL.lower(drawn)), lambda move: _gib(drawn, move))
    assert plan.seconds_at_least == 16.0
    assert plan.dropped == ()


def test_guests_that_come_to_one_host_wait_for_room_for_all_of_them() -> None:
    drawn = cluster("h1 20: a=6 b=6 | h2 14: x=4 y=5 | h3 20:")
    moves = [Move("a", "h1", "h2"), Move("b", "h1", "h2"), Move("x", "h2", "h3"), Move("y", "h2", "h3")]
    plan = order(drawn, moves, list(FULL.lower(drawn)), lambda move: _gib(drawn, move))
    assert plan.seconds_at_least == 11.0  # y has to have left before the second of them starts
    assert plan.seconds == 11.0


def test_a_group_that_needs_all_slots_does_not_share_them_with_what_takes_long() -> None:
    drawn = cluster("h1 64: a=5 b=3 long=20 | h2 64: | h3 64:")
    moves = [Move("a", "h1", "h2"), Move("b", "h1", "h2"), Move("long", "h1", "h3")]
    shapes = [*FULL.lower(drawn), *Together(kind="together", vms=("a", "b")).lower(drawn)]
    plan = order(drawn, moves, shapes, lambda move: _gib(drawn, move), 2)
    assert (plan.seconds_at_least, plan.seconds) == (23.0, 23.0)  # until b is there, nobody else leaves


@pytest.mark.parametrize("seed", range(40))
def test_on_one_host_moves_are_not_divided_among_its_slots(seed: int) -> None:
    rng = Random(seed)
    seconds, slots = [float(rng.randint(1, 9)) for _ in range(rng.randint(1, 6))], rng.randint(1, 3)
    best = inf
    for way in product(range(slots), repeat=len(seconds)):
        best = min(best, max(sum(s for s, slot in zip(seconds, way, strict=True) if slot == n) for n in range(slots)))
    assert shared_out(seconds, slots) <= best
    assert shared_out([4.0, 4.0, 4.0], 2) == 8.0 and shared_out([5.0, 4.0, 3.0, 3.0, 3.0], 2) == 9.0


def test_a_group_that_starts_at_once_may_be_larger_than_the_slots() -> None:
    group, others = [Move(name, "h1", "h2") for name in "abc"], [[Move("d", "h1", "h3")], [Move("e", "h1", "h3")]]
    assert by_slots([group], lambda move: 5.0, 2) == 5.0
    assert by_slots([[move] for move in group], lambda move: 5.0, 2) == 10.0
    assert by_slots([group, *others], lambda move: 5.0, 2) == 10.0
    drawn = cluster("h1 64: a=5 b=5 c=5 d=5 e=5 | h2 64: | h3 64:")
    together = Together(kind="together", vms=("a", "b", "c"))
    shapes = [*FULL.lower(drawn), *together.lower(drawn)]
    plan = order(drawn, [*group, *(unit[0] for unit in others)], shapes, lambda move: _gib(drawn, move), 2)
    assert (plan.seconds_at_least, plan.seconds) == (10.0, 10.0)
