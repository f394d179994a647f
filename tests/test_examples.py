"""Every example that ships can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.constraints import KINDS
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Mode
from balancer.domain.site_file import SiteFile
from balancer.domain.value import Value
from balancer.formats import read
from balancer.planning import make_plan
from balancer.platforms.libvirt.definition import LABELS
from balancer.policy import Policy, load_policy
from balancer.settings import Settings, WebSettings
from balancer.site import open_site
from tests.drawing import cluster

ROOT = Path(__file__).parents[1]
SITE = ROOT / "configs" / "site.example.yaml"
POLICY = ROOT / "configs" / "policy.example.yaml"
READY = sorted((ROOT / "policies").glob("*.yaml"))
GUIDE = ROOT / "configs" / "README.md"
WEB_GUIDE = ROOT / "docs" / "web.md"


def test_the_example_site_opens_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("influxdb_client")
    monkeypatch.setenv("INFLUX_TOKEN", "x")
    for name in ("hv1-bmc", "hv2-bmc"):
        (tmp_path / name).write_text("secret")
    kept_here = tmp_path / "site.yaml"
    kept_here.write_text(SITE.read_text().replace("/var/lib/balancer", str(tmp_path)))
    site = open_site(kept_here, tmp_path, tmp_path)
    try:
        assert site.name == "production"
        assert list(site.acting.switches) == ["hv1", "hv2"]
    finally:
        site.close()


@pytest.mark.parametrize("path", [POLICY, *READY], ids=lambda path: path.name)
def test_a_policy_that_ships_is_checked_without_a_fault(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(path)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("path", READY, ids=lambda path: path.name)
def test_a_ready_policy_says_for_whom_it_is_and_bears_its_files_name(path: Path) -> None:
    schema, about = path.read_text().splitlines()[:2]
    assert schema == "# yaml-language-server: $schema=policy.schema.json"
    assert about.startswith("# For ")
    assert load_policy(path).name == path.stem


def test_only_the_lab_is_acted_on_without_being_asked() -> None:
    acting = [path.name for path in [POLICY, *READY] if load_policy(path).mode is not Mode.RECOMMEND]
    assert acting == ["lab.yaml"]


def test_a_power_saver_empties_hosts_that_an_even_spread_leaves_on() -> None:
    night = _with_sleepers(cluster("h1 64: a=8/1 | h2 64: b=8/1 | h3 64: c=8/1"))
    asleep = {path.stem: _hosts_to_sleep(night, path) for path in READY}
    assert (asleep["balanced"], asleep["power-saver"]) == (0, 2)


def _with_sleepers(drawn: Cluster) -> Cluster:
    ready = {"may_sleep": True, "wake_proven_at": drawn.taken_at}
    return drawn.model_copy(update={"hosts": tuple(host.model_copy(update=ready) for host in drawn.hosts)})


def _hosts_to_sleep(seen: Cluster, policy: Path) -> int:
    return len(make_plan(seen, load_policy(policy)).summary.hosts_to_sleep)


def test_the_example_policy_shows_every_section_and_every_kind_of_promise() -> None:
    policy = load_policy(POLICY)
    assert _keys(Policy) - policy.model_fields_set == set()
    assert {type(promise) for promise in policy.promises} == set(KINDS)


def test_the_example_site_shows_every_key_once() -> None:
    site = read(SITE, SiteFile)
    shown = set().union(*(host.model_fields_set for host in site.hosts))
    assert _keys(SiteFile) - site.model_fields_set == set()
    assert _keys(type(site.hosts[0])) - shown == set()


def _keys(kind: type[Value]) -> set[str]:
    return set(kind.model_fields)


def test_a_default_that_the_example_policy_shows_is_the_default() -> None:
    shown, default = load_policy(POLICY), Policy()
    as_default = ("headroom", "objectives", "power", "demand", "stability", "max_doubts", "interval_seconds", "freeze")
    for section in (*as_default, "plan_valid_minutes", "effort", "seed", "mode"):
        assert getattr(shown, section) == getattr(default, section), section


def test_the_settings_of_the_dashboard_are_those_that_its_guide_names() -> None:
    named = set(re.findall(r"\| `(BALANCER_WEB_[A-Z_]+)`(?:, `(BALANCER_WEB_[A-Z_]+)`)?", WEB_GUIDE.read_text()))
    known = {f"BALANCER_WEB_{name.upper()}" for name in WebSettings.model_fields}
    assert {name for pair in named for name in pair if name} == known


def test_files_and_settings_that_the_guide_names_exist() -> None:
    text = GUIDE.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []
    settings = {f"BALANCER_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"BALANCER_[A-Z_]+", text)) == settings


def test_the_labels_that_the_guide_gives_to_a_guest_are_read() -> None:
    assert LABELS in GUIDE.read_text()


def test_the_user_that_the_guide_names_is_the_images() -> None:
    user = re.search(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    assert f"The user inside is {user[1]}" in GUIDE.read_text()
