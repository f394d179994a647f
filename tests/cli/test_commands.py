"""The command line as scripts and people use it: exit codes, formats, and errors in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from balancer.cli import run
from balancer.cycle import Cycle, think
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.embedded import the_embedded_site
from balancer.formats import read, read_text, to_json
from balancer.planning.verify import Objection
from balancer.platforms.simulated import SimulatedPlatform
from balancer.site import Site
from tests.drawing import cluster

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "example"
EVEN = "schema: balancer.policy/1\nobjectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}\n"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SITE", "POLICY", "SECRETS", "STATE"):
        monkeypatch.delenv(f"BALANCER_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A skewed snapshot and a policy that evens it."""
    snapshot, policy = tmp_path / "s.json", tmp_path / "p.yaml"
    snapshot.write_text(to_json(cluster("h1 64: a=8/3 b=8/3 | h2 64:")))
    policy.write_text(EVEN)
    return str(snapshot), str(policy)


def test_the_example_of_the_readme_plans(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["plan", "--snapshot", f"{EXAMPLE}/snapshot.yaml", "--policy", f"{EXAMPLE}/policy.yaml"])
    said = capsys.readouterr().out
    assert code == 2
    assert re.match(r"Move \d+ guests \(\d+\.\d GiB, .*\) and put hv2, hv4 to sleep; CPU deviation", said)
    assert "phone (a PBX card is passed through)" in said


