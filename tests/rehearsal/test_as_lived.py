"""A service's own history, rehearsed, decides what was decided live; where it does not, it is said why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from balancer.chronicle import Chronicle
from balancer.cli import run
from balancer.clock import HandSetClock
from balancer.domain.host import Power
from balancer.domain.rehearsed import Lived, Rehearsed
from balancer.domain.site_file import SiteFile
from balancer.formats import read, read_text
from balancer.policy import Policy
from balancer.reporting.pages.rehearsal import rehearsal_page
from balancer.reporting.rehearsal import rehearsal_text
from balancer.simulation.laying import AsSeen
from balancer.simulation.machines import GuestSpec, HostSpec
from balancer.simulation.world import World
from balancer.site import site_from
from balancer.virtual_time import Passing
from tests.rehearsal.mistakes import CAREFUL, MIDNIGHT
from tests.reporting.reading import plain

ACTING = CAREFUL.replace("interval", "mode: act\ninterval", 1)
SITE = "schema: balancer.site/1\ncluster: site\nplatform: {kind: simulated}\nhosts:\n"
NAMES = ("north", "middle", "south")
NEEDS = (0.5, 0.5, 0.5, 0.6, 0.5, 0.5, 1.9, 1.9, 0.6, 0.5, 0.5, 0.6, 0.5)  # of each guest, by five minutes
POWER = Power(watts=(100, 200), off_watts=5, boot_seconds=60)


def lived(state: Path, policy: str = ACTING, interval_seconds: float = 300) -> None:
    """Let the service's loop live for an hour at three simulated hosts, and keep what the service keeps."""
    clock = HandSetClock(MIDNIGHT)
    hosts = [
        HostSpec(name, 8, 16384, power=POWER, boot_seconds=60, shutdown_seconds=20, migration_mib_per_s=1000)
        for name in NAMES
    ]
    world = World(clock, hosts, "site")
    for place in range(6):
        needs = np.array([need + 0.3 * ((step + place) % 3 == 0) for step, need in enumerate(NEEDS)], np.float32)
        world.add_guest(GuestSpec(f"g{place}", 4, 2048, AsSeen(needs, MIDNIGHT, 300, False)), NAMES[place % 3])
    entries = "".join(f"  - {{name: {name}, may_sleep: true, bmc: {{kind: simulated}}}}\n" for name in NAMES)
    (state / "site.yaml").write_text(SITE + entries)
    (state / "policy.yaml").write_text(ACTING)
    wanted = read_text(policy, Policy, "policy")
    file = read(state / "site.yaml", SiteFile)
    file = file.model_copy(update={"store": f"sqlite:///{state / 'balancer.db'}"})
    site = site_from(file, state, state, clock, world)
    for name in NAMES:
        site.acting.store.marks.prove_wake(name, MIDNIGHT - timedelta(days=1))
    chronicle = Chronicle(site.acting.store, state)
    Passing(site, wanted, interval_seconds, lambda cycle: chronicle.keep(cycle, wanted)).live_until(
        MIDNIGHT + timedelta(hours=1)
    )
    site.close()


def rehearsed(state: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Rehearsed, Lived]:
    """Rehearse what was lived, by the command line."""
    monkeypatch.setenv("BALANCER_STATE", str(state))
    words = ["simulate", "--site", str(state / "site.yaml"), "--policy", str(state / "policy.yaml")]
    assert run([*words, "--out", str(state / "found.json")]) == 0
    found = read(state / "found.json", Rehearsed)
    assert found.lived is not None
    return found, found.lived


def test_what_a_service_has_lived_is_decided_again_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(tmp_path)
    found, beside = rehearsed(tmp_path, monkeypatch)
    assert beside.partings == ()
    assert beside.same == beside.looks == len(found.steps) - 1
    assert beside.with_a_plan >= 3
    decided = {step.action for each in found.steps if each.plan for step in each.plan.steps}
    assert len(decided) >= 3  # moves, sleeps and wakes
    assert "it decides what was decided live" in plain(rehearsal_text([found]))


def test_where_it_decides_otherwise_the_cause_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live it was only recommended, under another headroom, and looked twice in each five minutes."""
    often = CAREFUL.replace("interval_seconds: 300", "interval_seconds: 150")
    lived(tmp_path, often.replace("cpu: 0.75", "cpu: 0.3"), 150)
    found, beside = rehearsed(tmp_path, monkeypatch)
    first, *others = beside.partings
    assert beside.same + 1 + len(others) == beside.looks
    assert any("headroom.cpu was 0.3 live and is 0.75 here" in why for why in first.why)
    assert any("the mode was recommend" in why for why in first.why)
    assert any("the readings that are kept are means of 5 min" in why for why in first.why)
    assert others
    assert all(any("follows from the first" in why for why in each.why) for each in others)
    page = rehearsal_page([found])
    for shown in (plain(rehearsal_text([found])), page):
        assert "headroom.cpu was 0.3 live and is 0.75 here" in shown
