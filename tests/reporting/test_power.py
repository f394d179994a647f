"""The state of power as an operator reads it: how old a proof is, how long boots take, what went wrong last."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.console import Console

from balancer.reporting.power import HostPower, power_json, power_text

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WELL = HostPower("h1", "on", True, None, NOW - timedelta(days=12), 190.0, 7, "power on: done", NOW - timedelta(days=12))
LOST = HostPower(
    "h2", "off", False, last="power on: failed", last_at=NOW, quarantined_since=NOW, quarantined_why="did not wake"
)


def test_a_table_tells_the_age_of_a_proof_the_slow_boot_and_the_last_failure() -> None:
    printed = io.StringIO()
    Console(file=printed, width=200).print(power_text([WELL, LOST], NOW))
    _, well, lost, _, why = (line.rstrip() for line in printed.getvalue().splitlines())
    assert "(12 d ago)" in well and "3 min (7)" in well and "power on: done" in well
    assert "never" in lost and "power on: failed" in lost and "silent" in lost
    assert why == "h2 left the power scheme: did not wake; when mended: balancer power test h2"


def test_a_table_tells_when_a_host_was_tested_and_below_it_why_that_came_to_nothing() -> None:
    printed = io.StringIO()
    passed = replace(WELL, tested_at=NOW - timedelta(days=3), test_result="passed", test_words="answers after 2 min")
    vain = replace(WELL, tested_at=NOW, test_result="failed", test_words="late is active here")
    Console(file=printed, width=200).print(power_text([passed, vain], NOW))
    _, well, _, _, why = (line.rstrip() for line in printed.getvalue().splitlines())
    assert "(3 d ago) passed" in well
    assert why == "h1 was not tested: late is active here"


def test_why_a_bmc_cannot_be_asked_stands_below_the_table() -> None:
    printed = io.StringIO()
    deaf = HostPower("h3", "h3: asking whether it has power: no answer from 10.0.0.3:623", False)
    Console(file=printed, width=200).print(power_text([WELL, deaf], NOW))
    _, _, row, empty, why = printed.getvalue().splitlines()
    assert row.split()[:4] == ["h3", "cannot", "be", "asked"] and not empty.strip()
    assert why == "h3: asking whether it has power: no answer from 10.0.0.3:623"


def test_programs_read_the_same() -> None:
    well, lost = json.loads(power_json([WELL, LOST], NOW))
    assert (well["proof_age_days"], well["boot_seconds_p95"], well["boots"]) == (12.0, 190.0, 7)
    assert (lost["wake_proven_at"], lost["quarantined_why"], lost["last"]) == (None, "did not wake", "power on: failed")
