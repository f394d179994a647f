"""Ejection chains: a guest finds room where others make way for it, and nothing is broken on the way there."""

from __future__ import annotations

import random

import numpy as np
import pytest

from balancer.domain.shapes import AllowedHosts, AtMost, CapacityShare, Shape
from balancer.solving import Effort, Problem, find_placement
from balancer.solving.chains import place_by_chain
from balancer.solving.lowering import arrays_of
from balancer.solving.score import Solution, excess_of
from balancer.solving.state import State
from balancer.solving.work import Work
from tests.drawing import cluster
from tests.solving.outright import is_legal
from tests.solving.tiny import random_problem

BY_SEARCH = Effort(exact_binaries=0, restarts=3)


def problem_of(drawing: str, *shapes: Shape, moves: int = 99) -> Problem:
    """Return the question of who goes where so that no shape is broken, hosts filled to the brim at most."""
    drawn = cluster(drawing)
    limits = tuple(CapacityShare(host.name, "memory", 1.0) for host in drawn.hosts)
    free = frozenset(vm.name for vm in drawn.vms)
    return Problem(drawn, limits + shapes, may_move=free, max_moves=moves, effort=BY_SEARCH)


def moved(problem: Problem) -> dict[str, str]:
    decision = find_placement(problem)
    assert is_legal(problem, decision.placement)
    return {move.vm: move.target for move in decision.placement.moves_from(problem.cluster)}


def only_on(hosts: str, guests: str) -> tuple[Shape, ...]:
    return tuple(AllowedHosts(name, frozenset(hosts.split())) for name in guests.split())


def test_one_makes_way_and_takes_the_place_that_was_left() -> None:
    crowd = "h1 16: a=8 | h2 12: b=8 c=4 | h3 6: d=5 f=1 | h4 4: e=1"
    assert moved(problem_of(crowd, *only_on("h2 h3 h4", "a"), *only_on("h2", "c"))) == {"a": "h2", "b": "h1"}


FOUR = "h1 8: a=8 | h2 12: b=4 y=4 | h3 6: c=3 z=1 | h4 4: d=2 w=1 | h5 3: v=1"
FOUR_RULES = (
    *only_on("h2 h3 h4 h5", "a b c d"),
    *only_on("h2", "y"),
    *only_on("h3", "z"),
    *only_on("h4", "w"),
    *only_on("h5", "v"),
)


def test_four_guests_move_so_that_one_finds_room() -> None:
    assert moved(problem_of(FOUR, *FOUR_RULES)) == {"a": "h2", "b": "h3", "c": "h4", "d": "h5"}


def test_a_chain_that_the_budget_does_not_cover_is_not_begun() -> None:
    assert moved(problem_of(FOUR, *FOUR_RULES, moves=3)) == {}


def test_who_is_kept_apart_from_a_guest_makes_way_for_it() -> None:
    apart = tuple(AtMost(frozenset({"a", "mate"}), frozenset({host}), 1) for host in ("h1", "h2", "h3"))
    crowd = problem_of("h1 8: a=8 | h2 12: mate=4 | h3 4:", *apart, *only_on("h2 h3", "a mate"))
    assert moved(crowd) == {"a": "h2", "mate": "h3"}


@pytest.mark.parametrize("seed", [1, 2, 15, 16, 51, 57, 85, 86])
def test_a_host_of_a_crowded_cluster_is_left_by_all(seed: int) -> None:
    """Without chains one or two guests find no room on these, by relocations, swaps and shaking."""
    problem = crowded(seed)
    decision = find_placement(problem)
    assert is_legal(problem, decision.placement)
    assert decision.excess == 0.0


def test_a_chain_is_legal_as_a_whole_or_leaves_everything_as_it_was() -> None:
    found = 0
    for seed in range(150):
        arrays = arrays_of(random_problem(seed, 4, 12))
        for unit in range(len(arrays.units)):
            state, work = State(arrays, Solution.today(arrays)), Work(1000)
            before, excess = state.changes(), excess_of(arrays, state.solution())
            if arrays.held[unit] or np.isfinite(before[unit]).any():
                continue
            if place_by_chain(state, unit, work):
                found += 1
                assert state.at[unit] != arrays.home[unit]
                assert excess_of(arrays, state.solution()) <= excess + 1e-9
                assert state.guests_left >= 0 and state.mib_left >= -1e-6
            else:
                assert state.at.tolist() == arrays.home.tolist()
                np.testing.assert_allclose(state.changes(), before, atol=1e-9)
    assert found >= 10


def crowded(seed: int) -> Problem:
    """Return a cluster that is four fifths full, with a host that everybody has to leave, and a few who keep apart."""
    rng = random.Random(seed)
    guests: dict[str, list[str]] = {f"h{number}": [] for number in range(rng.randint(4, 6))}
    for host, names in guests.items():
        room, size = 30, rng.choice([2, 3, 4, 6, 8, 12])
        while size <= room and (30 - room + size) / 32 <= rng.uniform(0.6, 1.0):
            names.append(f"{host}-{len(names)}={size}")
            room, size = room - size, rng.choice([2, 3, 4, 6, 8, 12])
    names = [word.split("=")[0] for words in guests.values() for word in words]
    pairs = [pair for _ in range(3) if (pair := rng.sample(names, 2))[0][:2] != pair[1][:2]]
    apart = [AtMost(frozenset(pair), frozenset({host}), 1) for pair in pairs for host in guests]
    leave = only_on(" ".join(sorted(set(guests) - {"h0"})), " ".join(n for n in names if n.startswith("h0")))
    drawing = " | ".join(f"{host} 30: {' '.join(words)}" for host, words in guests.items())
    return problem_of(drawing, *apart, *leave)
