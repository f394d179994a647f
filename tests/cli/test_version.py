"""The version, asked for without a command."""

from __future__ import annotations

import pytest

from balancer import __version__
from balancer.cli import run


def test_the_version_is_said_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"balancer {__version__}\n"
