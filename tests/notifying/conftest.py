"""A web hook, and a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.store import Store, open_store
from tests.notifying.hook import Hook, a_hook


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    pytest.importorskip("apprise", reason="pip install -e '.[notify]'")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with a_hook() as serving:
        monkeypatch.setenv("OPS", serving.url)
        yield serving


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/balancer.db", "lab")
    yield opened
    opened.close()
