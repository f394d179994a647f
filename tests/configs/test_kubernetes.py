"""The Kubernetes manifests: valid, held to the restricted standard, and the balancer would take what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from balancer.cli import run
from balancer.domain.site_file import SiteFile
from balancer.formats import read
from tests.configs.shipped import (
    CONFIGS,
    SECONDS_TO_STOP,
    Mount,
    assert_it_is_a_setting,
    assert_its_paths_are_mounted,
    assert_the_balancer_takes,
    image_user,
)

HERE = CONFIGS / "kubernetes"
VERSION = "1.29"  # the oldest that has ReadWriteOncePod for good
Manifest = dict[str, Any]


def _manifests(name: str) -> list[Manifest]:
    return list(YAML(typ="safe").load_all(HERE / name))


MANIFESTS = _manifests("balancer.yaml")
SECRETS = _manifests("secrets.example.yaml")
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS}
DEPLOYMENT = BY_KIND["Deployment"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}
PORTS = {each["name"] for each in CONTAINER["ports"]}


@pytest.mark.parametrize(
    "manifest", [*MANIFESTS, *SECRETS], ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_kubernetes_knows_each_key(manifest: Manifest) -> None:
    assert _faults(manifest) == ""
    assert "replicaz" in _faults({**manifest, "replicaz": 1})


def _faults(manifest: Manifest) -> str:
    """Return what Kubernetes would refuse in a manifest; empty where it takes it."""
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as refused:
        return str(refused.message)
    return ""


def test_the_pod_meets_the_restricted_standard_and_writes_to_volumes_alone() -> None:
    user, group = map(int, image_user().split(":"))
    assert (
        POD["securityContext"]
        | {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": group,
            "fsGroup": group,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        == POD["securityContext"]
    )
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    assert BY_KIND["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_it_tells_the_balancer_is_known_and_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert_it_is_a_setting(ENVIRONMENT)
    assert_the_balancer_takes(ENVIRONMENT, monkeypatch)


def test_each_path_that_it_names_is_mounted_and_only_the_state_can_be_written() -> None:
    mounts = [Mount(each["mountPath"], not each.get("readOnly", False)) for each in CONTAINER["volumeMounts"]]
    assert_its_paths_are_mounted(ENVIRONMENT, mounts)
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == {each["name"] for each in POD["volumes"]}


def test_two_never_run_side_by_side_on_one_store() -> None:
    assert DEPLOYMENT["replicas"] == 1
    assert DEPLOYMENT["strategy"] == {"type": "Recreate"}


def test_it_waits_for_running_migrations() -> None:
    assert POD["terminationGracePeriodSeconds"] >= SECONDS_TO_STOP


def test_a_cluster_that_is_slow_to_be_seen_is_not_restarted_and_an_ill_one_is() -> None:
    begins, lives = CONTAINER["startupProbe"], CONTAINER["livenessProbe"]
    assert begins["exec"] == lives["exec"] == {"command": ["balancer", "health"]}
    assert begins["periodSeconds"] * begins["failureThreshold"] >= 300


def test_the_site_and_the_policy_inside_are_ones_that_the_balancer_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(_text("policy.yaml"))
    assert run(["check", str(policy)]) == 0, capsys.readouterr().err
    site = _site(tmp_path)
    assert site.store == f"sqlite:///{ENVIRONMENT['BALANCER_STATE']}/balancer.db"


def test_the_examples_name_every_secret_that_is_wanted_and_hold_none(tmp_path: Path) -> None:
    named = {each["metadata"]["name"]: each["stringData"] for each in SECRETS}
    assert {each["secret"]["secretName"] for each in POD["volumes"] if "secret" in each} == set(named)
    wanted = {host.bmc.secret_ref for host in _site(tmp_path).hosts if host.bmc is not None}
    assert wanted == {f"file:{name}" for name in named["balancer-secrets"]}
    assert not any(value for values in named.values() for value in values.values())


def test_the_service_and_the_network_policy_mean_this_pod_and_this_port() -> None:
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    service, network = BY_KIND["Service"]["spec"], BY_KIND["NetworkPolicy"]["spec"]
    assert (
        service["selector"] == network["podSelector"]["matchLabels"] == DEPLOYMENT["selector"]["matchLabels"] == labels
    )
    assert {each["targetPort"] for each in service["ports"]} == PORTS
    assert {each["port"] for rule in network["ingress"] for each in rule["ports"]} == PORTS
    assert network["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule.get("to") for rule in network["egress"])


def _text(name: str) -> str:
    return str(BY_KIND["ConfigMap"]["data"][name])


def _site(folder: Path) -> SiteFile:
    path = folder / "site.yaml"
    path.write_text(_text("site.yaml"))
    return read(path, SiteFile)
