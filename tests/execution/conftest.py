from __future__ import annotations

from pathlib import Path

import pytest

from tests.execution.stage import Stage, build


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Three hosts: two guests on h1, one on h2, h3 is empty."""
    return build(tmp_path, {"h1": ["a", "b"], "h2": ["c"], "h3": []})
