"""Files at the door: all faults at once, each with its line and what to write instead; what is good round-trips."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.domain.site_file import SiteFile
from balancer.domain.value import Value
from balancer.errors import InputError, PolicyError
from balancer.formats import digest_of, json_schema, read, read_text, to_json
from balancer.planning import make_plan
from balancer.policy import DEFAULT_POLICY, Policy
from tests.drawing import cluster

HEAD = "schema: balancer.policy/1\n"


def faults_of(text: str, kind: type[Value] = Policy) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_text(text, kind, "p.yaml", PolicyError)
    return [str(fault) for fault in caught.value.faults]


MISTAKES = {
    "a misspelt key": (
        HEAD + "headrom: {cpu: 0.9}",
        ["p.yaml:2: unknown key `headrom`; did you mean `headroom`?"],
    ),
    "per cent": (
        HEAD + "headroom:\n  cpu: 90%",
        ["p.yaml:3: `headroom.cpu` is '90%', not a number; write 0.9"],
    ),
    "a number in quotes": (
        HEAD + 'max_doubts: "0.2"',
        ["p.yaml:2: `max_doubts` is '0.2', not a number; write 0.2 without quotes"],
    ),
    "more than a whole": (
        HEAD + "headroom: {memory: 95}",
        ["p.yaml:2: `headroom.memory` is 95, and a share is from 0 to 1; did you mean 0.95?"],
    ),
    "yes for true": (
        HEAD + "power: {hard_off: yes}",
        ["p.yaml:2: `power.hard_off` is 'yes'; write true"],
    ),
    "a mode that is none": (HEAD + "mode: auto", ["p.yaml:2: `mode` is 'auto'; did you mean `act`?"]),
    "an unknown kind": (
        HEAD + "constraints:\n  - {kind: aprt, vms: [a, b]}",
        ["p.yaml:3: unknown kind `aprt` in constraints[1]; did you mean `apart`?"],
    ),
    "no kind": (
        HEAD + "constraints:\n  - {vms: [a, b]}",
        [
            "p.yaml:3: `constraints[1]` does not say its `kind`; "
            "write `kind: apart`, or another; `balancer explain` lists them"
        ],
    ),
    "one name for a list": (
        HEAD + "constraints:\n  - kind: stay\n    vms: db1",
        ["p.yaml:4: `constraints[1].vms` is 'db1', not a list; write [db1]"],
    ),
    "a number for a label": (
        HEAD + "constraints:\n  - kind: stay\n    match: {floor: 3}",
        ['p.yaml:4: `constraints[1].match.floor` is 3, not a text; write "3" in quotes'],
    ),
    "two ways of naming guests": (
        HEAD + "constraints:\n  - {kind: stay, vms: [a], match: {b: c}}",
        ["p.yaml:3: `constraints[1]` names its guests by `vms` and by `match`; keep one of them"],
    ),
    "a tab": ("schema: balancer.policy/1\nheadroom:\n\tcpu: 0.9", ["p.yaml:3: a tab stands where YAML wants spaces"]),
    "a key twice": (HEAD + "name: a\nname: b", ['p.yaml:3: the key "name" stands twice; keep one of them']),
    "a later version": ("schema: balancer.policy/2", ["p.yaml:1: is written for version 2 of balancer.policy"]),
    "another format": (
        "schema: balancer.plan/1",
        ["p.yaml:1: is a plan (balancer.plan/1), and a policy is wanted; is it the right file?"],
    ),
    "no schema": ("name: x", ["p.yaml:1: does not say which schema it follows; write `schema: balancer.policy/1`"]),
    "an empty file": ("", ["p.yaml: is empty; begin with `schema: balancer.policy/1`"]),
    "a list": ("- a", ["p.yaml: is a list, not a block of keys"]),
    "a bracket left open": (HEAD + "budget: {moves: 3", ["p.yaml:2: a bracket that opens here is not closed"]),
    "a negative budget": (
        HEAD + "budget: {moves: -1}",
        ["p.yaml:2: `budget.moves` is -1; it must be at least 0"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_to_write(mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    said = faults_of(text)
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, expected, strict=True)), said


def test_all_faults_are_told_at_once() -> None:
    text = HEAD + "mode: akt\nheadrom: {}\nmax_doubts: much\nconstraints:\n  - {kind: apart, vms: 3, acros: rack}\n"
    said = faults_of(text)
    assert [line.split(":")[1] for line in said] == ["2", "3", "4", "6", "6"]


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    layers = "\n".join(f"x-{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]" for n in range(12))
    assert "aliases unfold" in faults_of(f"{HEAD}x-0: &l0 [a, a]\n{layers}\n")[0]


def test_deep_nesting_is_refused_in_words() -> None:
    assert "nested too deeply" in faults_of(HEAD + "x-deep: " + "[" * 5000 + "]" * 5000)[0]


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"schema: balancer.policy/1\nname: caf\xe9\n")
    for path, words in ((tmp_path / "none.yaml", "no such file"), (latin, "not UTF-8"), (tmp_path, "cannot be read")):
        with pytest.raises(PolicyError, match=words):
            read(path, Policy, PolicyError)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", '"8"', "true"])
def test_numbers_that_are_no_amounts_are_refused_at_the_door(number: str) -> None:
    text = (
        '{"schema": "balancer.snapshot/1", "taken_at": "2026-01-01T00:00:00Z", "cluster": "c",\n'
        f' "hosts": [{{"name": "h1", "cpu_cores": {number}, "memory_mib": 1}}]}}'
    )
    (said,) = faults_of(text, Cluster)
    assert said.startswith("p.yaml:2: `hosts[1].cpu_cores`")


def test_a_snapshot_with_guests_on_unknown_hosts_is_refused() -> None:
    text = (
        '{"schema": "balancer.snapshot/1", "taken_at": "2026-01-01T00:00:00Z", "cluster": "c", "hosts": [],'
        '"vms": [{"name": "a", "host": "h9", "vcpus": 1, "memory_mib": 1}]}'
    )
    assert "guests on hosts that the snapshot does not list: a" in faults_of(text, Cluster)[0]


def test_a_moment_without_time_zone_is_refused() -> None:
    text = '{"schema": "balancer.snapshot/1", "taken_at": "2026-01-01T00:00:00", "cluster": "c", "hosts": []}'
    assert faults_of(text, Cluster) == ["p.yaml:1: `taken_at` has no time zone; write 2026-01-31T12:00:00Z"]


def test_x_keys_are_kept_and_ignored() -> None:
    policy = read_text(HEAD + "x-owner: ops\nheadroom: {x-why: tested, cpu: 0.8}\n", Policy, "p")
    assert policy.headroom.cpu == 0.8
    written = json.loads(to_json(policy))
    assert (written["x-owner"], written["headroom"]["x-why"]) == ("ops", "tested")


def test_policies_snapshots_and_plans_round_trip() -> None:
    seen = cluster("h1 64 rack=r1: a=8@db b=8 | h2 64 rack=r2: c=8!")
    for value in (seen, DEFAULT_POLICY, make_plan(seen, DEFAULT_POLICY)):
        again = read_text(to_json(value), type(value), "again")
        assert again == value
        assert digest_of(again) == digest_of(value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_text_gets_a_traceback(text: str) -> None:
    for whole in (text, HEAD + text):
        with suppress(PolicyError):  # anything else that is raised fails the test
            assert read_text(whole, Policy, "p.yaml", PolicyError).schema_ == "balancer.policy/1"


@pytest.mark.parametrize("kind", [Cluster, Plan, Policy, SiteFile], ids=lambda kind: kind.__name__)
def test_json_schemas_name_the_format_and_refuse_unknown_keys(kind: type[Value]) -> None:
    schema = json_schema(kind)
    assert schema["additionalProperties"] is False
    assert "schema" in schema["required"]
    assert schema["properties"]["schema"]["const"].startswith("balancer.")
