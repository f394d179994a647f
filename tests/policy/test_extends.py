"""Files that build on others: what is joined, what replaces, and that each fault names the file it stands in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from balancer.domain.plan import Mode
from balancer.policy import load, load_policy
from balancer.policy.ready import READY
from tests.policy.texts import faults, write

ROOT = Path(__file__).parents[2]
BASE = """
name: base
mode: confirm
headroom: {cpu: 0.7, memory: 0.8}
power: {wake: [h1, h2]}
constraints:
  - {kind: stay, name: pinned, vms: [a]}
  - {kind: apart, name: pair, vms: [b, c]}
  - {kind: stay, vms: [z]}
windows: {night: {from: 22:00, to: 06:00}}
schedule: [{during: night, set: {mode: act}}]
"""


def test_blocks_are_joined_by_key_and_lists_replaced(tmp_path: Path) -> None:
    leaf = load_policy(write(tmp_path, base=BASE, leaf="extends: base.yaml\nheadroom: {cpu: 0.5}\npower: {wake: [h9]}"))
    assert (leaf.mode, leaf.headroom.cpu, leaf.headroom.memory, leaf.power.wake) == (Mode.CONFIRM, 0.5, 0.8, ("h9",))


def test_constraints_are_joined_and_the_same_name_replaces(tmp_path: Path) -> None:
    own = """extends: base.yaml
remove: [pinned]
constraints:
  - {kind: apart, name: pair, vms: [b, c], across: rack}
  - {kind: stay, name: new, vms: [n]}
"""
    leaf = load_policy(write(tmp_path, base=BASE, leaf=own))
    assert [each.promise for each in leaf.constraints] == ["pair", "stay z", "new"]
    assert "rack" in str(leaf.constraints[0])


def test_a_chain_goes_over_folders_and_schedules_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    write(tmp_path / "common", base=BASE)
    middle = "extends: common/base.yaml\nheadroom: {cpu: 0.6}\nschedule: [{during: night, set: {seed: 7}}]"
    leaf = load_policy(write(tmp_path, middle=middle, leaf="extends: middle.yaml\nseed: 3"))
    assert (leaf.headroom.cpu, leaf.headroom.memory, leaf.seed, leaf.name) == (0.6, 0.8, 3, "leaf")
    assert [list(entry.set.written()) for entry in leaf.schedule] == [["mode"], ["seed"]]


def test_a_file_that_turns_the_dial_overrules_what_its_base_wrote(tmp_path: Path) -> None:
    base = "stability: {minimum_gain: 0.03, cooldown_minutes: 99}"
    leaf = write(tmp_path, base=base, leaf="extends: base.yaml\naggressiveness: 5\nstability: {cooldown_minutes: 77}")
    said = load_policy(leaf).stability
    assert (said.minimum_gain, said.cooldown_minutes) == (0.0, 77)


def test_one_file_serves_several_clusters(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        p="""mode: confirm
constraints: [{kind: stay, name: pinned, vms: [a]}]
clusters:
  lab: {mode: act, name: for-the-lab, remove: [pinned], headroom: {cpu: 0.95}}
  production: {constraints: [{kind: stay, vms: [b]}]}
