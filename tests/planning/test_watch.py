"""A watch that looks only at what was touched sees what the checkers see when they look at everything."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from balancer.constraints import KINDS, Constraint, Prefer, Sight
from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.placement import Move
from balancer.domain.violation import Violation, worsened
from balancer.planning.watch import Outlook, Watch
from tests.planning.any_policy import MAKERS, random_case

Maker = Callable[[random.Random, Cluster], Constraint]


def _changed(rng: random.Random, seen: Cluster) -> tuple[Cluster, set[str], set[str]]:
    """Return the cluster after some random change, with the guests and hosts that it touched."""
    host = rng.choice(seen.hosts)
    if rng.random() < 0.2:
        state = rng.choice([HostState.UP, HostState.STANDBY, HostState.DRAINING])
        return seen.with_hosts(state, host.name), set(), {host.name}
    vm = rng.choice(seen.vms)
    move = Move(vm.name, vm.host, vm.moving_to or host.name)
    later = seen.after(move) if vm.is_in_flight else seen.while_moving(move)
    return later, {vm.name}, {move.source, move.target}


def _said(violations: list[Violation]) -> list[str]:
    return sorted(f"{violation.promise} {violation.subject} {violation.excess:.9f}" for violation in violations)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__.strip("_"))
def test_each_kind_of_promise_is_looked_at_again_whenever_it_may_have_changed(make: Maker) -> None:
    broken = 0
    for seed in range(60):
        rng = random.Random(seed)
        seen, policy = random_case(seed)
        promise: Constraint = make(rng, seen)
        policy = policy.model_copy(update={"constraints": (promise,)})
        before, watch = policy.violations(seen), Watch(Outlook(seen, policy))
        for _ in range(12):
            seen, guests, hosts = _changed(rng, seen)
            watch.look(seen, guests, hosts)
            for in_transit in (True, False):
                expected = worsened(before, policy.violations(seen, in_transit=in_transit))
                assert _said(watch.worsened(seen, in_transit=in_transit)) == _said(expected), (seed, promise.promise)
                broken += any(violation.promise == promise.promise for violation in expected)
    assert broken > 10 or isinstance(promise, Prefer)  # which is a wish, and breaks nothing


def test_what_the_promises_are_said_to_look_at() -> None:
    """A new promise is asked about everything until its file says what its checker looks at."""
    said = {kind for kind in KINDS if kind.sight is not Constraint.sight}
    assert sorted(kind.__name__ for kind in set(KINDS) - said) == ["KeepOn", "Reserve"]
    assert Constraint().sight is Sight.EVERYTHING
