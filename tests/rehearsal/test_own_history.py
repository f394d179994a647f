"""What the balancer recorded itself is lived through again, and decided as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.cycle import Cycle
from balancer.embedded import MIDNIGHT, embedded_default_policy, the_embedded_site
from balancer.history.embedded import EmbeddedHistory
from balancer.rehearsal import Rehearsal
from balancer.replaying import laid_from_history
from balancer.virtual_time import Passing

HOUR = timedelta(hours=1)


def steps_of(cycle: Cycle) -> list[str]:
    return [str(step) for step in cycle.plan.steps]


def test_an_hour_of_the_embedded_site_is_decided_again_as_it_was(tmp_path: Path) -> None:
    policy = embedded_default_policy()
    lived: list[Cycle] = []
    with the_embedded_site(MIDNIGHT) as site:
        Passing(site, policy, 900, lived.append).live_until(MIDNIGHT + HOUR)
        assert isinstance(site.history, EmbeddedHistory)
        laid = laid_from_history(site.history.path, "embedded", MIDNIGHT - HOUR, MIDNIGHT + HOUR)
    assert laid.step_seconds == 900
    run = Rehearsal(laid, policy, tmp_path / "state").run()
    again = {step.at: step.plan for step in run.steps}
    first = lived[0]
    plan = again[first.seen.taken_at]
    assert first.plan.steps
    assert plan is not None
    assert [str(step) for step in plan.steps] == steps_of(first)
    assert run.alarms == ()
    for cycle in lived[1:]:
        at = again.get(cycle.seen.taken_at)
        print(cycle.seen.taken_at, len(cycle.plan.steps), at and len(at.steps))


@pytest.mark.parametrize("cycles", [2])
def test_what_does_not_change_is_written_down_once(cycles: int, tmp_path: Path) -> None:
    with the_embedded_site(MIDNIGHT) as site:
        history = EmbeddedHistory(tmp_path / "h.db", site.clock)
        for _ in range(cycles):
            history.record(site.look())
            site.clock.sleep(300)
        with history._engine.connect() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM inventory").scalar_one()
        history.close()
    assert count == len(site.acting.file.hosts) + 2 * 200 or count < 2.2 * 220
