"""What the balancer recorded itself is lived through again, and decided as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.cycle import Cycle
from balancer.domain.host import Power
from balancer.domain.plan import Plan
from balancer.domain.rehearsed import Rehearsed
from balancer.domain.site_file import SiteHost
from balancer.embedded import MIDNIGHT, embedded_default_policy, the_embedded_site
from balancer.formats import read
from balancer.history.embedded import EmbeddedHistory
from balancer.replaying import as_the_site_file_says, laid_from_history
from balancer.settings import load_settings
from balancer.virtual_time import Passing

HOUR = timedelta(hours=1)


def steps_of(plan: Plan | None) -> list[str]:
    """Return what a plan does; in which order its equal moves go hangs on the last digits of readings."""
    return [] if plan is None else sorted(str(step) for step in plan.steps)


@pytest.mark.long
def test_an_hour_of_the_embedded_site_is_decided_again_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command line, on what a run has kept in its state directory."""
    monkeypatch.setenv("BALANCER_STATE", str(tmp_path))
    monkeypatch.delenv("BALANCER_SITE", raising=False)
    lived: list[Cycle] = []
    with the_embedded_site(MIDNIGHT, load_settings().embedded_state) as site:
        Passing(site, embedded_default_policy(), 900, lived.append).live_until(MIDNIGHT + HOUR)
    assert run(["simulate", "--out", str(tmp_path / "found.json")]) == 0
    found = read(tmp_path / "found.json", Rehearsed)
    assert found.step_seconds == 900
    again = {step.at: step for step in found.steps[1:]}
    shared = [(cycle, again[cycle.seen.taken_at]) for cycle in lived if cycle.seen.taken_at in again]
    assert any(cycle.plan.steps for cycle, _ in shared)
    for cycle, step in shared:
        assert step.sentence == cycle.sentence
        assert steps_of(step.plan) == steps_of(cycle.plan)
    assert found.alarms == ()


def test_a_day_that_is_kept_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for _ in range(2):
        with the_embedded_site(MIDNIGHT, tmp_path / "embedded") as site:
            site.history.record(site.look())
    laid = laid_from_history(tmp_path / "embedded" / "history.db", "embedded", None, None)
    assert laid.steps == 1
    assert {host.name: host.boot_seconds for host in laid.hosts}["hv01"] == 240


def test_a_host_takes_what_its_site_file_says_of_it_now(tmp_path: Path) -> None:
    with the_embedded_site(MIDNIGHT, tmp_path) as site:
        site.history.record(site.look())
        file = site.acting.file
    entry = SiteHost(name="hv02", power=Power(watts=(10.0, 20.0), boot_seconds=33.0), migration_mib_per_s=500.0)
    laid = laid_from_history(tmp_path / "history.db", "embedded", None, None)
    changed = as_the_site_file_says(laid, file.model_copy(update={"hosts": (entry,)})).hosts
    assert (changed[1].boot_seconds, changed[1].migration_mib_per_s, changed[1].may_sleep) == (33.0, 500.0, False)
    assert changed[1].power is not None and changed[1].power.at(1.0) == 20.0
    assert changed[0] == laid.hosts[0]


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


def test_looks_that_are_not_yet_merged_make_no_shorter_steps(tmp_path: Path) -> None:
    """A quarter of an hour of looks a minute apart: some are buckets of five minutes, the latest are not."""
    with the_embedded_site(MIDNIGHT) as site:
        history = EmbeddedHistory(tmp_path / "history.db", site.clock)
        for _ in range(17):
            site.clock.sleep(60)
            seen = site.look()
            history.record(seen)
        history.close()
    laid = laid_from_history(tmp_path / "history.db", "embedded", None, None)
    assert (laid.step_seconds, laid.steps) == (300, 4)
    assert laid.oddities == ()
    used = {vm.name: vm.cpu_used_cores for vm in seen.vms}
    assert {guest.name for guest in laid.guests} <= set(used)
