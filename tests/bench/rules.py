"""The rules of a benchmark: guests kept apart, pairs kept together, guests that may be on some hosts alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tests.bench.names import host_name, vm_name

CPU_SHARE, MEMORY_SHARE = 0.90, 0.95  # of what is usable; the start obeys them too

KEPT_APART = 0.10  # of all guests, in groups of 2 to 4
KEPT_TOGETHER = 0.04  # of all guests, in pairs
HELD_TO_HOSTS = 0.05  # of all guests, each to about half of the hosts


@dataclass(frozen=True)
class Weights:
    """What the wishes weigh against each other."""

    even_load: float
    least_power: float
    few_moves: float
    cpu: float = 1.0  # what evenness of CPU, and of memory, counts within even_load
    memory: float = 1.0


@dataclass(frozen=True)
class Rules:
    """Guests and hosts by number. No guest is in two groups."""

    apart: tuple[tuple[int, ...], ...] = ()
    together: tuple[tuple[int, int], ...] = ()
    allowed: dict[int, frozenset[int]] = field(default_factory=dict)


NO_RULES = Rules()


def draw_rules(rng: np.random.Generator, hosts: int, vms: int) -> Rules:
    """Draw rules for a cluster of this size."""
    order = [int(vm) for vm in rng.permutation(vms)]
    apart = _draw_apart(rng, order)
    together = _draw_together(order, sum(map(len, apart)))
    # The second of a pair goes where the first goes, so that hosts are given to the first alone.
    followers = {second for _, second in together}
    allowed = _draw_allowed(rng, hosts, vms, followers)
    return Rules(apart, together, allowed)


def _draw_apart(rng: np.random.Generator, order: list[int]) -> tuple[tuple[int, ...], ...]:
    groups: list[tuple[int, ...]] = []
    taken = 0
    while taken < KEPT_APART * len(order):
        size = int(rng.integers(2, 5))
        groups.append(tuple(order[taken : taken + size]))
        taken += size
    return tuple(groups)


def _draw_together(order: list[int], taken: int) -> tuple[tuple[int, int], ...]:
    firsts = range(taken, len(order) - 1, 2)
    last = taken + KEPT_TOGETHER * len(order)
    return tuple((order[first], order[first + 1]) for first in firsts if first < last)


def _draw_allowed(rng: np.random.Generator, hosts: int, vms: int, followers: set[int]) -> dict[int, frozenset[int]]:
    allowed = {}
    for vm in np.flatnonzero(rng.random(vms) < HELD_TO_HOSTS).tolist():
        if vm not in followers:
            some = np.flatnonzero(rng.random(hosts) < 0.5).tolist()
            allowed[vm] = frozenset([*some, int(rng.integers(hosts))])
    return allowed


def policy_yaml(rules: Rules, weights: Weights, most_moves: int | None = None) -> str:
    """Write a policy that keeps the rules and weighs the wishes (`balancer.policy/1`)."""
    constraints = [*map(_apart, rules.apart), *map(_together, rules.together), *_only_on(rules.allowed)]
    lines = [
        "schema: balancer.policy/1",
        "name: bench",
        "mode: recommend",
        f"headroom: {{cpu: {CPU_SHARE}, memory: {MEMORY_SHARE}}}",
        f"objectives: {{even_load: {{weight: {weights.even_load}, "
        f"cpu: {weights.cpu}, memory: {weights.memory}}}, "
        f"least_power: {{weight: {weights.least_power}}}, few_moves: {{weight: {weights.few_moves}}}}}",
        *([] if most_moves is None else [f"budget: {{moves: {most_moves}}}"]),
        "constraints:" if constraints else "constraints: []",
        *constraints,
    ]
    return "\n".join(lines) + "\n"


def _apart(group: tuple[int, ...]) -> str:
    return f"  - {{kind: apart, vms: [{', '.join(map(vm_name, group))}], across: host}}"


def _together(pair: tuple[int, int]) -> str:
    return f"  - {{kind: together, vms: [{', '.join(map(vm_name, pair))}]}}"


def _only_on(allowed: dict[int, frozenset[int]]) -> list[str]:
    return [
        f"  - {{kind: only_on, vms: [{vm_name(vm)}], hosts: [{', '.join(map(host_name, sorted(hosts)))}]}}"
        for vm, hosts in sorted(allowed.items())
    ]
