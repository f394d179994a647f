"""The lab for tests: start it once, hand it to each test as good as new."""

import os

import pytest

from .lab import Lab
from .requirements import missing

SHARED = pytest.StashKey[Lab]()


@pytest.fixture(scope="session")
def shared_lab(pytestconfig: pytest.Config) -> Lab:
    """Three hosts. Skips where the machine lacks something, except in CI: there the proof has to be made.

    Each module that imports this fixture makes pytest call it once more; it is one lab all the same.
    """
    if lacks := missing():
        reason = "the lab lacks: " + ", ".join(lacks)
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    if SHARED not in pytestconfig.stash:
        started = Lab(hosts=3)
        pytestconfig.add_cleanup(started.down)
        started.up()
        pytestconfig.stash[SHARED] = started
    return pytestconfig.stash[SHARED]


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """All hosts on, reachable, and empty; BMCs as wired at the factory."""
    shared_lab.reset()
    return shared_lab
