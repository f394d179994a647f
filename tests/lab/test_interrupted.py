"""What breaks a migration off from outside, the balancer's own death or a line that is cut, costs no guest."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from balancer.clock import WallClock
from balancer.domain.site_file import SiteFile
from balancer.execution import ActingSite, Limits, Runner, RunReport
from balancer.platforms.libvirt import LibvirtPlatform
from balancer.store import open_store
from tests.execution.stage import anything_goes, move, plan

from .commands import wait_until
from .dying import MOMENTS
from .guests import Counter
from .lab import Lab
from .product import Product
from .test_stories import EVEN, start_guests

pytestmark = pytest.mark.lab

SLOW = "\nmigration: {bandwidth_mib_per_s: 12}"  # so that whoever starts next finds a migration under way


def is_at_rest_on(lab: Lab, vm: str, host: str, since: Counter) -> bool:
    """Whether it runs on, without a reboot, on this host alone, with its one definition there."""
    lab.still_counting(vm, since)
    return lab.qemu_on(vm) == lab.where(vm) == lab.defined_on(vm) == [host]


# -- the balancer dies

LEFT = {"prepare": [], "sent": [("request", "begun")], "complete": [("complete", "done")]}
"""What the journal has of the only move then; at the other moments the phase of that name."""


# One is told in the usual run, the one at which all has happened and none of it is known.
@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=() if each == "finalise" else pytest.mark.long) for each in MOMENTS]
)
def test_killed_at_a_phase_of_a_move_the_next_start_makes_it_good(lab: Lab, tmp_path: Path, moment: str) -> None:
    product = Product(lab, tmp_path)
    product.has_site()
    product.has_policy(EVEN + SLOW)
    counters = start_guests(lab, {"web": "hv1", "mail": "hv1"}, load_percent=30)
    with product.start("run", "--once", "--mode", "act", by_way_of=("tests.lab.dying", moment)) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, said
    assert product.moves() == LEFT.get(moment, [(moment, "begun")])
    is_open = moment not in {"prepare", "complete"}
    assert len(product.reservations()) == is_open

    said = product.says("run", "--once", "--mode", "act", code=None)
    assert ("settled" in said) == is_open, said
    assert product.reservations() == []
    assert {state for _, state in product.moves()} <= {"done", "undone"}, said
    # What was never ordered did not happen; whatever was ordered goes on without us, and is waited for.
    assert product.moves()[0][1] == ("undone" if moment == "request" else "done"), said
    homes = {name: lab.where(name)[0] for name in counters}
    assert len(set(homes.values())) == 2, f"what was wanted has been done in the end: {homes}\n{said}"
    assert all(is_at_rest_on(lab, name, homes[name], since) for name, since in counters.items())
    assert product.sees().doubts == ()


# -- the line is cut while memory is copied


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Iterator[ActingSite]:
    file = SiteFile.model_validate(YAML(typ="safe").load(lab.site_file()))
    store, platform = open_store(f"sqlite:///{tmp_path}/store.db", "lab"), LibvirtPlatform(file, WallClock())
    yield ActingSite(file, platform, {}, store, WallClock())
    platform.close()
    store.close()


def moved_over_a_line_that_is_cut(lab: Lab, site: ActingSite, is_long_enough: Callable[[float], bool]) -> RunReport:
    """Carry out a move of `web` from hv1 to hv2; hv2 loses its line as soon as copying has begun, for a while."""
    steps = move("web", "hv1", "hv2", memory_mib=128.0)
    limits = Limits(bandwidth_mib_per_s=3.0, poll_seconds=0.5)
    runner = Runner(site, plan(steps, at=site.now), anything_goes, limits)
    wait_until(lambda: runner.advance() and bool(share_done(runner)), 60, "being copied: web")
    lab.link_down("hv2")
    cut = time.monotonic()
    while not is_long_enough(time.monotonic() - cut):
        assert runner.advance(), f"nobody knows yet who has the guest: {runner.report().sentence}"
        assert len(site.store.reservations.all()) == 1
        time.sleep(0.5)
    lab.link_up("hv2")
    return runner.run_to_end()


def share_done(runner: Runner) -> float | None:
    return next((each.course.share for each in runner.progress().running), None)


def test_a_line_that_comes_back_soon_only_holds_a_migration_up(lab: Lab, site: ActingSite) -> None:
    before = start_guests(lab, {"web": "hv1"}, load_percent=5)["web"]
    report = moved_over_a_line_that_is_cut(lab, site, lambda seconds: seconds > 6)
    assert len(report.done) == 1, report.sentence
    assert is_at_rest_on(lab, "web", "hv2", before)
    assert (site.store.reservations.all(), site.store.journal.unsettled()) == ((), ())


@pytest.mark.long
def test_over_a_line_that_stays_away_the_guest_goes_on_at_its_source(lab: Lab, site: ActingSite) -> None:
    before = start_guests(lab, {"web": "hv1"}, load_percent=5)["web"]
    report = moved_over_a_line_that_is_cut(lab, site, lambda seconds: seconds > 60)
    assert not report.done and report.needs_replan, report.sentence
    lab.still_counting("web", before)
    assert is_at_rest_on(lab, "web", "hv1", before), report.sentence
    assert (site.store.reservations.all(), site.store.journal.unsettled()) == ((), ())
