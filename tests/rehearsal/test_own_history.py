"""What the balancer recorded itself is lived through again, and decided as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.cycle import Cycle
from balancer.domain.plan import Plan
from balancer.embedded import MIDNIGHT, embedded_default_policy, the_embedded_site
from balancer.history.embedded import EmbeddedHistory
from balancer.rehearsal import Rehearsal
from balancer.replaying import laid_from_history
from balancer.virtual_time import Passing

HOUR = timedelta(hours=1)


def steps_of(plan: Plan | None) -> list[str]:
    """Return what a plan does; in which order its equal moves go hangs on the last digits of readings."""
    return [] if plan is None else sorted(str(step) for step in plan.steps)


@pytest.mark.long
def test_an_hour_of_the_embedded_site_is_decided_again_as_it_was(tmp_path: Path) -> None:
    policy = embedded_default_policy()
    lived: list[Cycle] = []
    with the_embedded_site(MIDNIGHT) as site:
        Passing(site, policy, 900, lived.append).live_until(MIDNIGHT + HOUR)
        assert isinstance(site.history, EmbeddedHistory)
        laid = laid_from_history(site.history.path, "embedded", MIDNIGHT - HOUR, MIDNIGHT + HOUR)
    assert laid.step_seconds == 900
    run = Rehearsal(laid, policy, tmp_path / "state").run()
    again = {step.at: step for step in run.steps[1:]}
    shared = [(cycle, again[cycle.seen.taken_at]) for cycle in lived if cycle.seen.taken_at in again]
    assert any(cycle.plan.steps for cycle, _ in shared)
    for cycle, step in shared:
        assert step.sentence == cycle.sentence
        assert steps_of(step.plan) == steps_of(cycle.plan)
    assert run.alarms == ()


def test_what_does_not_change_is_written_down_once(tmp_path: Path) -> None:
    with the_embedded_site(MIDNIGHT) as site:
        history = EmbeddedHistory(tmp_path / "h.db", site.clock)
        for _ in range(3):
            seen = site.look()
            history.record(seen)
            site.clock.sleep(300)
        with history._engine.connect() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM inventory").scalar_one()
        history.close()
    assert count == len(seen.hosts) + 2 * len(seen.vms)