""",
    )
    lab, production, other = (load_policy(path, cluster) for cluster in ("lab", "production", "other"))
    assert (lab.mode, lab.name, lab.headroom.cpu, lab.constraints) == (Mode.ACT, "for-the-lab", 0.95, ())
    assert (production.mode, len(production.constraints)) == (Mode.CONFIRM, 2)
    assert (other.mode, len(other.constraints), load_policy(path)) == (Mode.CONFIRM, 1, other)


def test_clusters_of_a_base_and_of_a_leaf_are_joined(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="clusters: {lab: {seed: 4, headroom: {cpu: 0.5}}}",
        leaf="extends: base.yaml\nclusters: {lab: {headroom: {memory: 0.6}}}",
    )
    lab = load_policy(path, "lab")
    assert (lab.seed, lab.headroom.cpu, lab.headroom.memory) == (4, 0.5, 0.6)


def test_a_loop_is_refused_with_all_files_named(tmp_path: Path) -> None:
    path = write(tmp_path, b="extends: a.yaml", a="extends: b.yaml")
    folder = f"{tmp_path}/"
    assert faults(path) == ["b.yaml:2: `extends` goes in a circle: a.yaml -> b.yaml -> a.yaml; take one of them out"]
    assert faults(write(tmp_path, self="extends: self.yaml")) == [
        "self.yaml:2: `extends` goes in a circle: self.yaml -> self.yaml; take one of them out"
    ], folder


def test_a_fault_names_the_file_and_line_where_it_stands(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="headroom: {cpu: 90}\nconstraints:\n  - {kind: stay, name: x, vms: [a]}\n  - {kind: stay, vms: 3}",
        leaf="extends: base.yaml\nconstraints:\n  - {kind: stay, name: x, vms: [a], when: night}\nmode: akt",
    )
    assert [fault.partition(":")[0] + fault.split(":")[1] for fault in faults(path)] == [
        "base.yaml2",
        "base.yaml5",
        "leaf.yaml4",
        "leaf.yaml5",
    ]
    assert "`constraints[2].vms`" in faults(path)[1], "counted as in its own file"


def test_a_value_that_a_leaf_replaces_is_no_fault_of_its_base(tmp_path: Path) -> None:
    assert faults(write(tmp_path, base="seed: x", leaf="extends: base.yaml\nseed: 2")) == []


def test_faults_of_every_cluster_are_told_whichever_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, p="clusters: {a: {mode: akt}, b: {constraints: [{kind: stay, vms: [x], when: never}]}}")
    assert len(faults(path)) == 1
    path.write_text(path.read_text().replace("akt", "act"))
    assert faults(path, "a") == [
        "p.yaml:2: `clusters.b.constraints[1].when` names no window that is there; "
        "write `windows: {never: {from: ..., to: ...}}`"
    ]


def test_a_removal_that_removes_nothing_is_remarked(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, base=BASE, leaf="extends: base.yaml\nremove: [pind]"))
    assert loaded.remarks == (
        f"{tmp_path}/leaf.yaml:3: `remove` names pind, and no constraint that is inherited bears that name",
    )


@pytest.mark.parametrize("name", READY)
def test_a_ready_policy_is_extended_by_its_name(tmp_path: Path, name: str) -> None:
    leaf = load_policy(write(tmp_path, mine=f"extends: {name}\nseed: 9"))
    assert (leaf.name, leaf.seed) == ("mine", 9)
    assert leaf.headroom == load_policy(Path(name)).headroom


def test_the_ready_policies_in_the_package_are_those_at_the_top() -> None:
    import runpy

    for path, text in runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["made_files"]().items():
        assert path.read_text(encoding="utf-8") == text, "run: python docs/make_reference.py"
    assert tuple(sorted(path.stem for path in (ROOT / "policies").glob("*.yaml"))) == READY


@pytest.mark.long
def test_a_wheel_carries_the_ready_policies(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "balancer", tmp_path / "source" / "balancer")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    made = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    subprocess.run(made, cwd=tmp_path / "source", check=True)
    (wheel,) = tmp_path.glob("*.whl")
    carried = zipfile.ZipFile(wheel).namelist()
    assert [name for name in READY if f"balancer/policy/ready/{name}.yaml" not in carried] == []


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_the_dial_leaves_alone_what_it_does_not_set(tmp_path: Path, level: int) -> None:
    ready = load_policy(write(tmp_path, leaf="extends: power-saver"))
    turned = load_policy(write(tmp_path, leaf=f"extends: power-saver\naggressiveness: {level}"))
    assert turned.objectives.least_power == ready.objectives.least_power
    assert turned.objectives.even_load == ready.objectives.even_load
    assert turned.objectives.least_power.weight == 1.0


def test_the_dial_that_is_turned_for_a_cluster_overrules_the_base_too(tmp_path: Path) -> None:
    base = "stability: {minimum_gain: 0.03}\nobjectives: {least_power: {weight: 1.0}, few_moves: {weight: 0.3}}"
    leaf = "extends: base.yaml\nstability: {cooldown_minutes: 77}\nclusters: {lab: {aggressiveness: 5}}"
    path = write(tmp_path, base=base, leaf=leaf)
    lab, other = load_policy(path, "lab"), load_policy(path, "production")
    assert (lab.stability.minimum_gain, lab.objectives.few_moves.weight) == (0.0, 0.001)
    assert (lab.stability.cooldown_minutes, lab.objectives.least_power.weight) == (77, 1.0)
    assert (other.stability.minimum_gain, other.objectives.few_moves.weight) == (0.03, 0.3)
