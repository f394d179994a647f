"""A plan as a playbook, carried out by Ansible on a real cluster: the guests are where the plan said."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from balancer.domain.plan import Plan
from balancer.formats import read
from balancer.saved import SavedCycle
from tests.reporting.playbooks import ansible

from .guests import Guest
from .lab import Lab
from .product import Product
from .test_stories import EVEN, all_still_count, start_guests

pytestmark = pytest.mark.lab

HOMES = {"web": "hv1", "mail": "hv1", "shop": "hv1", "dns": "hv2"}


@pytest.fixture
def product(lab: Lab, tmp_path: Path) -> Product:
    product = Product(lab, tmp_path)
    product.has_site()
    return product


def planned(product: Product) -> tuple[Plan, Path]:
    """Make a plan of the cluster as it is, and its playbook."""
    playbook = product.directory / "plan.yml"
    playbook.write_text(product.says("plan", "--format", "ansible", "--save", str(product.saved), code=2))
    return read(product.saved, SavedCycle).plan, playbook


def plays(playbook: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return ansible("ansible-playbook", *options, str(playbook), home=playbook.parent)


def whereabouts(lab: Lab, plan: Plan) -> dict[str, list[str]]:
    """Say where each guest that a plan moves is active and defined."""
    return {step.move.vm: [*lab.where(step.move.vm), *lab.defined_on(step.move.vm)] for step in plan.moves}


def settled(homes: Mapping[str, str]) -> dict[str, list[str]]:
    return {vm: [host, host] for vm, host in homes.items()}


@pytest.mark.long
def test_guests_are_where_the_plan_said_and_a_second_time_nothing_moves(product: Product, lab: Lab) -> None:
    counters = start_guests(lab, HOMES, load_percent=22, autostart=True)
    product.has_policy(f"{EVEN}\nmigration: {{allow_post_copy: true, bandwidth_mib_per_s: 500}}")
    plan, playbook = planned(product)
    assert {step.source for step in plan.moves} == {"hv1"}
    before = {step.move.vm: step.move.source for step in plan.moves}
    after = {step.move.vm: step.move.target for step in plan.moves}

    looked = plays(playbook, "--check")
    assert looked.returncode == 0, looked.stdout
    assert whereabouts(lab, plan) == settled(before)

    said = plays(playbook)
    assert said.returncode == 0, said.stdout
    assert whereabouts(lab, plan) == settled(after)
    assert all_still_count(lab, counters)
    for vm, host in after.items():
        assert "enable" in lab.virsh(host, "dominfo", vm).split("Autostart:")[1], "it starts with its new host"

    again = plays(playbook)
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout
    assert all_still_count(lab, counters)

    gone = plan.moves[0].move
    lab.virsh(gone.target, "destroy", gone.vm)
    stopped = plays(playbook)
    assert stopped.returncode != 0
    assert f"move {gone.vm} from {gone.source} to {gone.target}: the guest is seen on none" in stopped.stdout


@pytest.mark.long
def test_a_drained_host_is_left_by_guests_that_run_and_those_that_are_shut_off(product: Product, lab: Lab) -> None:
    counters = start_guests(lab, {"web": "hv2"}, load_percent=5, persistent=False)
    lab.define_guest(Guest("wiki", 5, 96, 1, None, ""), "hv2")
    product.has_policy("objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}")
    product.says("host", "drain", "hv2", code=2)
    plan, playbook = planned(product)
    targets = {step.move.vm: step.move.target for step in plan.moves}
    assert set(targets) == {"web", "wiki"}
    said = plays(playbook)
    assert said.returncode == 0, said.stdout
    assert (lab.where("web"), lab.defined_on("web")) == ([targets["web"]], []), "it was transient and still is"
    assert (lab.where("wiki"), lab.defined_on("wiki")) == ([], [targets["wiki"]])
    lab.still_counting("web", counters["web"])
