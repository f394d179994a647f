from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.stage import Stage, stage


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A site that is only looked at."""
    with stage(tmp_path_factory.mktemp("small")) as built:
        yield built


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stage]:
    """A site of one's own, to act on."""
    with stage(tmp_path) as built:
        yield built
