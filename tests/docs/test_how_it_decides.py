"""docs/how-it-decides.md: its commands print what it says that they do, and its figures are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.formats import read
from balancer.objectives import KINDS
from balancer.planning import make_plan
from balancer.policy import load_policy
from tests.docs.console import DOCS, Desk, Typed, shows, typed_in

PAGE = (DOCS / "how-it-decides.md").read_text()
TYPED = tuple(typed_in(PAGE))


def test_each_command_prints_what_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, capsys, monkeypatch)
    for typed in TYPED:
        desk.follows(typed)
    assert len(TYPED) >= 8


def test_a_page_that_shows_something_else_is_found_out() -> None:
    typed = Typed("balancer hosts", ("h1  up", "...", "2 hosts"))
    assert shows(typed.shown, ["h1  up", "h2  up", "2 hosts"])
    assert not shows(typed.shown, ["h1  up", "h2  up", "3 hosts"])
    assert not shows(typed.shown, ["h1  up", "2 hosts", "and more"])


def test_the_price_of_the_example_is_the_sum_that_the_page_adds_up() -> None:
    seen = read(DOCS / "example" / "snapshot.yaml", Cluster)
    policy = load_policy(DOCS / "example" / "policy.yaml")
    plan = make_plan(seen, policy)
    later = seen.after(*(step.move for step in plan.moves)).with_hosts(
        HostState.POWERED_OFF, *plan.summary.hosts_to_sleep
    )
    for kind in KINDS:
        wish = getattr(policy.objectives, kind.kind)
        if wish.weight:
            shares = f"{wish.share(seen, seen):.3f} | {wish.share(seen, later):.3f}"
            assert f"| {kind.kind} | {wish.weight:g} | {shares} |" in PAGE
    assert f"| **{plan.summary.objective_before:.3f}** | **{plan.summary.objective_after:.3f}** |" in PAGE
