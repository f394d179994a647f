"""Policies as texts and files, for tests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from balancer.errors import PolicyError
from balancer.formats import read_text
from balancer.policy import Policy, load_policy

HEAD = "schema: balancer.policy/1\n"


def policy(text: str) -> Policy:
    """Return the policy that a text says, without its first line."""
    return read_text(HEAD + text, Policy, "p.yaml", PolicyError)


def write(folder: Path, **files: str) -> Path:
    """Write policies, each without its first line; return the path of the last."""
    path = folder
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.write_text(HEAD + text)
    return path


def faults(path: Path, cluster: str | None = None) -> list[str]:
    """Return what is wrong with a file, its folder left out; empty where nothing is."""
    try:
        load_policy(path, cluster)
    except PolicyError as wrong:
        return [str(fault).replace(f"{path.parent}/", "") for fault in wrong.faults]
    return []


def at(moment: str) -> datetime:
    said = datetime.fromisoformat(moment)
    return said if said.tzinfo else datetime.fromisoformat(moment + "+00:00")
