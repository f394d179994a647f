"""Ansible itself reads a plan's playbook, finds nothing to say of it, and carries it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.domain.migration import MigrationOptions
from balancer.domain.plan import Action, Step
from balancer.reporting.playbook import plan_playbook
from tests.drawing import NOON
from tests.reporting.playbooks import DRAWN, StandIn, ansible, at_host, move, plan, playbook, terms, uri_of, uuid_of

A, B, D = map(uuid_of, "abd")
RUNS = ["active", "persistent"]

EVERYTHING = (
    at_host(1, Action.POWER_ON, "h4"),
    move(2, "a", "h1", "h2", options=MigrationOptions(auto_converge=True, post_copy=True, parallel=2, tls=True)),
    move(3, "b", "h1", "h3", kind="cold"),
    at_host(4, Action.CORDON, "h1"),
    at_host(5, Action.WAIT_READY, "h4", wave=2),
    move(6, "a", "h2", "h4", wave=3),
    move(7, "{{ evil }}: 'x' \"y\" #" + "z" * 200, "h1", "h3", wave=3),
    at_host(8, Action.POWER_OFF, "h1", wave=4),
)
TWO_WAVES = (move(1, "a", "h1", "h2"), move(2, "b", "h1", "h3"), move(3, "d", "h2", "h3", wave=2))


@pytest.mark.parametrize("steps", [(), EVERYTHING], ids=["nothing", "everything"])
def test_ansible_lint_has_nothing_to_say(steps: tuple[Step, ...], tmp_path: Path) -> None:
    written = tmp_path / "plan.yml"
    written.write_text(playbook(*steps, bandwidth_mib_per_s=100.0))
    said = ansible("ansible-lint", "--offline", "--strict", "--profile", "production", str(written), home=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "0 failure(s), 0 warning(s) in 1 files" in said.stderr, said.stderr


def test_the_syntax_is_ansibles(tmp_path: Path) -> None:
    written = tmp_path / "plan.yml"
    written.write_text(playbook(*EVERYTHING))
    said = ansible("ansible-playbook", "--syntax-check", str(written), home=tmp_path)
    assert said.returncode == 0, said.stderr


# -- carried out on a cluster that a file stands in for


def test_wave_after_wave_side_by_side_and_a_second_time_nothing(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, h1={A: [*RUNS, "autostart"], B: ["active"]}, h2={D: RUNS}, h3={})
    stand_in.changes(waits_for={A: B, B: A})
    text = playbook(*TWO_WAVES)
    said = stand_in.plays(text)
    assert said.returncode == 0, said.stdout
    assert stand_in.hosts == {
        uri_of("h1"): {},
        uri_of("h2"): {A: [*RUNS, "autostart"]},
        uri_of("h3"): {B: ["active"], D: RUNS},
    }, "no definition is left, and a transient guest stays transient"
    moved = [(what, guest) for what, guest in stand_in.log if what in {"begun", "ended"}]
    assert moved[:2] == [("begun", A), ("begun", B)]
    assert moved[4:] == [("begun", D), ("ended", D)]
    again = stand_in.plays(text)
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
    assert len(stand_in.migrations) == 3


@pytest.mark.long
def test_a_look_alone_moves_nothing(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, h1={A: RUNS}, h2={}, h3={})
    said = stand_in.plays(playbook(move(1, "a", "h1", "h2"), move(2, "a", "h2", "h3", wave=2)), "--check")
    assert said.returncode == 0, said.stdout
    assert stand_in.log == []


@pytest.mark.parametrize(
    ("there", "seen"),
    [
        ({"h1": {}, "h2": {}, "h3": {B: RUNS}}, "the guest is seen on none of the hosts that were asked"),
        pytest.param(
            {"h1": {A: RUNS}, "h2": {A: RUNS}, "h3": {B: RUNS}},
            "active on h1 and active on h2",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"h1": {A: RUNS}, "h3": {B: RUNS}},
            f"failed to connect to the hypervisor at {uri_of('h2')}",
            marks=pytest.mark.long,
        ),
    ],
    ids=["gone", "twice", "silent"],
)
def test_a_guest_that_is_not_where_it_was_stops_everything(
    there: dict[str, dict[str, list[str]]], seen: str, tmp_path: Path
) -> None:
    stand_in = StandIn(tmp_path, **there)
    said = stand_in.plays(playbook(move(1, "a", "h1", "h2"), move(2, "b", "h3", "h1", wave=2)))
    assert said.returncode != 0
    assert seen in said.stdout
    assert stand_in.migrations == []
    assert "Wave 2" not in said.stdout


@pytest.mark.long
def test_a_migration_that_fails_lets_the_others_of_its_wave_arrive_and_stops_the_rest(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, h1={A: RUNS, B: [*RUNS, "autostart"]}, h2={D: RUNS}, h3={})
    stand_in.changes(failing=[A])
    said = stand_in.plays(playbook(*TWO_WAVES))
    assert said.returncode != 0
    assert "Unsafe migration" in said.stdout and "s1, move a from h1 to h2" in said.stdout
    assert stand_in.hosts == {uri_of("h1"): {A: RUNS}, uri_of("h2"): {D: RUNS}, uri_of("h3"): {B: [*RUNS, "autostart"]}}


@pytest.mark.long
def test_a_guest_that_steps_aside_goes_on_from_where_it_was_left(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, h1={}, h3={A: ["shut off", "persistent"]}, h2={})
    aside = (move(1, "a", "h1", "h3", kind="cold"), move(2, "a", "h3", "h2", wave=2, kind="cold"))
    said = stand_in.plays(playbook(*aside))
    assert said.returncode == 0, said.stdout
    assert stand_in.hosts[uri_of("h2")] == {A: ["shut off", "persistent"]}
    assert len(stand_in.migrations) == 1


@pytest.mark.long
def test_a_plan_that_is_too_old_moves_nothing(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, h1={A: RUNS}, h2={})
    said = stand_in.plays(plan_playbook(plan(move(1, "a", "h1", "h2"), valid_until=NOON), DRAWN, terms()))
    assert said.returncode != 0
    assert "the plan was valid until 2026-11-23 12:00 UTC: make it anew" in said.stdout
    assert stand_in.log == []


@pytest.mark.long
def test_a_host_that_wakes_in_the_meantime_takes_its_guest(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, h1={A: RUNS}, h4={})
    stand_in.changes(asleep={uri_of("h4"): 1})
    wakes = (at_host(1, Action.POWER_ON, "h4"), at_host(2, Action.WAIT_READY, "h4", wave=2))
    said = stand_in.plays(playbook(*wakes, move(3, "a", "h1", "h4", wave=3)))
    assert said.returncode == 0, said.stdout
    assert "if h4 is off, wake it now: balancer power wake h4" in said.stdout
    assert A in stand_in.hosts[uri_of("h4")]


# -- names


def test_a_name_that_would_run_a_program_is_shown_and_runs_none(tmp_path: Path) -> None:
    name = "{{ lookup('ansible.builtin.pipe', 'touch evil') }}: 'x' \"y\" # {% for"
    stand_in = StandIn(tmp_path, **{name: {A: RUNS}, "h2": {}})
    sites = terms(name, "h2")
    step = move(1, name, name, "h2", vm_id=A)
    said = stand_in.plays(plan_playbook(plan(step, at_host(2, Action.POWER_ON, name)), DRAWN, sites))
    assert said.returncode == 0, said.stdout
    assert f"(item=s1, move {name} from {name} to h2)" in said.stdout
    assert f"if {name} is off" in said.stdout.replace('\\"', '"')
    assert not (tmp_path / "evil").exists()
    gone = stand_in.plays(plan_playbook(plan(move(1, name, "h2", name, vm_id=uuid_of("b"))), DRAWN, sites))
    assert f"s1, move {name} from h2 to {name}: the guest is seen on none" in gone.stdout.replace('\\"', '"')
    assert not (tmp_path / "evil").exists()