def test_a_plan_as_json_is_the_format_and_can_be_verified(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, policy = files
    assert run(["plan", "--snapshot", snapshot, "--policy", policy, "--format", "json"]) == 2
    text = capsys.readouterr().out
    plan = read_text(text, Plan, "stdout")
    assert [step.move.target for step in plan.moves] == ["h2"]
    assert json.loads(text)["steps"][0].keys() >= {"id", "rank", "wave", "depends_on", "action", "because"}
    written = tmp_path / "plan.json"
    written.write_text(text)
    assert run(["verify", "--plan", str(written), "--snapshot", snapshot, "--policy", policy]) == 0
    broken = plan.model_copy(update={"steps": (plan.steps[0].model_copy(update={"source": "h2", "target": "h1"}),)})
    written.write_text(to_json(broken))
    assert run(["verify", "--plan", str(written), "--snapshot", snapshot, "--policy", policy]) == 1
    assert "it is on h1" in capsys.readouterr().out


def test_a_saved_cycle_is_decided_again_as_it_was(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, policy = files
    saved = str(tmp_path / "cycle.json")
    assert run(["plan", "--snapshot", snapshot, "--policy", policy, "--format", "json", "--save", saved]) == 2
    first = json.loads(capsys.readouterr().out)
    assert run(["plan", "--replay", saved, "--format", "json"]) == 2
    again = json.loads(capsys.readouterr().out)
    assert {**again, "id": ""} == {**first, "id": ""}


def test_a_plan_becomes_a_playbook_with_the_ways_of_the_site_file(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, policy = files
    ask = ["plan", "--snapshot", snapshot, "--policy", policy, "--format", "ansible"]
    assert run(ask) == 1
    assert "names no site file, and a playbook needs the hosts' connection URIs" in capsys.readouterr().err
    site = tmp_path / "site.yaml"
    hosts = "".join(f"  - {{name: {name}, uri: 'qemu+tcp://{name}/system'}}\n" for name in ("h1", "h2"))
    site.write_text(f"schema: balancer.site/1\ncluster: drawn\nplatform: {{kind: libvirt}}\nhosts:\n{hosts}")
    assert run([*ask, "--site", str(site)]) == 1
    assert "the snapshot does not say the guest's UUID" in capsys.readouterr().err
    drawn = cluster("h1 64: a=8/3 b=8/3 | h2 64:")
    known = tuple(vm.model_copy(update={"id": str(UUID(int=n))}) for n, vm in enumerate(drawn.vms))
    Path(snapshot).write_text(to_json(drawn.model_copy(update={"vms": known})))
    Path(policy).write_text(f"{EVEN}budget: {{concurrent: 1}}\nmigration: {{deadline_minutes: 7}}\n")
    assert run([*ask, "--site", str(site)]) == 2
    said = capsys.readouterr().out
    assert said.startswith("---\n# Move 1 guest") and "deadline_seconds: 420" in said
    assert 'source_uri: "qemu+tcp://h1/system"' in said and 'peer_uri: "qemu+tcp://h2/system"' in said


def test_a_plan_that_is_not_safe_becomes_no_playbook(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unsafe(*seen: Any) -> Cycle:
        return replace(think(*seen), objections=(Objection("s1", "h2 has no room"),))

    monkeypatch.setattr("balancer.commands.thinking.think", unsafe)
    site = tmp_path / "site.yaml"
    site.write_text("schema: balancer.site/1\ncluster: drawn\nplatform: {kind: libvirt}\nhosts: []\n")
    snapshot, policy = files
    ask = ["plan", "--snapshot", snapshot, "--policy", policy, "--format", "ansible", "--site", str(site)]
    assert run(ask) == 1
    said = capsys.readouterr()
    assert said.out == "" and "this plan is not safe" in said.err


def test_exit_codes_of_plan(files: tuple[str, str], tmp_path: Path) -> None:
    snapshot, policy = files
    assert run(["plan", "--snapshot", snapshot, "--policy", policy]) == 2
    assert run(["plan", "--snapshot", snapshot, "--policy", policy, "--exit-zero"]) == 0
    even, doubtful = tmp_path / "even.json", tmp_path / "doubtful.json"
    even.write_text(to_json(cluster("h1 64: a=8/3 | h2 64: b=8/3")))
    assert run(["plan", "--snapshot", str(even), "--policy", policy]) == 0
    seen = {**json.loads(to_json(cluster("h1 64: a=8/3 b=8/3 | h2 64:")))}
    seen["doubts"] = [{"subject": "host:h1", "kind": "stale", "detail": "last seen 9 min ago"}]
    doubtful.write_text(json.dumps(seen))
    assert run(["plan", "--snapshot", str(doubtful), "--policy", policy]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["plan", "--snapshot", "none.json"], 1, "none.json: there is no such file"),
        (["plan", "--nonsense"], 64, "No such option"),
        (["zzz"], 64, "No such command"),
        (["schema", "zzz"], 64, "Invalid value"),
        (["explain", "zzz"], 1, "no kind of constraint or objective"),
        (["power", "wake"], 1, "give a host, or --all"),
        (["power", "wake", "nobody"], 1, "has no BMC in the site file"),
        (["run", "--site", "none.yaml"], 1, "none.yaml: there is no such file"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_setting_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BALANCER_LEASE_SECONDS", "soon")
    assert run(["hosts"]) == 1
    assert "BALANCER_LEASE_SECONDS: 'soon'" in capsys.readouterr().err


def test_check_names_every_fault_and_warns_of_selectors(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(EVEN + "headrom: {}\nmode: akt\n")
    assert run(["check", str(bad)]) == 1
    said = capsys.readouterr().err
    assert f"{bad}:3: unknown key `headrom`" in said
    assert f"{bad}:4: `mode` is 'akt'" in said
    loose = tmp_path / "loose.yaml"
    loose.write_text(EVEN + "constraints: [{kind: stay, match: {app: none}}]\n")
    assert run(["check", str(loose), "--snapshot", files[0]]) == 0
    assert "no guest bears app=none" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["snapshot", "plan", "policy", "site", "explanation", "comparison"])
def test_schemas_are_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["schema"]["const"] == f"balancer.{kind}/1"


def test_explain_says_promise_formula_and_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "apart"]) == 0
    said = capsys.readouterr().out
    assert "Keep the members of a group apart." in said
    assert "<= at_most" in said
    assert "{kind: apart" in said


def test_without_a_site_the_embedded_one_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hosts"]) == 0
    assert "hv12" in capsys.readouterr().out
    target = tmp_path / "seen.json"
    assert run(["snapshot", "--output", str(target)]) == 0
    assert len(read(target, Cluster).hosts) == 12
    assert run(["power", "status"]) == 0
    assert capsys.readouterr().out.count("answers") == 12


def test_the_state_of_power_is_said_for_programs_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["power", "status", "--format", "json"]) == 0
    hosts = json.loads(capsys.readouterr().out)
    assert hosts[0]["host"] == "hv01"
    assert {host["proof_age_days"] for host in hosts} == {1.0}
    assert {(host["boots"], host["quarantined_why"], host["hypervisor_answers"]) for host in hosts} == {(0, None, True)}


def test_hosts_are_woken_from_the_site_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store cannot be opened and no hypervisor answers: it is the BMC that is asked, and that is all that fails."""
    site, secrets = tmp_path / "site.yaml", tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "bmc").write_text("x")
    (secrets / "bmc").chmod(0o600)
    monkeypatch.setenv("BALANCER_SECRETS", str(secrets))
    site.write_text(
        "schema: balancer.site/1\ncluster: c\nplatform: {kind: libvirt}\nstore: sqlite:////proc/none/b.db\n"
        "hosts: [{name: h1, uri: qemu+tcp://127.0.0.1:9/system,"
        " bmc: {kind: ipmi, address: 127.0.0.1, port: 9, user: u, secret_ref: 'file:bmc'}}]\n"
    )
    assert run(["power", "wake", "--all", "--site", str(site)]) == 1
    said = capsys.readouterr()
    assert "h1" in said.out
    assert "127.0.0.1:9" in said.out
    assert "b.db" not in said.out + said.err


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The embedded site, whose first host has lost its power while its BMC says that it is on."""
    with the_embedded_site() as site:
        platform = site.acting.platform
        assert isinstance(platform, SimulatedPlatform)
        platform._world.cut_power("hv01")
        platform._world.hosts["hv01"].bmc_lies = True

        @contextmanager
        def opened() -> Iterator[Site]:
            yield site

        monkeypatch.setattr("balancer.commands.opening.the_embedded_site", opened)
        yield site


def test_a_silent_host_that_its_bmc_says_is_on_is_told_and_woken_only_anyway(
    silent: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["power", "wake", "hv02"]) == 0
    assert "is on already" in capsys.readouterr().out
    assert run(["power", "wake", "hv01"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "says that it is on, and its hypervisor does not answer" in said and "--anyway" in said
    silent.clock.sleep(600)
    assert not silent.acting.platform.answers("hv01")
    assert run(["power", "wake", "hv01", "--anyway"]) == 0
    silent.clock.sleep(600)
    assert silent.acting.platform.answers("hv01")


def test_who_woke_a_host_by_hand_stands_in_the_audit(silent: Site) -> None:
    assert run(["power", "wake", "hv02"]) == 0  # it is on already: nothing was asked
    assert run(["power", "wake", "hv01", "--anyway"]) == 0
    (line,) = silent.acting.store.audit.latest()
    assert (line.what, line.subject, line.at) == ("asked to wake", "host:hv01", silent.clock.now())
    assert "@" in line.who


@pytest.mark.parametrize("trouble", ["absent", "spoilt"])
def test_a_store_that_cannot_be_written_hinders_no_waking_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trouble: str
) -> None:
    asked = tmp_path / "asked"
    bmc = tmp_path / "bmc"
    bmc.write_text(f'#!/bin/sh\n[ "$1" = status ] && echo off\n[ "$1" = on ] && touch {asked}\nexit 0\n')
    bmc.chmod(0o755)
    store = tmp_path / "missing" / "b.db"
    if trouble == "spoilt":
        store = tmp_path / "b.db"
        store.write_text("no database" * 1000)
    site = tmp_path / "site.yaml"
    commands = f"{{state: [{bmc}, status], on: [{bmc}, on], shut_down: [{bmc}], off: [{bmc}]}}"
    site.write_text(
        f"schema: balancer.site/1\ncluster: c\nplatform: {{kind: libvirt}}\nstore: sqlite:///{store}\nhosts:\n"
        f"- {{name: h1, uri: qemu+tcp://127.0.0.1:9/system, bmc: {{kind: command, commands: {commands}}}}}\n"
    )
    assert run(["power", "wake", "h1", "--site", str(site)]) == 0
    said = capsys.readouterr()
    assert asked.exists() and "h1 was asked to wake" in said.out
    assert "the audit does not say so" in said.err and str(store) in "".join(said.err.split())


def test_an_embedded_host_is_put_through_its_power_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["power", "test", "hv01"]) == 1
    assert "hv01 failed its power test" in capsys.readouterr().out


def test_the_generated_reference_is_up_to_date() -> None:
    import runpy

    made = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["reference"]()
    assert (ROOT / "docs" / "policy.md").read_text() == made, "run: python docs/make_reference.py"


@pytest.mark.parametrize("target", ["nowhere/cycle.json", "."])
def test_a_cycle_that_cannot_be_saved_is_said_in_words(
    target: str, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, policy = files
    assert run(["plan", "--snapshot", snapshot, "--policy", policy, "--save", str(tmp_path / target)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_kind_is_told_as_text_and_json_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "keep_on", "--format", "json"]) == 1
    assert "is told as text alone" in capsys.readouterr().err


def test_health_of_a_service_that_never_ran_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["health"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "there is no health.json in it" in said and "Errno" not in said
