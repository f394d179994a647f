"""The compose file: whom it runs as, what it may write, and that the balancer would take what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.configs.shipped import (
    CONFIGS,
    GUIDE,
    SECONDS_TO_STOP,
    Mount,
    assert_it_is_a_setting,
    assert_its_paths_are_mounted,
    assert_the_balancer_takes,
    image_user,
)

HERE = CONFIGS / "compose"
COMPOSE: dict[str, Any] = YAML(typ="safe").load(HERE / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BALANCER = SERVICES["balancer"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_root_or_writes_outside_its_volume(name: str) -> None:
    service = SERVICES[name]
    user, _, _ = service["user"].partition(":")
    assert int(user) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


def test_the_balancer_runs_as_the_images_user() -> None:
    assert BALANCER["user"] == image_user()


def test_what_it_tells_the_balancer_is_known_and_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert_it_is_a_setting(BALANCER["environment"])
    assert_the_balancer_takes(BALANCER["environment"], monkeypatch)


def test_each_path_that_it_names_is_mounted_and_only_the_state_can_be_written() -> None:
    assert_its_paths_are_mounted(BALANCER["environment"], [_mount(each) for each in BALANCER["volumes"]])


def test_it_waits_for_running_migrations() -> None:
    minutes = re.fullmatch(r"(\d+)m", BALANCER["stop_grace_period"])
    assert minutes is not None
    assert int(minutes[1]) * 60 >= SECONDS_TO_STOP


@pytest.mark.parametrize("name", SERVICES)
def test_each_network_volume_and_secret_that_a_service_uses_is_there(name: str) -> None:
    service = SERVICES[name]
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    named = {each.split(":")[0] for each in service["volumes"]}
    assert {each for each in named if not each.startswith("./")} <= set(COMPOSE["volumes"])


def test_each_file_of_the_operators_is_made_by_the_guide_or_ships() -> None:
    mounted = {each.split(":")[0] for service in SERVICES.values() for each in service["volumes"]}
    mounted |= {secret["file"] for secret in COMPOSE["secrets"].values()}
    for path in (each.removeprefix("./") for each in mounted if each.startswith("./")):
        assert (HERE / path).exists() or re.search(rf"\b{path}\b", _section()), path


def test_no_password_stands_in_it_and_none_lands_in_git() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|KEY|SECRET", name) or value.startswith("/run/secrets"), name
    ignored = (HERE / ".gitignore").read_text().splitlines()
    assert {"/secrets/", "/ssh/", "/grafana-admin"} <= set(ignored)


def test_the_database_that_asks_for_no_password_is_within_reach_of_the_other_two_alone() -> None:
    database = SERVICES["victoriametrics"]
    assert "ports" not in database
    assert [COMPOSE["networks"][name].get("internal") for name in database["networks"]] == [True]


def test_grafana_reads_the_database_that_the_guide_has_the_balancer_write_to() -> None:
    (source,) = YAML(typ="safe").load(HERE / "grafana-datasource.yaml")["datasources"]
    assert source["url"] == "http://victoriametrics:8428"
    assert f'history: {{kind: influx, url: "{source["url"]}"' in _section()


def _section() -> str:
    return GUIDE.split("## With VictoriaMetrics and Grafana")[1].split("\n## ")[0]


def _mount(volume: str) -> Mount:
    _, path, *options = volume.split(":")
    return Mount(path, is_writable="ro" not in options)
