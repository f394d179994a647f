"""Policies come in through here."""

from __future__ import annotations

from pathlib import Path

from balancer.errors import PolicyError
from balancer.formats import read
from balancer.policy.model import Policy

DEFAULT_POLICY = Policy()
MOST_BYTES = 4 * 2**20  # nobody reviews more policy than that


def load_policy(path: Path | None) -> Policy:
    """Read a policy file; without one the default policy, which recommends and does not act, is in force.

    Raises PolicyError with every fault found: file, line, what is wrong, what to write instead.
    """
    return DEFAULT_POLICY if path is None else read(path, Policy, PolicyError, MOST_BYTES)
