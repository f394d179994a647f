"""The lab for tests: start it once, hand it to each test as good as new."""

import os
from collections.abc import Iterator

import pytest

from .lab import Lab
from .requirements import missing


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """Three hosts. Skips where the machine lacks something, except in CI: there the proof has to be made."""
    if lacks := missing():
        reason = "the lab lacks: " + ", ".join(lacks)
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with Lab(hosts=3) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """All hosts on, reachable, and empty; BMCs as wired at the factory."""
    shared_lab.reset()
    return shared_lab
