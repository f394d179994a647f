"""What editors get: a schema with a description and an example for each key, to which the shipped files keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from balancer.cli import run

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "configs" / "policy.example.yaml", *sorted((ROOT / "policies").glob("*.yaml"))]


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["schema", "policy"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def written(path: Path) -> Any:
    """Read a file as an editor does: dates are texts in JSON."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(path.read_text()), default=str))


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for block in (schema, *schema["$defs"].values()):
        for key, about in block.get("properties", {}).items():
            yield f"{block.get('title')}.{key}", about


def test_each_key_has_a_description_and_an_example(schema: dict[str, Any]) -> None:
    assert [key for key, about in keys(schema) if not about.get("description")] == []
    assert [key for key, about in keys(schema) if "examples" not in about] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_policy_keeps_to_the_schema(schema: dict[str, Any], path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(written(path))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_policy_names_a_schema_that_is_there(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    said = first.removeprefix("# yaml-language-server: $schema=")
    assert said != first
    assert (path.parent / said).resolve() == ROOT / "policies" / "policy.schema.json"


BAD: dict[str, dict[str, Any]] = {
    "an unknown key": {"headrom": {}},
    "a share in per cent": {"headroom": {"cpu": 90}},
    "an unknown kind": {"constraints": [{"kind": "aprt", "vms": ["a"]}]},
    "an unknown key in a schedule": {"schedule": [{"during": "x", "set": {"name": "y"}}]},
    "a dial turned too far": {"clusters": {"lab": {"aggressiveness": 9}}},
    "a word for a number": {"schedule": [{"during": "x", "set": {"seed": "y"}}]},
}


@pytest.mark.parametrize("mistake", BAD)
def test_an_editor_sees_the_mistake(schema: dict[str, Any], mistake: str) -> None:
    data = {"schema": "balancer.policy/1", **BAD[mistake]}
    assert not jsonschema.Draft202012Validator(schema).is_valid(data)


GOOD: dict[str, dict[str, Any]] = {
    "when by name": {"constraints": [{"kind": "stay", "vms": ["a"], "when": "night"}]},
    "when not": {"constraints": [{"kind": "stay", "vms": ["a"], "when": {"not": "night"}}]},
    "x-": {"x-owner": "ops"},
    "extends": {"extends": "base.yaml", "remove": ["a"], "clusters": {"lab": {"mode": "act"}}},
}


@pytest.mark.parametrize("form", GOOD)
def test_an_editor_takes_what_the_program_takes(schema: dict[str, Any], form: str) -> None:
    faults = jsonschema.Draft202012Validator(schema).iter_errors({"schema": "balancer.policy/1", **GOOD[form]})
    assert [fault.message for fault in faults] == []
