"""What became of a plan is said, whatever else goes wrong at its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from balancer.domain.plan import Action, Step
from balancer.errors import HistoryError
from balancer.execution import Outcome, Result, RunReport
from balancer.service.carrying import Carrying
from tests.drawing import NOON
from tests.execution.stage import plan

MOVE = Step(id="s1", action=Action.MOVE, vm="db1", source="h1", target="h2")
ALARM = Outcome(MOVE, Result.FAILED, "no hypervisor that answers has it", NOON, NOON, alarm=True)


class Ended:
    """A runner that has come to its end."""

    def __init__(self, report: RunReport) -> None:
        self._report = report

    def run_to_end(self, _clock: object) -> None: ...

    def report(self) -> RunReport:
        return self._report


def test_an_alarm_is_told_also_where_the_history_takes_nothing_any_more() -> None:
    report = RunReport("plan-1", 1, (ALARM,), NOON, NOON, needs_replan=False)

    def full(_runner: object) -> RunReport:
        raise HistoryError("history", "write", "no space left")

    runner = Ended(report)
    site = SimpleNamespace(
        what_may_begin=lambda wanted: wanted, begin=lambda *_, **__: runner, finish=full, clock=None, runners=[runner]
    )
    told: list[RunReport] = []
    carrying = Carrying(cast(Any, site), cast(Any, None), plan_anew=lambda: None, publish=told.append)
    carrying.act(plan(MOVE))
    carrying.threads.shutdown(wait=True)
    assert told == [report] and told[0].alarms
