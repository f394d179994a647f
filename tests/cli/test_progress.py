"""While a plan is carried out a person sees, for each move, its phase, how far it has come, how fast, how long yet."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from balancer.commands.acting import carry_out
from tests.execution.stage import move, plan
from tests.stability.town import Town, rules


def test_a_move_has_a_bar_with_phase_share_speed_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path, {"h1": ["web-1"], "h2": []}, rules(""), {}, migration_mib_per_s=100)
    screen = Console(file=StringIO(), force_terminal=True, width=160)
    monkeypatch.setattr("balancer.commands.acting.err", screen)
    steps = plan(move("web-1", "h1", "h2"), at=town.clock.now())
    assert carry_out(town.site, steps, town.policy) == 0
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "move web-1 from h1 to h2" in shown and "0/1" in shown
    assert "transfer, 51%, 80 MiB/s, 25 s left" in shown, shown
    assert "transfer, 98%" in shown
