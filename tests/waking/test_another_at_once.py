"""The service looks again when a host did not come, not when its interval is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.clock import WallClock
from balancer.domain.plan import Action, Step
from balancer.execution import Outcome, Result
from balancer.policy import WatchedPolicy
from balancer.service import Service
from tests.stability.town import Town, rules

AN_HOUR = 3600.0


@pytest.mark.parametrize(
    ("action", "result", "looks"),
    [
        (Action.POWER_ON, Result.FAILED, 2),
        (Action.POWER_ON, Result.DONE, 1),
        (Action.POWER_OFF, Result.FAILED, 1),
    ],
)
def test_a_wake_that_failed_begins_a_cycle_while_the_rest_of_its_plan_goes_on(
    tmp_path: Path, action: Action, result: Result, looks: int
) -> None:
    town = Town(tmp_path, {"h1": []}, rules(""), {})
    policy = tmp_path / "policy.yaml"
    policy.write_text("schema: balancer.policy/1\n")
    service = Service(town.site, WatchedPolicy(policy, "town"), tmp_path, lease_seconds=60.0)
    seen: list[float] = []
    service._rhythm.begin(lambda: seen.append(time.monotonic()), AN_HOUR)
    try:
        _wait_for(lambda: len(seen) == 1)
        now = WallClock().now()
        outcome = Outcome(Step(id="s", action=action, host="h1"), result, "", now, now - timedelta(1))
        service._carrying.see_to_another(outcome)
        _wait_for(lambda: len(seen) >= looks)
        time.sleep(0.3)
        assert len(seen) == looks
    finally:
        service._rhythm.end()


def _wait_for(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)
