"""How long migrations take here is learnt from the migrations themselves: after ten the times foretold are right."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from statistics import median

import pytest
from ruamel.yaml import YAML

from balancer.clock import WallClock
from balancer.domain.pace import PastMigration
from balancer.domain.placement import Move
from balancer.domain.plan import Action, Plan, PolicyMark, Step
from balancer.domain.site_file import SiteFile
from balancer.execution import ActingSite, Limits, Runner
from balancer.planning.kinds import Way, way_of
from balancer.planning.pacing import paces_from
from balancer.platforms.libvirt import LibvirtPlatform
from balancer.policy.migration import MigrationRules
from balancer.store import open_store

from .lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

LEARNING, FORETOLD = 10, 8
RULES = MigrationRules(bandwidth_mib_per_s=12.0)  # so that copying takes longer than a crowded machine's moods
SIZES = {"small": 96, "middle": 144, "large": 208}


def moved(site: ActingSite, vm: str) -> PastMigration:
    """Move a guest to the other host as a plan would, foretold from all that came before; return how it went."""
    clock, store = site.clock, site.store
    seen = site.platform.observe()
    guest = seen.vm(vm)
    move = Move(vm, guest.host, "hv2" if guest.host == "hv1" else "hv1")
    way = way_of(seen, move, RULES, paces_from(store.past_migrations.latest()))
    assert isinstance(way, Way), way
    step = Step(
        id="s1",
        action=Action.MOVE,
        vm=vm,
        vm_id=guest.id,
        source=move.source,
        target=move.target,
        kind=way.kind,
        options=way.options,
        seconds=way.cost.seconds,
        memory_mib=guest.memory_mib,
        copied_mib=way.cost.mib,
        modelled_mib=way.cost.modelled_mib,
        link_mib_per_s=way.cost.link_mib_per_s,
    )
    now = clock.now()
    plan = Plan(
        id="pace",
        taken_at=now,
        made_at=now,
        valid_until=now + timedelta(minutes=30),
        snapshot_digest="-",
        policy=PolicyMark(name="-", digest="-"),
        steps=(step,),
    )
    limits = Limits(bandwidth_mib_per_s=RULES.bandwidth_mib_per_s, poll_seconds=0.5)
    report = Runner(site, plan, lambda before, during: [], limits).run_to_end()
    assert len(report.done) == 1, report.sentence
    return store.past_migrations.latest(1)[0]


def test_after_ten_migrations_times_are_foretold_to_a_fifth(lab: Lab, tmp_path: Path) -> None:
    file = SiteFile.model_validate(YAML(typ="safe").load(lab.site_file()))
    store = open_store(f"sqlite:///{tmp_path}/store.db", "lab")
    platform = LibvirtPlatform(file, WallClock())
    site = ActingSite(file, platform, {}, store, WallClock())
    for name, mib in SIZES.items():
        lab.start_guest(name, "hv1", memory_mib=mib)
    lab.wait_for_guests(*SIZES)
    platform.observe()  # has it measured how fast they write
    names = list(SIZES)
    past = [moved(site, names[number % len(names)]) for number in range(LEARNING + FORETOLD)]
    told = [f"{each.predicted_seconds:.1f} s foretold, {each.seconds:.1f} s taken ({each.error:.0%})" for each in past]
    print("\n".join(told))
    assert median(each.error for each in past[LEARNING:]) < 0.20, told
    assert median(abs(each.predicted_mib - each.mib) / each.mib for each in past[LEARNING:]) < 0.20
    platform.close()
    store.close()
