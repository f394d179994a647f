"""A plan says how each guest is moved, why so, and how far its times can be believed."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from balancer.domain.memory import Memory
from balancer.domain.pace import Paces
from balancer.planning import make_plan
from balancer.reporting.text import plan_text
from tests.planning.test_kinds import policy, two_hosts


def printed(memory: Memory) -> str:
    cluster = two_hosts(dirty_mib_per_s=1500.0)
    console = Console(width=220, record=True, file=StringIO())
    console.print(plan_text(make_plan(cluster, policy(allow_post_copy=True), memory), cluster))
    return console.export_text()


def test_kind_and_reason_stand_beside_the_move() -> None:
    said = printed(Memory())
    assert "h1 → h2 (post-copy)" in said
    assert "it writes 1500 MiB/s of the 1000 that are copied, and post-copy is allowed" in said
    assert "times: from" not in said, "there is no past yet"


def test_how_far_times_were_off_is_said() -> None:
    said = printed(Memory(paces=Paces(migrations=12, median_error=0.083)))
    assert "times: from 12 past migrations; the last were off by 8% (median)" in said
