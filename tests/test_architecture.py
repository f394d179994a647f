"""The arrows between folders point one way, and the thinking half touches nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import balancer

ROOT = Path(balancer.__file__).parent
GROUND = {"errors", "clock", "lifetime", "masking"}

MAY_SEE: dict[str, set[str]] = {
    "domain": set(),
    "masking": set(),
    "errors": {"masking"},
    "clock": set(),
    "lifetime": set(),
    "formats": {"domain", "errors"},
    "constraints": {"domain"},
    "objectives": {"domain"},
    "policy": {"domain", "errors", "formats", "constraints", "objectives"},
    "demand": {"domain"},
    "stability": {"domain", "policy"},
    "solving": {"domain"},
    "planning": {"domain", "formats", "constraints", "objectives", "policy", "stability", "solving"},
    "secrets": {"errors", "masking"},
    "simulation": GROUND | {"domain"},
    "platforms": GROUND | {"domain", "simulation"},
    "power": GROUND | {"domain", "simulation", "secrets"},
    "hands": GROUND | {"domain", "platforms", "power"},
    "history": GROUND | {"domain", "secrets"},
    "store": GROUND | {"domain"},
    "execution": GROUND | {"domain", "platforms", "power", "store"},
    "reporting": {"domain", "errors", "formats"},
}
"""What each part may import of ours. Parts that are not listed join the others: site, cycle, service, web, cli."""

THINKING = {"domain", "constraints", "objectives", "policy", "demand", "stability", "solving", "planning"}
WORLDLY = {"time", "socket", "subprocess", "threading", "multiprocessing", "asyncio", "requests", "urllib", "http"}
MAY_LEAVE_THE_PROCESS = {"solving/workers.py", "solving/child.py"}


def files_of(part: str) -> list[Path]:
    single = ROOT / f"{part}.py"
    return [single] if single.exists() else sorted((ROOT / part).rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("part", MAY_SEE)
def test_a_part_sees_only_what_stands_below_it(part: str) -> None:
    assert files_of(part), f"there is no {part}"
    ours = {
        (str(path.relative_to(ROOT)), name.split(".")[1])
        for path in files_of(part)
        for name in imports_of(path)
        if name.startswith("balancer.")
    }
    assert {(path, seen) for path, seen in ours if seen not in MAY_SEE[part] | {part}} == set()


def test_every_part_is_on_the_map() -> None:
    joining = {
        "accounting",
        "actions",
        "beginning",
        "doctor",
        "chronicle",
        "published",
        "site",
        "summing_up",
        "cycle",
        "service",
        "cli",
        "commands",
        "embedded",
        "leadership",
        "notifying",
        "remembering",
        "saved",
        "settings",
        "virtual_time",
        "rehearsal",
        "lived",
        "halfway",
        "replaying",
        "tuning",
        "web",
        "__init__",
        "__main__",
    }
    parts = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert parts - joining == set(MAY_SEE)


@pytest.mark.parametrize("part", sorted(THINKING))
def test_thinking_knows_no_clock_network_process_or_thread(part: str) -> None:
    for path in files_of(part):
        if str(path.relative_to(ROOT)) in MAY_LEAVE_THE_PROCESS:
            continue
        assert WORLDLY.isdisjoint(name.split(".")[0] for name in imports_of(path)), path
        assert "datetime.now" not in path.read_text(), path


def test_only_solving_knows_the_solver() -> None:
    knowing = {path.relative_to(ROOT).parts[0] for path in ROOT.rglob("*.py") if _names_pulp(path)}
    assert knowing == {"solving"}


def _names_pulp(path: Path) -> bool:
    return any(name.split(".")[0] in {"pulp", "highspy"} for name in imports_of(path))
